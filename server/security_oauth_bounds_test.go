package server

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"wavegate/server/store"
)

// TestStrangersFillNothingOfTheAuthorizationServer: what a public client begins is bounded
// by its source, what registers itself by the hour, and others go on.
func TestStrangersFillNothingOfTheAuthorizationServer(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "oauth: {registration: {enabled: true, per_ip_per_hour: 3}}\n")
	public, c := o.app("ci", isPublic+`,"grant_types":["authorization_code","urn:ietf:params:oauth:grant-type:device_code"]`), o.app("ci", hasAll)
	for path, form := range map[string]url.Values{"/oauth/par": ask(public), "/oauth/device": {"scope": {"things:read"}}} {
		got := map[int]int{}
		for range 230 {
			got[o.call(path, public, form, "X-Forwarded-For", "198.51.100.1").StatusCode]++
		}
		if got[200]+got[201] != 200 || got[429] != 30 {
			t.Errorf("%s by one source: %v", path, got)
		}
		a := o.call(path, public, form, "X-Forwarded-For", "198.51.100.1")
		a.refused(t, path, 429, "temporarily_unavailable")
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
		if a := o.call(path, public, form, "X-Forwarded-For", "198.51.100.2"); a.StatusCode >= 300 {
			t.Errorf("%s by another source: %d", path, a.StatusCode)
		}
		if a := o.call(path, c, ask(c), "X-Forwarded-For", "198.51.100.2"); a.StatusCode >= 300 {
			t.Errorf("%s by another client: %d", path, a.StatusCode)
		}
	}
	registered := map[int]int{}
	for i := range 8 {
		a := o.do("POST", "/oauth/register", fmt.Sprintf(`{"client_name":"n%d","redirect_uris":["https://a.example/cb"]}`, i), "Content-Type", "application/json", "X-Forwarded-For", "2001:db8::"+fmt.Sprint(i+1))
		registered[a.StatusCode]++
	}
	if registered[201] != 3 || registered[429] != 5 { // a /64 is one source
		t.Errorf("registrations by one source: %v", registered)
	}
	a := o.do("POST", "/oauth/register", `{"redirect_uris":["https://a.example/cb"],"scope":"things:read things:write *","first_party":true,"introspection":true}`, "Content-Type", "application/json", "X-Forwarded-For", "192.0.2.9")
	if a.StatusCode != 201 || strings.Contains(a.body, "things") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	list, err := o.store.Clients(t.Context(), store.ClientFilter{Owner: "registration"}, "", 100)
	must(t, err)
	for _, made := range list {
		if !made.Dynamic || made.FirstParty || made.Introspect || len(made.Scopes) != 0 || made.MayUse("client_credentials") {
			t.Errorf("who registered itself is %+v", made)
		}
	}
	if len(list) != 4 {
		t.Errorf("%d were registered", len(list))
	}
	id := a.text(t, "client_id")
	newBrowser(t, o.URL).authorize(ask(app{ID: id}, "redirect_uri", "https://a.example/cb", "scope", "nobody:knows")).staysHere(t, "nobody is led to an app that registered itself by an error", 400)
}

// TestStrangersAtTheAuthorizationServerWriteNothing: requests without a client, or without
// a person, leave no row.
func TestStrangersAtTheAuthorizationServerWriteNothing(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", hasAll)
	count := func() (n int) {
		for _, table := range []string{"oauth_clients", "oauth_grants", "oauth_codes", "oauth_refresh_tokens", "oauth_pushed", "oauth_devices", "oauth_assertions", "oauth_revoked_tokens", "oauth_consents", "sessions", "login_attempts"} {
			n += o.rowsIn(table)
		}
		return n
	}
	before := count()
	key := o.asserting(hasAll)
	for i := range 30 {
		b := newBrowser(t, o.URL)
		b.authorize(ask(c, "state", fmt.Sprint(i)))
		b.authorize(ask(c, "prompt", "none"))
		b.send("GET", devicePath+"?user_code=BCDF-GHJK", nil)
		b.decide(decisionPath, "AAAA", "allow")
		o.token(app{}, own)
		o.token(app{c.ID, fmt.Sprint("x", i)}, own)
		o.token(app{}, proving(own, key.assertion("https://evil.example", nil)))
		o.call("/oauth/par", app{c.ID, "x"}, ask(c))
		o.call("/oauth/device", app{}, url.Values{})
		o.call("/oauth/revoke", c, url.Values{"token": {fmt.Sprint("wgrt_", i)}})
		o.things(strings.Repeat("a", i)+".b.c", "192.0.2.1")
	}
	if after := count() - 1; after != before { // the client with a key
		t.Errorf("%d rows became %d", before, after)
	}
}
