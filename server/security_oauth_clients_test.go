package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"wavegate/oidc/oidctest"
)

// An asserting is a client that proves itself with a key of its own.
type asserting struct {
	app
	key *ecdsa.PrivateKey
}

// asserting makes a client with private_key_jwt.
func (o attackedOAuth) asserting(grants string) asserting {
	o.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(o.t, err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	must(o.t, err)
	return asserting{o.app("root", grants+`,"jwks":`+string(set)), key}
}

// assertion signs claims, which change good ones; nil takes one away.
func (c asserting) assertion(audience string, change oidctest.Claims) string {
	claims := oidctest.Claims{
		"iss": c.ID, "sub": c.ID, "aud": audience, "jti": rand.Text(), "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}
	header := oidctest.Claims{"alg": "ES256", "kid": "k1"}
	for name, v := range change {
		into := claims
		if name == "typ" {
			into = header
		}
		if v == nil {
			delete(into, name)
		} else {
			into[name] = v
		}
	}
	return oidctest.SignJWT(header, claims, c.key)
}

// proving adds an assertion to a form.
func proving(form url.Values, assertion string) url.Values {
	return values(form, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", assertion)
}

// own asks for a client's own token.
var own = url.Values{"grant_type": {"client_credentials"}}

// TestRFC9700_2_5_AnAssertionProvesOneClientOnceNow: every claim is looked at, and what was
// used is used up, at every endpoint.
func TestRFC9700_2_5_AnAssertionProvesOneClientOnceNow(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.asserting(hasAll)
	other := o.asserting(hasAll)
	iss := o.oauth.prefix
	for what, a := range map[string]string{
		"another audience":    c.assertion("https://evil.example", nil),
		"two audiences":       c.assertion("", oidctest.Claims{"aud": []string{iss, "https://evil.example"}}),
		"no audience":         c.assertion(iss, oidctest.Claims{"aud": nil}),
		"no end":              c.assertion(iss, oidctest.Claims{"exp": nil}),
		"expired":             c.assertion(iss, oidctest.Claims{"exp": time.Now().Add(-time.Second).Unix()}),
		"far ahead":           c.assertion(iss, oidctest.Claims{"exp": time.Now().Add(25 * time.Hour).Unix()}),
		"of the future":       c.assertion(iss, oidctest.Claims{"nbf": time.Now().Add(10 * time.Minute).Unix(), "exp": time.Now().Add(20 * time.Minute).Unix()}),
		"issued later":        c.assertion(iss, oidctest.Claims{"iat": time.Now().Add(10 * time.Minute).Unix()}),
		"no jti":              c.assertion(iss, oidctest.Claims{"jti": nil}),
		"a long jti":          c.assertion(iss, oidctest.Claims{"jti": strings.Repeat("j", 1000)}),
		"another issuer":      c.assertion(iss, oidctest.Claims{"iss": other.ID}),
		"another subject":     c.assertion(iss, oidctest.Claims{"sub": other.ID}),
		"an access token":     c.assertion(iss, oidctest.Claims{"typ": "at+jwt"}),
		"a logout token":      c.assertion(iss, oidctest.Claims{"typ": "logout+jwt"}),
		"another client's":    other.assertion(iss, oidctest.Claims{"iss": c.ID, "sub": c.ID}),
		"none":                base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(c.assertion(iss, nil), ".")[1] + ".",
		"HS256 by its own ID": oidctest.SignJWT(oidctest.Claims{"alg": "HS256"}, oidctest.ReadClaims(c.assertion(iss, nil)), []byte(c.ID)),
		"not a token":         strings.Repeat(".", 4000),
	} {
		form := proving(values(own, "client_id", c.ID), a)
		o.token(app{}, form).refused(t, what, 401, "invalid_client")
	}
	for _, audience := range []string{iss, iss + "/oauth/token"} {
		a := c.assertion(audience, oidctest.Claims{"iat": time.Now().Add(30 * time.Second).Unix()}) // clocks differ a little
		got := atOnce(20, func(int) int { return o.token(app{}, proving(own, a)).StatusCode })
		if got[200] != 1 || got[401] != 19 {
			t.Errorf("20 times the same: %v", got)
		}
		for _, path := range []string{"/oauth/introspect", "/oauth/revoke", "/oauth/par", "/oauth/device"} {
			o.call(path, app{}, proving(values(ask(c.app), "token", "x"), a)).refused(t, path+" after it", 401, "invalid_client")
		}
	}
	o.token(app{}, values(own, "client_id", c.ID)).refused(t, "no proof", 401, "invalid_client")
	o.token(app{c.ID, "wgcs_x"}, own).refused(t, "a secret", 401, "invalid_client")
	o.token(app{}, proving(values(own, "client_id", other.ID), c.assertion(iss, nil))).refused(t, "for another client_id", 401, "invalid_client")
	a := proving(own, c.assertion(iss, nil))
	o.token(app{}, values(a, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")).refused(t, "another type", 400, "invalid_request")
	o.token(app{}, values(a, "client_secret", "x")).refused(t, "with a secret", 400, "invalid_request")
	o.token(app{c.ID, "x"}, a).refused(t, "with Basic", 400, "invalid_request")
	o.token(app{}, a).given(t)
}

// TestClientsProveThemselvesAsTheyAreRegisteredAndInOneWay: unknown clients, wrong secrets
// and missing ones look the same.
func TestClientsProveThemselvesAsTheyAreRegisteredAndInOneWay(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c, public, off := o.app("ci", hasAll), o.app("ci", isPublic), o.app("ci", hasAll)
	o.by("ci", "PATCH", "/v1/auth/clients/"+off.ID, `{"disabled":true}`).want(t, 200, "")
	form := "application/x-www-form-urlencoded"
	same := map[string]int{}
	for what, a := range map[string]answer{
		"a wrong secret":           o.token(app{c.ID, "wgcs_" + strings.Repeat("A", 43)}, own),
		"a secret with a bit more": o.token(app{c.ID, c.Secret + "A"}, own),
		"a secret with a bit less": o.token(app{c.ID, c.Secret[:len(c.Secret)-1]}, own),
		"a secret in capitals":     o.token(app{c.ID, strings.ToUpper(c.Secret)}, own),
		"an unknown client":        o.token(app{"client_" + strings.Repeat("a", 26), c.Secret}, own),
		"a disabled client":        o.token(off, own),
		"a public with a secret":   o.token(app{public.ID, c.Secret}, own),
		"an access key":            o.token(app{"ci", "secret"}, own),
		"the ID in capitals":       o.token(app{strings.ToUpper(c.ID), c.Secret}, own),
		"no name":                  o.do("POST", "/oauth/token", own.Encode(), "Content-Type", form, "Authorization", basic("", c.Secret)),
		"other scheme":             o.do("POST", "/oauth/token", own.Encode(), "Content-Type", form, "Authorization", "Bearer "+c.Secret),
		"two headers":              o.do("POST", "/oauth/token", own.Encode(), "Content-Type", form, "Authorization", basic(c.ID, c.Secret), "Authorization", basic(c.ID, c.Secret)),
		"broken base64":            o.do("POST", "/oauth/token", own.Encode(), "Content-Type", form, "Authorization", "Basic ###"),
		"nobody":                   o.do("POST", "/oauth/token", own.Encode(), "Content-Type", form),
		"no secret":                o.token(app{ID: c.ID}, own),
	} {
		a.refused(t, what, 401, "invalid_client")
		if got := a.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Basic ") {
			t.Errorf("%s: WWW-Authenticate %q", what, got)
		}
		if strings.HasPrefix(what, "a") {
			same[a.body]++
		}
	}
	if len(same) != 1 {
		t.Errorf("answers tell clients apart: %v", same)
	}
	for what, a := range map[string]answer{
		"Basic and body":           o.call("/oauth/token", c, values(own, "client_secret", c.Secret)),
		"Basic for another client": o.call("/oauth/token", c, values(own, "client_id", public.ID)),
	} {
		a.refused(t, what, 400, "invalid_request")
	}
	o.do("POST", "/oauth/token?client_id="+c.ID+"&client_secret="+c.Secret, own.Encode(), "Content-Type", form).refused(t, "in the address", 400, "invalid_request")
	for what, a := range map[string]answer{
		"introspection by a public client": o.call("/oauth/introspect", public, url.Values{"token": {"x"}}),
		"introspection by nobody":          o.call("/oauth/introspect", app{}, url.Values{"token": {"x"}}),
		"introspection with a token":       o.do("POST", "/oauth/introspect", "token=x", "Content-Type", form, "Authorization", "Bearer "+o.token(c, own).given(t).Access),
	} {
		a.refused(t, what, 401, "invalid_client")
	}
	o.token(public, own).refused(t, "a public client's own token", 400, "unauthorized_client")
	o.token(app{}, values(own, "client_id", c.ID, "client_secret", c.Secret)).given(t)
}

// from is the status of a token request from an address, without a connection between.
func (o attackedOAuth) from(address string, c app, form url.Values) int {
	if c.Secret == "" {
		form = values(form, "client_id", c.ID)
	}
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(form.Encode()))
	if c.Secret != "" {
		r.SetBasicAuth(c.ID, c.Secret)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Forwarded-For", address)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w.Code
}

// TestGuessingClientSecretsLocksTheClientAndTheSource: ten lock the client, but for the
// source from which it proved itself before; twenty lock the source.
func TestGuessingClientSecretsLocksTheClientAndTheSource(t *testing.T) {
	t.Parallel()
	o := attackOAuthWith(t, "", func(*Server) {})
	told := o.subscribe()
	c, d := o.app("root", hasAll), o.app("ci", hasAll)
	guess := app{c.ID, "wgcs_" + strings.Repeat("A", 43)}
	if got := o.from("192.0.2.1", c, own); got != 200 {
		t.Fatalf("%d", got)
	}
	for i := range 12 {
		want := 401
		if i >= 10 {
			want = 429
		}
		if got := o.from("198.51.100."+string(rune('1'+i%9)), guess, own); got != want {
			t.Errorf("guess %d: %d", i, got)
		}
	}
	for address, want := range map[string]int{"192.0.2.1": 200, "192.0.2.2": 429} {
		if got := o.from(address, c, own); got != want {
			t.Errorf("the client itself from %s: %d", address, got)
		}
	}
	if got := o.from("192.0.2.2", d, own); got != 200 {
		t.Errorf("another client: %d", got)
	}
	for i := range 22 {
		want := 401
		if i >= 20 {
			want = 429
		}
		if got := o.from("203.0.113.1", app{"client_" + strings.Repeat(string(rune('a'+i)), 26), "x"}, own); got != want {
			t.Errorf("client %d of one source: %d", i, got)
		}
	}
	if got := o.from("203.0.113.1", d, own); got != 429 {
		t.Errorf("the source goes on: %d", got)
	}
	eventually(t, "it is told", func() bool { return told("lockout") >= 1 })
}

// TestNobodyLocksAPublicClientOutForOthers: it has no secret that could be guessed.
func TestNobodyLocksAPublicClientOutForOthers(t *testing.T) {
	t.Parallel()
	o := attackOAuthWith(t, "", func(*Server) {})
	c := o.app("ci", isPublic)
	given := o.letIn(o.person("ann"), c)
	for i := range 40 {
		o.from("198.51.100."+string(rune('1'+i%9)), app{c.ID, "guess"}, own)
	}
	if got := o.from("192.0.2.1", c, refreshing(given.Refresh)); got != http.StatusOK {
		t.Errorf("the client is locked out: %d", got)
	}
}
