package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wavegate/server/identity"
)

func TestOAuthThatIsLeftOut(t *testing.T) {
	want := OAuth{
		Enabled: true, AccessLifetime: 10 * time.Minute, RefreshLifetime: 30 * day, GrantLifetime: 365 * day, KeyLifetime: 30 * day,
		Registration: Registration{PerIPHour: 5, Most: 1000},
	}
	for name, p := range map[string]*Policy{
		"zero": {}, "empty": mustParse(t, "upstreams: []"), "without fields": mustParse(t, "oauth: {}"),
		"registration off": mustParse(t, "oauth: {registration: {enabled: false}}"),
	} {
		if diff := cmp.Diff(want, p.OAuth()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if p.SessionTokens() != (SessionTokens{}) || len(p.Files()) > 0 {
			t.Errorf("%s: got %+v, files %v", name, p.SessionTokens(), p.Files())
		}
	}
	if mustParse(t, "oauth: {enabled: false}").OAuth().Enabled {
		t.Error("it cannot be turned off")
	}
	short := mustParse(t, "session_tokens: {secret_file: s}").SessionTokens()
	if want := (SessionTokens{SecretFile: "s", Lifetime: 10 * time.Minute, Origin: "policy.yaml:1"}); short != want {
		t.Errorf("got %+v, want %+v", short, want)
	}
}

// TestChangeOfTheSharedSecretIsFollowed: the server follows what Files names.
func TestChangeOfTheSharedSecretIsFollowed(t *testing.T) {
	p := mustParse(t, "session_tokens: {secret_file: run/session.secret}")
	if diff := cmp.Diff([]string{"run/session.secret"}, p.Files()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLifetimesGoRoundEachOther: whatever lengths a file gives, it is refused, or an
// access token ends before its refresh token, and that before its grant.
func TestLifetimesGoRoundEachOther(t *testing.T) {
	lengths := []string{"", "0", "1s", "59s", "1m", "90s", "61500ms", "1h", "24h", "1d", "25h", "30d", "365d", "366d", "65535d"}
	rapid.Check(t, func(t *rapid.T) {
		var fields []string
		for _, name := range []string{"access_token_lifetime", "refresh_token_lifetime", "grant_lifetime", "signing_key_lifetime"} {
			if length := rapid.SampledFrom(lengths).Draw(t, name); length != "" {
				fields = append(fields, name+": "+length)
			}
		}
		text := "oauth: {" + strings.Join(fields, ", ") + "}"
		p, err := Parse("policy.yaml", []byte(text), nil)
		if err != nil {
			return
		}
		a := p.OAuth()
		if a.AccessLifetime < time.Minute || a.AccessLifetime > day || a.RefreshLifetime < a.AccessLifetime || a.GrantLifetime < a.RefreshLifetime || a.KeyLifetime < day {
			t.Errorf("%s is taken as %+v", text, a)
		}
		for _, d := range []time.Duration{a.AccessLifetime, a.RefreshLifetime, a.GrantLifetime, a.KeyLifetime} {
			if d%time.Second != 0 {
				t.Errorf("%s is taken as %v", text, d)
			}
		}
	})
	if _, err := Parse("policy.yaml", []byte("oauth: {access_token_lifetime: 1h, refresh_token_lifetime: 1h, grant_lifetime: 1h, signing_key_lifetime: 1d}"), nil); err != nil {
		t.Errorf("lengths at their bounds: %v", err)
	}
}

func TestResourcesAreAddressesThatNameOneThing(t *testing.T) {
	for resource, want := range map[string]bool{
		"https://api.example.com": true, "https://api.example.com/": true, "https://api.example.com:8443/v1": true,
		"http://127.0.0.1:3000/x": true, "http://localhost": true, "http://[::1]:1/": true,
		"http://api.example.com": false, "https://api.example.com/#top": false, "https://api.example.com/#": false, "https://api.example.com/?a=1": false,
		"https://api.example.com/?": false, "https://u:hunter2@api.example.com/": false, "https://": false, "//api.example.com": false,
		"/v1": false, "api.example.com": false, "urn:example:api": false, `https://api.example.com\x`: false, "ftp://api.example.com": false,
	} {
		err := checkResource(resource)
		if (err == nil) != want {
			t.Errorf("%s: got %v", resource, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a secret is in the message: %v", err)
		}
	}
}

func TestAccessTokenHoldsWhatThereStillIs(t *testing.T) {
	with := mustParse(t, `scopes: {a: {}, b: {}}`)
	for _, c := range []struct {
		name         string
		p            *Policy
		scopes, want string
	}{
		{"scopes of the catalogue", with, "b a", "b a"},
		{"one that is gone", with, "a gone b", "a b"},
		{"everything, and permissions", with, "* keys:read a", "* keys:read a"},
		{"twice is once", with, "a b a", "a b"},
		{"OpenID's own are not about routes", with, "openid profile a email offline_access", "a"},
		{"nothing", with, "", ""},
		{"all where none are declared", &Policy{}, "x y *", "x y *"},
		{"but not OpenID's own", &Policy{}, "openid profile email offline_access", ""},
	} {
		given := strings.Fields(c.scopes)
		if got := strings.Join(c.p.GrantToken(given), " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if strings.Join(given, " ") != c.scopes {
			t.Errorf("%s: what was given is now %q", c.name, given)
		}
	}
}

// TestTokenForSigningInOpensNothing: an app that somebody used for signing in cannot
// use the apps behind the server in their name, also where no scopes are asked for.
func TestTokenForSigningInOpensNothing(t *testing.T) {
	const routes = "upstreams: [{route: /, url: http://u, unlisted: allow}, {route: /keys, url: http://u, access: keys}, {route: /open, url: http://u, access: public}]\n"
	without := mustParse(t, strings.Replace(routes, ", unlisted: allow", "", 1))
	with := mustParse(t, routes+"scopes: {a: {endpoints: [GET /a]}}")
	for _, c := range []struct {
		name         string
		p            *Policy
		scopes, path string
		want         Reason
	}{
		{"no scope", without, "", "/x", InsufficientScope},
		{"OpenID's own", without, "openid profile", "/x", InsufficientScope},
		{"a scope", without, "a", "/x", Allowed},
		{"everything", without, "*", "/x", Allowed},
		{"a public route", without, "openid", "/open", Allowed},
		{"a route for keys", without, "*", "/keys", NotKey},
		{"what no endpoint covers", with, "openid", "/x", InsufficientScope},
		{"and with a scope", with, "a", "/x", Allowed},
		{"an endpoint", with, "openid", "/a", InsufficientScope},
		{"and with its scope", with, "openid a", "/a", Allowed},
		{"no policy at all", &Policy{}, "openid", "/x", InsufficientScope},
	} {
		token := &identity.Principal{Method: identity.MethodToken, Subject: "ann", OAuthClientID: "client_1", Scopes: c.p.GrantToken(strings.Fields(c.scopes))}
		ask := c.p.AskFor("h", "GET", c.path, false)
		if got := c.p.Decide(token, ask); got.Reason != c.want || got.Allow != (c.want == Allowed) {
			t.Errorf("%s: got %+v, want %v", c.name, got, c.want)
		}
		if told := strings.Join(c.p.Explain(token, ask), "\n"); strings.Contains(told, ": refuses\n") != (c.want != Allowed) {
			t.Errorf("%s is explained as\n%s", c.name, told)
		}
	}
}
