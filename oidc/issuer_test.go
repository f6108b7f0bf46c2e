package oidc_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"

	"github.com/google/go-cmp/cmp"
)

const audience = "https://api.example.com"

// A trust is an authorization server and an Issuer that trusts it.
type trust struct {
	idp *oidctest.Provider
	is  *oidc.Issuer
	clk *clock
}

// startIssuer starts an authorization server and an Issuer for it, which change
// may alter.
func startIssuer(t testing.TB, change func(*oidc.IssuerConfig)) trust {
	t.Helper()
	clk := newClock()
	idp := oidctest.New(t, oidctest.Config{Clients: []oidctest.Client{client()}, Now: clk.Now})
	return trust{idp, issuer(t, idp.URL, clk, change), clk}
}

func issuer(t testing.TB, url string, clk *clock, change func(*oidc.IssuerConfig)) *oidc.Issuer {
	t.Helper()
	cfg := oidc.IssuerConfig{Issuer: url, Audience: audience, Now: clk.Now}
	if change != nil {
		change(&cfg)
	}
	is, err := oidc.NewIssuer(cfg)
	must(t, err)
	t.Cleanup(is.Close)
	return is
}

// claims are those of a good access token, with changes; a nil value takes one
// away.
func (s trust) claims(changes oidctest.Claims) oidctest.Claims {
	now := s.clk.Now()
	c := oidctest.Claims{
		"iss": s.idp.URL, "aud": audience, "sub": "user_1", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"jti": "jti-1", "scope": "streams:read streams:write",
	}
	for name, value := range changes {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

func (s trust) token(changes oidctest.Claims) string {
	return s.idp.Sign(clientID, s.claims(changes))
}

func (s trust) verify(t testing.TB, raw string) (oidc.IssuerClaims, error) {
	t.Helper()
	return s.is.Verify(t.Context(), raw)
}

// wantIs checks which of the three errors of Verify err is, or that it is none.
func wantIs(t testing.TB, what string, err, want error) {
	t.Helper()
	for _, one := range []error{oidc.ErrIssuerToken, oidc.ErrIssuerExpired, oidc.ErrIssuerUnavailable} {
		if errors.Is(err, one) != (one == want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	if (err == nil) != (want == nil) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestIssuerConfigProblems(t *testing.T) {
	for _, test := range []struct {
		change   func(*oidc.IssuerConfig)
		contains string // "" is valid
	}{
		{func(*oidc.IssuerConfig) {}, ""},
		{func(c *oidc.IssuerConfig) { c.Issuer = "https://tenant.auth0.example/" }, ""},
		{func(c *oidc.IssuerConfig) { c.Issuer = "" }, "missing"},
		{func(c *oidc.IssuerConfig) { c.Issuer = "http://id.example.com" }, "use https"},
		{func(c *oidc.IssuerConfig) { c.Issuer = "https://id.example.com?a" }, "query"},
		{func(c *oidc.IssuerConfig) { c.Audience = "" }, "audience"},
		{func(c *oidc.IssuerConfig) { c.Audience = "a\nb" }, "audience"},
		{func(c *oidc.IssuerConfig) { c.JWKSURL = "https://keys.example.com/jwks" }, ""},
		{func(c *oidc.IssuerConfig) { c.JWKSURL = "keys" }, "address of the keys"},
		{func(c *oidc.IssuerConfig) { c.JWKSURL = "http://localhost/jwks" }, "on https"},
		{func(c *oidc.IssuerConfig) { c.ScopeClaim = "a\x00" }, "scopes"},
		{func(c *oidc.IssuerConfig) { c.GroupsClaim = strings.Repeat("a", 257) }, "groups"},
		{func(c *oidc.IssuerConfig) { c.UsernameClaim = "\t" }, "user names"},
		{func(c *oidc.IssuerConfig) { c.Timeout = -1 }, "timeout"},
	} {
		cfg := oidc.IssuerConfig{Issuer: "https://id.example.com", Audience: audience}
		test.change(&cfg)
		_, err := oidc.NewIssuer(cfg)
		switch {
		case test.contains == "" && err != nil:
			t.Errorf("%+v: %v", cfg, err)
		case test.contains != "" && (err == nil || !strings.Contains(err.Error(), test.contains)):
			t.Errorf("%+v: error %v, want %q in it", cfg, err, test.contains)
		}
	}
	err := oidc.IssuerConfig{Timeout: -1}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not all problems at once: %v", err)
	}
}

func TestIssuerNeedsNobodyAtTheStart(t *testing.T) {
	s := startIssuer(t, nil)
	if n := s.idp.Count("/jwks") + s.idp.Count("/.well-known/openid-configuration"); n != 0 || s.is.Status() != nil {
		t.Errorf("%d requests before a token came, status %v", n, s.is.Status())
	}
	if _, err := s.verify(t, s.token(nil)); err != nil {
		t.Fatal(err)
	}
	if s.idp.Count("/jwks") != 1 || s.idp.Count("/.well-known/openid-configuration") != 1 || s.is.Issuer() != s.idp.URL {
		t.Error("the keys were not fetched once")
	}
}

func TestIssuerClaims(t *testing.T) {
	for _, test := range []struct {
		what   string
		change func(*oidc.IssuerConfig)
		claims oidctest.Claims
		want   func(*oidc.IssuerClaims)
	}{
		{"plain", nil, nil, func(*oidc.IssuerClaims) {}},
		{"verified e-mail", nil, oidctest.Claims{"email": "a@example.com", "email_verified": true}, func(c *oidc.IssuerClaims) {
			c.Email, c.Username = "a@example.com", "a@example.com"
		}},
		{"e-mail that is not verified", nil, oidctest.Claims{"email": "a@example.com"}, func(*oidc.IssuerClaims) {}},
		{"e-mail that is not verified, as user name", func(c *oidc.IssuerConfig) { c.UsernameClaim = "email" }, oidctest.Claims{"email": "a@example.com", "email_verified": false}, func(*oidc.IssuerClaims) {}},
		{"user name", nil, oidctest.Claims{"preferred_username": "ann", "name": "Ann"}, func(c *oidc.IssuerClaims) { c.Username = "ann" }},
		{"user name of another claim", func(c *oidc.IssuerConfig) { c.UsernameClaim = "https://x.example/name" }, oidctest.Claims{"https://x.example/name": "ann", "name": "Ann"}, func(c *oidc.IssuerClaims) { c.Username = "ann" }},
		{"groups", nil, oidctest.Claims{"groups": []string{"eng", "ops", "eng"}}, func(c *oidc.IssuerClaims) { c.Groups = []string{"eng", "ops"} }},
		{"groups in an object", func(c *oidc.IssuerConfig) { c.GroupsClaim = "realm_access.roles" }, oidctest.Claims{"realm_access": oidctest.Claims{"roles": []string{"eng"}}}, func(c *oidc.IssuerClaims) { c.Groups = []string{"eng"} }},
		{"no scope", nil, oidctest.Claims{"scope": nil}, func(c *oidc.IssuerClaims) { c.Scopes = nil }},
		{"scp list", nil, oidctest.Claims{"scope": nil, "scp": []string{"a", "b", "a"}}, func(c *oidc.IssuerClaims) { c.Scopes = []string{"a", "b"} }},
		{"scp string", nil, oidctest.Claims{"scope": nil, "scp": "a b"}, func(c *oidc.IssuerClaims) { c.Scopes = []string{"a", "b"} }},
		{"scope before scp", nil, oidctest.Claims{"scope": "", "scp": "admin"}, func(c *oidc.IssuerClaims) { c.Scopes = nil }},
		{"permissions", func(c *oidc.IssuerConfig) { c.ScopeClaim = "permissions" }, oidctest.Claims{"permissions": []any{"a", 7, "b c", "", "d\"", "e"}}, func(c *oidc.IssuerClaims) { c.Scopes = []string{"a", "e"} }},
		{"the configured claim alone", func(c *oidc.IssuerConfig) { c.ScopeClaim = "permissions" }, nil, func(c *oidc.IssuerClaims) { c.Scopes = nil }},
		{"no iat, no jti", nil, oidctest.Claims{"iat": nil, "jti": nil}, func(c *oidc.IssuerClaims) { c.IssuedAt, c.ID = time.Time{}, "" }},
		{"several audiences", nil, oidctest.Claims{"aud": []string{"other", audience}}, func(*oidc.IssuerClaims) {}},
	} {
		s := startIssuer(t, test.change)
		got, err := s.verify(t, s.token(test.claims))
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		want := oidc.IssuerClaims{
			Subject: "user_1", Username: "user_1", Scopes: []string{"streams:read", "streams:write"},
			IssuedAt: s.clk.Now(), Expiry: s.clk.Now().Add(5 * time.Minute), ID: "jti-1",
		}
		test.want(&want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.what, diff)
		}
	}
}

func TestIssuerRefusesTokensThatDoNotHold(t *testing.T) {
	s := startIssuer(t, nil)
	now := s.clk.Now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, test := range []struct {
		what   string
		claims oidctest.Claims
		want   error
	}{
		{"good", nil, nil},
		{"another issuer", oidctest.Claims{"iss": "https://evil.example"}, oidc.ErrIssuerToken},
		{"the issuer with a slash", oidctest.Claims{"iss": s.idp.URL + "/"}, oidc.ErrIssuerToken},
		{"no issuer", oidctest.Claims{"iss": nil}, oidc.ErrIssuerToken},
		{"issuer in other letters", oidctest.Claims{"iss": nil, "ISS": s.idp.URL}, oidc.ErrIssuerToken},
		{"a list of issuers", oidctest.Claims{"iss": []string{s.idp.URL}}, oidc.ErrIssuerToken},
		{"another audience", oidctest.Claims{"aud": "https://other.example"}, oidc.ErrIssuerToken},
		{"an audience that begins alike", oidctest.Claims{"aud": audience + ".evil.example"}, oidc.ErrIssuerToken},
		{"no audience", oidctest.Claims{"aud": nil}, oidc.ErrIssuerToken},
		{"empty audience", oidctest.Claims{"aud": []string{}}, oidc.ErrIssuerToken},
		{"audience in an object", oidctest.Claims{"aud": oidctest.Claims{"a": audience}}, oidc.ErrIssuerToken},
		{"no subject", oidctest.Claims{"sub": nil}, oidc.ErrIssuerToken},
		{"empty subject", oidctest.Claims{"sub": ""}, oidc.ErrIssuerToken},
		{"subject of two lines", oidctest.Claims{"sub": "a\r\nWave-Scopes: *"}, oidc.ErrIssuerToken},
		{"subject that is a number", oidctest.Claims{"sub": 7}, oidc.ErrIssuerToken},
		{"expired", oidctest.Claims{"exp": in(-time.Second)}, oidc.ErrIssuerExpired},
		{"expires now", oidctest.Claims{"exp": in(0)}, oidc.ErrIssuerExpired},
		{"expires soon", oidctest.Claims{"exp": in(time.Second)}, nil},
		{"no expiry", oidctest.Claims{"exp": nil}, oidc.ErrIssuerToken},
		{"expiry that is text", oidctest.Claims{"exp": fmt.Sprint(in(time.Hour))}, oidc.ErrIssuerToken},
		{"expiry before time", oidctest.Claims{"exp": -1}, oidc.ErrIssuerToken},
		{"expiry beyond time", oidctest.Claims{"exp": 1e300}, oidc.ErrIssuerToken},
		{"made in a minute", oidctest.Claims{"iat": in(time.Minute)}, nil},
		{"made in more than a minute", oidctest.Claims{"iat": in(time.Minute + time.Second)}, oidc.ErrIssuerToken},
		{"made at no time", oidctest.Claims{"iat": "now"}, oidc.ErrIssuerToken},
		{"valid in a minute", oidctest.Claims{"nbf": in(time.Minute)}, nil},
		{"valid in more than a minute", oidctest.Claims{"nbf": in(time.Minute + time.Second)}, oidc.ErrIssuerToken},
		{"valid from no time", oidctest.Claims{"nbf": "now"}, oidc.ErrIssuerToken},
		{"an ID token", oidctest.Claims{"at_hash": "x"}, oidc.ErrIssuerToken},
		{"an ID token with a nonce", oidctest.Claims{"nonce": "x"}, oidc.ErrIssuerToken},
		{"an access token of Keycloak", oidctest.Claims{"nonce": "x", "typ": "Bearer"}, nil},
		{"an ID token of Cognito", oidctest.Claims{"token_use": "id"}, oidc.ErrIssuerToken},
		{"an ID token of Keycloak", oidctest.Claims{"typ": "ID"}, oidc.ErrIssuerToken},
		{"a logout token", oidctest.Claims{"events": oidctest.Claims{"http://schemas.openid.net/event/backchannel-logout": oidctest.Claims{}}}, oidc.ErrIssuerToken},
	} {
		raw := s.token(test.claims)
		_, err := s.verify(t, raw)
		wantIs(t, test.what, err, test.want)
		if err != nil && strings.Contains(err.Error(), raw[:20]) {
			t.Errorf("%s: the token is in the error", test.what)
		}
	}
}

func TestIssuerTakesTypesOfAccessTokensAlone(t *testing.T) {
	s := startIssuer(t, nil)
	for typ, want := range map[any]error{
		nil: nil, "JWT": nil, "jwt": nil, "at+jwt": nil, "AT+JWT": nil, "application/at+jwt": nil,
		"logout+jwt": oidc.ErrIssuerToken, "id+jwt": oidc.ErrIssuerToken, "dpop+jwt": oidc.ErrIssuerToken, "JWS": oidc.ErrIssuerToken,
		"wave-assertion+jwt": oidc.ErrIssuerToken, "secevent+jwt": oidc.ErrIssuerToken, "at+jwt ": oidc.ErrIssuerToken,
	} {
		s.idp.AlterHeader(func(h oidctest.Claims) {
			if typ != nil {
				h["typ"] = typ
			}
		})
		_, err := s.verify(t, s.token(oidctest.Claims{"jti": fmt.Sprint(typ)}))
		wantIs(t, fmt.Sprintf("type %v", typ), err, want)
	}
}

func TestIssuerAlgorithms(t *testing.T) {
	for alg, want := range map[string]error{
		"RS256": nil, "RS384": nil, "RS512": nil, "PS256": nil, "PS384": nil, "PS512": nil, "ES256": nil, "ES384": nil, "EdDSA": nil,
		"none": oidc.ErrIssuerToken, "HS256": oidc.ErrIssuerToken,
	} {
		s := startIssuer(t, nil)
		s.idp.SignWith(alg)
		_, err := s.verify(t, s.token(nil))
		wantIs(t, alg, err, want)
	}
}

func TestIssuerTakesNoKeyFromTheToken(t *testing.T) {
	s := startIssuer(t, nil)
	mine := oidctest.New(t, oidctest.Config{Now: s.clk.Now})
	for what, header := range map[string]oidctest.Claims{
		"jku":     {"jku": mine.URL + "/jwks"},
		"x5u":     {"x5u": mine.URL + "/jwks"},
		"crit":    {"crit": []string{"exp"}},
		"no kid":  {"kid": ""},
		"unknown": {"kid": "made-up"},
	} {
		mine.AlterHeader(func(h oidctest.Claims) {
			maps.Copy(h, header)
		})
		_, err := s.verify(t, mine.Sign(clientID, s.claims(nil)))
		wantIs(t, what, err, oidc.ErrIssuerToken)
	}
	if mine.Count("/jwks") != 0 {
		t.Error("keys were fetched where the token says")
	}
}

func TestIssuerChangedTokensAreRefused(t *testing.T) {
	s := startIssuer(t, nil)
	raw := s.token(nil)
	_, err := s.verify(t, raw)
	must(t, err)
	for i := range raw {
		b := []byte(raw)
		b[i] ^= 1
		_, err := s.verify(t, string(b))
		wantIs(t, fmt.Sprintf("byte %d changed", i), err, oidc.ErrIssuerToken)
		_, err = s.verify(t, raw[:i])
		wantIs(t, fmt.Sprintf("cut after %d", i), err, oidc.ErrIssuerToken)
	}
	for _, text := range []string{raw + "=", raw + ".", raw + "\n", " " + raw, raw + raw, strings.ReplaceAll(raw, ".", ".\n")} {
		_, err := s.verify(t, text)
		wantIs(t, "with more", err, oidc.ErrIssuerToken)
	}
}

func TestIssuerSizesComeFirst(t *testing.T) {
	s := startIssuer(t, nil)
	for what, raw := range map[string]string{
		"nothing":            "",
		"a megabyte of dots": strings.Repeat(".", 1<<20),
		"8 KB of dots":       strings.Repeat(".", 8<<10),
		"two dots":           "..",
		"encrypted":          "a.b.c.d.e",
		"giant":              s.token(oidctest.Claims{"pad": strings.Repeat("a", 8<<10)}),
		"deep":               "e30." + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("[", 6000))) + ".e30",
	} {
		_, err := s.verify(t, raw)
		wantIs(t, what, err, oidc.ErrIssuerToken)
		if _, ok := oidc.PeekIssuer(raw); ok {
			t.Errorf("%s: an issuer was found in it", what)
		}
	}
	if n := s.idp.Count("/jwks"); n != 0 {
		t.Errorf("keys were fetched %d times for that", n)
	}
	_, err := s.verify(t, s.token(oidctest.Claims{"pad": strings.Repeat("a", 5<<10)}))
	must(t, err)
}

func TestPeekIssuer(t *testing.T) {
	s := startIssuer(t, nil)
	if iss, ok := oidc.PeekIssuer(s.token(nil)); !ok || iss != s.idp.URL {
		t.Errorf("%q, %t", iss, ok)
	}
	for _, payload := range []string{"", "{}", "[]", "null", "7", `{"iss":7}`, `{"ISS":"a"}`, `{"iss":"a"}x`, `{"iss":""}`} {
		if iss, ok := oidc.PeekIssuer("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".e30"); ok {
			t.Errorf("%s: issuer %q", payload, iss)
		}
	}
	for _, raw := range []string{"wave_live_0123456789abcdef0123456789abcdef", "a.!.b", "a.b"} {
		if iss, ok := oidc.PeekIssuer(raw); ok {
			t.Errorf("%s: issuer %q", raw, iss)
		}
	}
}

func FuzzPeekIssuer(f *testing.F) {
	f.Add("e30.eyJpc3MiOiJhIn0.e30")
	f.Add("..")
	is, err := oidc.NewIssuer(oidc.IssuerConfig{Issuer: "https://id.example.com", Audience: audience, JWKSURL: "https://127.0.0.1:1/"})
	must(f, err)
	is.Close() // whatever would need a key fails
	f.Fuzz(func(t *testing.T, raw string) {
		if iss, ok := oidc.PeekIssuer(raw); ok == (iss == "") {
			t.Errorf("%q: %q, %t", raw, iss, ok)
		}
		if _, err := is.Verify(t.Context(), raw); err == nil {
			t.Errorf("%q was taken without a key", raw)
		}
	})
}

func BenchmarkIssuerVerify(b *testing.B) {
	s := startIssuer(b, nil)
	raw := s.token(nil)
	_, err := s.verify(b, raw)
	must(b, err)
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.is.Verify(b.Context(), raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("peek", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			oidc.PeekIssuer(raw)
		}
	})
}
