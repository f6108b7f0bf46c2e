package portal

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAppsSayHowTheySignPeopleIn(t *testing.T) {
	for name, tt := range map[string]struct {
		app  App
		want string
	}{
		"one host":         {App{RedirectURIs: []string{"https://a.example/x", "https://a.example/y"}}, "a.example"},
		"several":          {App{RedirectURIs: []string{"https://a.example/", "http://localhost:8080/", "https://b.example/"}}, "a.example and 2 more"},
		"an app's scheme":  {App{RedirectURIs: []string{"com.example.app:/done"}}, "com.example.app:"},
		"no address":       {App{RedirectURIs: []string{"%zz"}}, "%zz"},
		"a long host":      {App{RedirectURIs: []string{"https://" + strings.Repeat("a.", 100) + "evil.example/"}}, "…" + strings.Repeat(".a", 23) + ".evil.example"},
		"a device":         {App{GrantTypes: []string{GrantDevice, GrantRefresh}}, "by a code on a device"},
		"a program":        {App{GrantTypes: []string{GrantClientCredentials}}, "speaks for itself"},
		"both":             {App{RedirectURIs: []string{"https://a.example/"}, GrantTypes: []string{GrantCode, GrantClientCredentials}}, "a.example, speaks for itself"},
		"introspects only": {App{Introspection: true}, "asks about tokens"},
		"nothing":          {App{}, ""},
	} {
		if got := strings.Join(tt.app.Ways(), ", "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestAppsSayWhichSecretEndsFirst(t *testing.T) {
	noon := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)
	a := App{Secrets: []AppSecret{{Hint: "last"}, {Hint: "late", ExpiresAt: noon.Add(time.Hour)}, {Hint: "soon", ExpiresAt: noon}}}
	if got := a.FirstEnd(); got == nil || got.Hint != "soon" {
		t.Errorf("%+v ends first", got)
	}
	if got := (App{Secrets: []AppSecret{{Hint: "last"}}}).FirstEnd(); got != nil {
		t.Errorf("%+v ends first, and none ends", got)
	}
}

// A page offers no address that a browser would run or take for another place.
func TestAnAttemptOpensWebAddressesAlone(t *testing.T) {
	for url, want := range map[string]bool{
		"https://id.example/oauth/authorize?a=b": true, "http://localhost:10101/x": true,
		"": false, "javascript:alert(1)": false, "//evil.example/": false, "/here": false, "https:": false, "data:text/html,x": false, "https://%zz": false,
	} {
		if got := (Attempt{URL: url}).Link() != ""; got != want {
			t.Errorf("%q is opened: %t", url, got)
		}
	}
	long := Attempt{URL: "https://id.example/oauth/authorize?" + strings.Repeat("x", 2000)}
	if long.TooLong() {
		t.Error("2,000 bytes are too long")
	}
	if long.URL += "x"; !long.TooLong() {
		t.Error("2,001 bytes are not too long")
	}
}

func TestAddressesOfAnAppAreThoseThatItNeeds(t *testing.T) {
	s := OAuthServer{Issuer: "i", Authorize: "a", Token: "t", UserInfo: "u", JWKS: "j", Device: "d", Introspect: "n", Logout: "l"}
	for name, tt := range map[string]struct {
		app  App
		want string
	}{
		"people":   {App{GrantTypes: []string{GrantCode}}, "Issuer Discovery Authorize Token Userinfo Signing keys Sign out"},
		"device":   {App{GrantTypes: []string{GrantDevice}}, "Issuer Discovery Device Token Userinfo Signing keys"},
		"program":  {App{GrantTypes: []string{GrantClientCredentials}}, "Issuer Discovery Token Signing keys"},
		"resource": {App{Introspection: true}, "Issuer Discovery Token Signing keys Introspect"},
	} {
		var names []string
		for _, f := range (AppPage{App: tt.app, Server: s}).Addresses() {
			names = append(names, f.Name)
		}
		if diff := cmp.Diff(tt.want, strings.Join(names, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := (AppPage{App: App{GrantTypes: []string{GrantCode}}}).Addresses(); got != nil {
		t.Errorf("a server that gives no tokens has %v", got)
	}
}
