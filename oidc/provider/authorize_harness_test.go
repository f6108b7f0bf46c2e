package provider

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	deskIssuer   = "https://gate.example"
	appID        = "client_app"
	appURI       = "https://app.example/cb?tab=1"
	appChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636, appendix B
)

// A desk is a provider with one client and two people, for the tests of what comes
// before tokens.
type desk struct {
	*Provider
	store  *memStore
	rules  *Rules
	people map[string]*Person
	clock  time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{store: newMemStore(), clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), people: map[string]*Person{}}
	d.rules = &Rules{
		SignIn: true, Registration: true, AccessLifetime: 10 * time.Minute, GrantLifetime: 90 * 24 * time.Hour, KeyLifetime: 90 * 24 * time.Hour,
		Resources: []string{"https://api.other.example/v1"},
		Known:     func(s string) bool { return slices.Contains(d.rules.Scopes, s) },
		Scopes:    []string{"streams:read", "streams:write", "billing:write"},
	}
	at := func(path string) string { return deskIssuer + "/oauth/" + path }
	d.Provider = &Provider{
		store: d.store, log: slog.New(slog.DiscardHandler), apps: newClients(), now: func() time.Time { return d.clock },
		cfg: Config{
			Issuer: deskIssuer, Rules: func() *Rules { return d.rules }, Person: d.person,
			Seal: sealKey, Open: unsealKey,
			Endpoints: Endpoints{
				Authorize: at("authorize"), Token: at("token"), Revoke: at("revoke"), Introspect: at("introspect"), UserInfo: at("userinfo"),
				Device: at("device"), PAR: at("par"), Logout: at("logout"), JWKS: at("jwks"), Register: at("register"),
			},
		},
	}
	d.keys = newKeyring(d.Provider)
	d.addPerson("ada", "streams:read", "streams:write")
	d.addPerson("bob")
	d.client(func(*Client) {})
	return d
}

func (d *desk) addPerson(name string, scopes ...string) *Person {
	d.people["usr_"+name] = &Person{
		UserID: "usr_" + name, Subject: "sub-" + name, Username: name,
		May: func(s string) bool { return slices.Contains(scopes, s) },
	}
	return d.people["usr_"+name]
}

func (d *desk) person(_ context.Context, id string) (*Person, error) {
	if p := d.people[id]; p != nil {
		return p, nil
	}
	return nil, ErrNoPerson
}

// client changes the client, which is public to begin with.
func (d *desk) client(change func(*Client)) {
	c := Client{
		ID: appID, Name: "App", Type: Public, RedirectURIs: []string{appURI}, Scopes: []string{"streams:read", "streams:write", "gone:read"},
		PostLogoutRedirectURIs: []string{"https://app.example/bye"}, GrantTypes: []string{GrantCode, GrantRefresh, GrantDevice}, CreatedAt: d.clock,
	}
	change(&c)
	d.store.setClient(c)
	d.apps.changed(c.ID)
}

// fails makes a method of the store fail.
func (d *desk) fails(method string) {
	d.store.fail = func(m string) error {
		if m == method {
			return errors.New("no store")
		}
		return nil
	}
}

// good is a request that is answered.
func good() url.Values {
	return url.Values{
		"client_id": {appID}, "redirect_uri": {appURI}, "response_type": {"code"}, "scope": {"openid streams:read"},
		"state": {"s&t=a t?e#"}, "code_challenge": {appChallenge}, "code_challenge_method": {"S256"},
	}
}

// with returns a good request with some parameters changed; an empty value takes one away.
func with(pairs ...string) url.Values {
	v := good()
	for i := 0; i < len(pairs); i += 2 {
		v.Del(pairs[i])
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

func params(t rapid.TB, v url.Values) Params {
	t.Helper()
	p, err := ParseQuery(v.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (d *desk) request(t *testing.T, v url.Values) *Request {
	t.Helper()
	r, err := d.Request(t.Context(), params(t, v))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// refused returns the *Error that err has to be, with the code, and a description
// that may be shown (RFC 6749, section 5.2).
func refused(t rapid.TB, err error, code string) *Error {
	t.Helper()
	e, ok := err.(*Error)
	if !ok || e == nil {
		t.Fatalf("got %v, want %s", err, code)
	}
	if e.Code != code {
		t.Errorf("got %v, want %s", e, code)
	}
	odd := func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }
	if e.Description == "" || strings.ContainsFunc(e.Description, odd) {
		t.Errorf("the description may not be shown: %q", e.Description)
	}
	return e
}

// onPage checks that an error goes nowhere.
func onPage(t rapid.TB, e *Error) {
	t.Helper()
	if e.Redirect != "" {
		t.Errorf("%s goes to %s, want a page", e.Code, e.Redirect)
	}
}

// answered returns the parameters that the client gets: behind the redirect URI as it
// is registered, byte by byte.
func answered(t rapid.TB, redirect string) url.Values {
	t.Helper()
	query, ok := strings.CutPrefix(redirect, appURI+"&")
	if !ok {
		t.Fatalf("the answer goes to %q", redirect)
	}
	v, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Get("iss"); got != deskIssuer {
		t.Errorf("iss is %q", got)
	}
	return v
}

// approval is a person's yes to everything.
func (d *desk) approval(name string) Approval {
	return Approval{
		Who: d.people["usr_"+name], Scopes: []string{"openid", "offline_access", "streams:read", "streams:write", "billing:write"},
		AuthTime: d.clock.Add(-time.Minute), SID: "sid-1",
	}
}

// only returns the one value of a map.
func only[K comparable, V any](t rapid.TB, m map[K]V) V {
	t.Helper()
	if len(m) != 1 {
		t.Fatalf("there are %d, want 1", len(m))
	}
	for _, v := range m {
		return v
	}
	panic("unreachable")
}
