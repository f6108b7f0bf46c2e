package provider

import (
	"crypto"
	"crypto/elliptic"
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// assertion signs claims, with more headers.
func assertion(tb testing.TB, key any, alg jose.SignatureAlgorithm, headers, claims map[string]any) string {
	tb.Helper()
	options := &jose.SignerOptions{}
	for name, value := range headers {
		options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		tb.Fatal(err)
	}
	jws, err := signer.Sign(marshal(tb, claims))
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// claimsFor returns good claims, some of which are replaced; nil takes one away.
func claimsFor(id string, replaced map[string]any) map[string]any {
	claims := map[string]any{
		"iss": id, "sub": id, "aud": "https://id.example.com", "jti": NewClientID(),
		"exp": noon.Unix() + 60, "iat": noon.Unix(), "nbf": noon.Unix(),
	}
	maps.Copy(claims, replaced)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func asserted(raw string, pairs ...string) Credentials {
	return body(append(pairs, "client_assertion", raw, "client_assertion_type", assertionType)...)
}

func TestAssertionsProveAClient(t *testing.T) {
	ec, ec384, ed, rsaKey := newECKey(t), newECKeyOn(t, elliptic.P384()), newEdKey(t), newRSAKey(t)
	c := goodClient(func(c *Client) { c.JWKS = jwks(t, ec, ec384, ed, rsaKey) })
	p, s := appProvider(c)
	for name, tt := range map[string]struct {
		key     crypto.Signer
		alg     jose.SignatureAlgorithm
		headers map[string]any
		claims  map[string]any
	}{
		"ES256": {ec, jose.ES256, nil, nil}, "ES384": {ec384, jose.ES384, nil, nil}, "EdDSA": {ed, jose.EdDSA, nil, nil},
		"RS256": {rsaKey, jose.RS256, nil, nil}, "PS256": {rsaKey, jose.PS256, nil, nil},
		"typ JWT":                       {ec, jose.ES256, map[string]any{"typ": "JWT"}, nil},
		"typ of assertions":             {ec, jose.ES256, map[string]any{"typ": "client-authentication+jwt"}, nil},
		"a key ID that keys do not say": {ec, jose.ES256, map[string]any{"kid": "a"}, nil},
		"aud is the token endpoint":     {ec, jose.ES256, nil, map[string]any{"aud": "https://id.example.com/oauth/token"}},
		"aud is the endpoint of PAR":    {ec, jose.ES256, nil, map[string]any{"aud": "https://id.example.com/oauth/par"}},
		"aud is a list of one":          {ec, jose.ES256, nil, map[string]any{"aud": []string{"https://id.example.com"}}},
		"an hour":                       {ec, jose.ES256, nil, map[string]any{"exp": noon.Unix() + 3600}},
		"without iat and nbf":           {ec, jose.ES256, nil, map[string]any{"iat": nil, "nbf": nil}},
		"a clock that is ahead":         {ec, jose.ES256, nil, map[string]any{"iat": noon.Unix() + 60, "nbf": noon.Unix() + 60}},
		"a long jti":                    {ec, jose.ES256, nil, map[string]any{"jti": strings.Repeat("j", maxAssertionID)}},
		"claims that nobody knows":      {ec, jose.ES256, nil, map[string]any{"x": map[string]any{"y": 1}}},
	} {
		raw := assertion(t, tt.key, tt.alg, tt.headers, claimsFor(c.ID, tt.claims))
		if got, err := p.Authenticate(t.Context(), asserted(raw)); err != nil || got.ID != c.ID {
			t.Errorf("%s: %v", name, err)
		}
		_, err := p.Authenticate(t.Context(), asserted(raw, "client_id", c.ID))
		wantRefusal(t, name+", again", err, InvalidClient, "used before")
	}
	for _, expires := range s.used {
		if expires.Before(noon) || expires.After(noon.Add(maxAssertionLife)) {
			t.Errorf("an assertion is noted until %v", expires)
		}
	}
}

func TestAssertionsThatProveNothing(t *testing.T) {
	ec, other := newECKey(t), newECKey(t)
	named := func(c *Client) { c.JWKS = set(t, ec.Public(), map[string]any{"kid": "a", "alg": "ES256"}) }
	c, secret, public, disabled := goodClient(named), goodClient(), publicClient(), goodClient(named)
	disabled.DisabledAt = noon
	p, s := appProvider(c, secret, public, disabled)
	public256 := marshal(t, jose.JSONWebKey{Key: ec.Public()})
	for name, tt := range map[string]struct {
		id      string
		key     any
		alg     jose.SignatureAlgorithm
		headers map[string]any
		claims  map[string]any
		says    string
	}{
		"another key":                 {c.ID, other, jose.ES256, nil, nil, "none of the client's keys"},
		"another key of its own":      {c.ID, other, jose.ES256, map[string]any{"jwk": jose.JSONWebKey{Key: other.Public()}}, nil, "none of the client's keys"},
		"another key ID":              {c.ID, ec, jose.ES256, map[string]any{"kid": "b"}, nil, "none of the client's keys"},
		"another kind of key":         {c.ID, newRSAKey(t), jose.RS256, nil, nil, "none of the client's keys"},
		"HS256 by the public key":     {c.ID, public256, jose.HS256, nil, nil, "allowed algorithms"},
		"HS256 by the ID":             {c.ID, []byte(strings.Repeat(c.ID, 2)), jose.HS256, nil, nil, "allowed algorithms"},
		"ES512":                       {c.ID, newECKeyOn(t, elliptic.P521()), jose.ES512, nil, nil, "allowed algorithms"},
		"RS512":                       {c.ID, newRSAKey(t), jose.RS512, nil, nil, "allowed algorithms"},
		"an access token":             {c.ID, ec, jose.ES256, map[string]any{"typ": "at+jwt"}, nil, "typ"},
		"a logout token":              {c.ID, ec, jose.ES256, map[string]any{"typ": "logout+jwt"}, nil, "typ"},
		"typ is a number":             {c.ID, ec, jose.ES256, map[string]any{"typ": 5}, nil, "typ"},
		"a header that must be known": {c.ID, ec, jose.ES256, map[string]any{"crit": []string{"x"}, "x": 1}, nil, ""},
		"iss of another":              {c.ID, ec, jose.ES256, nil, map[string]any{"iss": secret.ID}, "iss and sub"},
		"iss missing":                 {c.ID, ec, jose.ES256, nil, map[string]any{"iss": nil}, "iss and sub"},
		"aud missing":                 {c.ID, ec, jose.ES256, nil, map[string]any{"aud": nil}, "aud"},
		"aud empty":                   {c.ID, ec, jose.ES256, nil, map[string]any{"aud": ""}, "aud"},
		"aud of others":               {c.ID, ec, jose.ES256, nil, map[string]any{"aud": "https://id.example.com/"}, "aud"},
		"aud is a client":             {c.ID, ec, jose.ES256, nil, map[string]any{"aud": c.ID}, "aud"},
		"aud of two":                  {c.ID, ec, jose.ES256, nil, map[string]any{"aud": []string{"https://id.example.com", "https://evil.example"}}, "aud"},
		"aud of none":                 {c.ID, ec, jose.ES256, nil, map[string]any{"aud": []string{}}, "aud"},
		"aud twice":                   {c.ID, ec, jose.ES256, nil, map[string]any{"aud": []string{"https://id.example.com", "https://id.example.com"}}, "aud"},
		"exp missing":                 {c.ID, ec, jose.ES256, nil, map[string]any{"exp": nil}, "expired"},
		"exp now":                     {c.ID, ec, jose.ES256, nil, map[string]any{"exp": noon.Unix()}, "expired"},
		"exp is a string":             {c.ID, ec, jose.ES256, nil, map[string]any{"exp": "1"}, "cannot be read"},
		"exp is far":                  {c.ID, ec, jose.ES256, nil, map[string]any{"exp": noon.Unix() + 3601}, "more than an hour"},
		"exp is beyond numbers":       {c.ID, ec, jose.ES256, nil, map[string]any{"exp": 1e300}, ""},
		"iat of the future":           {c.ID, ec, jose.ES256, nil, map[string]any{"iat": noon.Unix() + 62}, "future"},
		"nbf of the future":           {c.ID, ec, jose.ES256, nil, map[string]any{"nbf": noon.Unix() + 62}, "future"},
		"jti missing":                 {c.ID, ec, jose.ES256, nil, map[string]any{"jti": nil}, "jti"},
		"jti too long":                {c.ID, ec, jose.ES256, nil, map[string]any{"jti": strings.Repeat("j", maxAssertionID+1)}, "jti"},
		"jti is a number":             {c.ID, ec, jose.ES256, nil, map[string]any{"jti": 5}, "cannot be read"},
		"jti with a NUL":              {c.ID, ec, jose.ES256, nil, map[string]any{"jti": "a\x00"}, "jti"},
		"too large":                   {c.ID, ec, jose.ES256, nil, map[string]any{"x": strings.Repeat("x", maxAssertion)}, ""},
		"of a client with secrets":    {secret.ID, ec, jose.ES256, nil, nil, "has secrets"},
		"of a public client":          {public.ID, ec, jose.ES256, nil, nil, "public"},
		"of a disabled client":        {disabled.ID, ec, jose.ES256, nil, nil, "no such client"},
		"of an unknown client":        {"client_x", ec, jose.ES256, nil, nil, "no such client"},
		"of nobody":                   {"", ec, jose.ES256, nil, nil, "no client is named"},
	} {
		raw := assertion(t, tt.key, tt.alg, tt.headers, claimsFor(tt.id, tt.claims))
		if tt.says != "" {
			_, err := p.Authenticate(t.Context(), asserted(raw, "client_id", tt.id))
			wantRefusal(t, name, err, InvalidClient, tt.says)
		}
		_, err := p.Authenticate(t.Context(), asserted(raw))
		wantRefusal(t, name+", without client_id", err, InvalidClient, "")
	}
	good := assertion(t, ec, jose.ES256, nil, claimsFor(c.ID, nil))
	parts := strings.Split(good, ".")
	for name, raw := range map[string]string{
		"no JWT": "x", "none": "eyJhbGciOiJub25lIn0." + parts[1] + ".", "no signature": parts[0] + "." + parts[1] + ".",
		"another payload": parts[0] + "." + strings.Split(assertion(t, other, jose.ES256, nil, claimsFor(c.ID, nil)), ".")[1] + "." + parts[2],
	} {
		_, err := p.Authenticate(t.Context(), asserted(raw, "client_id", c.ID))
		wantRefusal(t, name, err, InvalidClient, "the assertion is not valid")
	}
	_, err := p.Authenticate(t.Context(), asserted(good, "client_id", secret.ID))
	wantRefusal(t, "in the name of another", err, InvalidClient, "has secrets")
	if len(s.used) != 0 {
		t.Errorf("%d assertions were used up", len(s.used))
	}
	if _, err := p.Authenticate(t.Context(), asserted(good)); err != nil {
		t.Errorf("the good one, after all: %v", err)
	}
}

func TestOneOfManyEqualAssertionsCounts(t *testing.T) {
	key := newECKey(t)
	c := goodClient(func(c *Client) { c.JWKS = jwks(t, key) })
	p, _ := appProvider(c)
	raw := assertion(t, key, jose.ES256, nil, claimsFor(c.ID, nil))
	var good atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := p.Authenticate(t.Context(), asserted(raw)); err == nil {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if n := good.Load(); n != 1 {
		t.Errorf("%d were taken", n)
	}
}

func TestAStoreThatFailsTakesNoAssertion(t *testing.T) {
	key := newECKey(t)
	c := goodClient(func(c *Client) { c.JWKS = jwks(t, key) })
	p, s := appProvider(c)
	if _, err := p.client(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	raw := assertion(t, key, jose.ES256, nil, claimsFor(c.ID, nil))
	s.set(func(s *appStore) { s.fault = errors.New("down") })
	_, err := p.Authenticate(t.Context(), asserted(raw))
	wantRefusal(t, "a fault", err, Unavailable, "down")
	s.set(func(s *appStore) { s.fault = nil })
	if _, err := p.Authenticate(t.Context(), asserted(raw)); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

// FuzzAssertion: nobody but the holder of the key makes one that is taken, however
// the good one is written.
func FuzzAssertion(f *testing.F) {
	key := newECKey(f)
	c := goodClient(func(c *Client) { c.JWKS = jwks(f, key) })
	good := assertion(f, key, jose.ES256, nil, claimsFor(c.ID, map[string]any{"jti": "good"}))
	f.Add(good)
	f.Add(good[:len(good)-4])
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, raw string) {
		p, s := appProvider(c)
		_ = assertionSubject(raw)
		_, err := p.Authenticate(t.Context(), asserted(raw))
		if _, used := s.used[c.ID+" good"]; used != (err == nil) || len(s.used) > 1 {
			t.Errorf("%q: %v, and %d assertions were used up", raw, err, len(s.used))
		}
	})
}

func BenchmarkAuthenticateAssertion(b *testing.B) {
	key := newECKey(b)
	c := goodClient(func(c *Client) { c.JWKS = jwks(b, key) })
	p, s := appProvider(c)
	p.now = time.Now
	sent := asserted(assertion(b, key, jose.ES256, nil, claimsFor(c.ID, map[string]any{"exp": time.Now().Unix() + 3000, "iat": nil, "nbf": nil})))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Authenticate(b.Context(), sent); err != nil {
			b.Fatal(err)
		}
		clear(s.used)
	}
}
