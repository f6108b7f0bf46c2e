package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"

	"github.com/go-jose/go-jose/v4"
)

// TestIDTokenIsRefused has one line for each thing that may be wrong with an ID
// token while everything else is right.
func TestIDTokenIsRefused(t *testing.T) {
	claim := func(name string, value any) func(pair) {
		return func(p pair) {
			p.idp.AlterIDToken(func(c oidctest.Claims) {
				if c[name] = value; value == nil {
					delete(c, name)
				}
			})
		}
	}
	moment := func(name string, d time.Duration) func(pair) {
		return func(p pair) { claim(name, p.clk.Now().Add(d).Unix())(p) }
	}
	raw := func(change func(string) string) func(pair) { return func(p pair) { p.idp.ReplaceIDToken(change) } }
	also := func(p pair, name string, value any, likeIt string, right any) {
		p.idp.AlterIDToken(func(c oidctest.Claims) { c[name], c[likeIt] = value, right })
	}
	typ := func(typ string) func(pair) {
		return func(p pair) { p.idp.AlterHeader(func(h oidctest.Claims) { h["typ"] = typ }) }
	}
	for name, test := range map[string]struct {
		fault    func(pair)
		contains string
	}{
		"by another issuer":        {claim("iss", "https://other.example"), "other.example"},
		"issuer with slash":        {func(p pair) { claim("iss", p.idp.URL+"/")(p) }, "issued by a different provider"},
		"without issuer":           {claim("iss", nil), "issued by a different provider"},
		"for another client":       {claim("aud", "other"), "other"},
		"for a client like ours":   {claim("aud", []string{"gate ", "Gate", "gat"}), "audience"},
		"without audience":         {claim("aud", nil), "audience"},
		"issuer in another case":   {func(p pair) { also(p, "iss", "https://other.example", "iſs", p.idp.URL) }, "does not hold"},
		"audience in another case": {func(p pair) { also(p, "aud", "other", "AUD", "gate") }, "does not hold"},
		"audience of numbers":      {claim("aud", []any{clientID, 7}), "idToken.aud"},
		"given to another client":  {claim("azp", "other"), "given to"},
		"for two, given to nobody": {claim("aud", []string{clientID, "other"}), "given to"},
		"azp that is no text":      {claim("azp", []string{clientID}), "given to"},
		"without exp":              {claim("exp", nil), "lacks exp"},
		"exp as text":              {claim("exp", "9999999999"), "lacks exp"},
		"without iat":              {claim("iat", nil), "lacks exp or iat"},
		"expired":                  {moment("exp", -3*time.Minute), "expired 3m0s ago"},
		"from the future":          {moment("iat", 7*time.Minute), "7m0s in the future"},
		"not yet valid":            {moment("nbf", 5*time.Minute), "another 5m0s"},
		"without nonce":            {claim("nonce", nil), "nonce"},
		"another nonce":            {claim("nonce", "nonce-bob"), "nonce"},
		"without subject":          {claim("sub", nil), "subject"},
		"subject of two lines":     {claim("sub", "a\nb"), "subject"},
		"numeric subject":          {claim("sub", 7), "idToken.sub"},
		"of another access token":  {claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), "at_hash"},
		"at_hash that is no text":  {claim("at_hash", 7), "at_hash"},
		"a logout token":           {claim("events", oidctest.Claims{"http://schemas.openid.net/event/backchannel-logout": oidctest.Claims{}}), "another kind"},
		"typ of logout tokens":     {typ("logout+jwt"), "another kind"},
		"typ of access tokens":     {typ("application/at+JWT"), "another kind"},
		"alg none":                 {func(p pair) { p.idp.SignWith("none") }, `"none"`},
		"HMAC with the secret":     {func(p pair) { p.idp.SignWith("HS256") }, `"HS256"`},
		"no token":                 {raw(func(string) string { return "a.b" }), "not a signed token"},
		"no base64":                {raw(func(string) string { return "!.!.!" }), "not a signed token"},
		"a megabyte of dots":       {raw(func(string) string { return strings.Repeat(".", 1<<19) }), "over"},
		"large":                    {raw(func(s string) string { return s + strings.Repeat("A", 65<<10) }), "over"},
		"without signature":        {raw(func(s string) string { return s[:strings.LastIndex(s, ".")+1] }), "signature"},
		"with a line end in it":    {raw(func(s string) string { return s[:9] + "\n" + s[9:] }), "not a signed token"},
		"with spare bits set":      {raw(spareBits), "not a signed token"},
		"changed after signing":    {raw(changedPayload), "signature"},
		"with a key of its own":    {raw(selfSigned), "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, nil)
			test.fault(p)
			login, err := p.signIn(t, "alice")
			if login != nil {
				t.Errorf("signed in as %+v", login)
			}
			wantError(t, err, oidc.Untrusted, test.contains)
		})
	}
}

// spareBits is the same token in another writing: the last letter of the
// signature's 64 bytes stands for two bits alone.
func spareBits(raw string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, raw[len(raw)-1])
	return raw[:len(raw)-1] + alphabet[last|1:][:1]
}

// changedPayload makes somebody else of the token's subject.
func changedPayload(raw string) string {
	parts := strings.Split(raw, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), `"alice"`, `"admin"`, 1)))
	return strings.Join(parts, ".")
}

// selfSigned is the same token by a key that it brings along.
func selfSigned(raw string) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return ""
	}
	header := oidctest.Claims{"alg": "ES256", "jwk": jose.JSONWebKey{Key: key.Public()}}
	return oidctest.SignJWT(header, oidctest.ReadClaims(raw), key)
}

func TestEncryptedIDTokenIsRefusedUnopened(t *testing.T) {
	p := start(t, nil)
	p.idp.ReplaceIDToken(func(string) string {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir","enc":"A128GCM","zip":"DEF"}`))
		return header + "..AAAA.AAAA.AAAA"
	})
	_, err := p.signIn(t, "alice")
	wantError(t, err, oidc.Misconfigured, "encrypted")
}

func TestClocksMayDifferByTwoMinutes(t *testing.T) {
	for name, shift := range map[string]func(now time.Time) (iat, exp time.Time){
		"ahead":  func(now time.Time) (iat, exp time.Time) { return now.Add(110 * time.Second), now.Add(time.Hour) },
		"behind": func(now time.Time) (iat, exp time.Time) { return now.Add(-time.Hour), now.Add(-110 * time.Second) },
	} {
		p := start(t, nil)
		p.idp.AlterIDToken(func(c oidctest.Claims) {
			iat, exp := shift(p.clk.Now())
			c["iat"], c["exp"] = iat.Unix(), exp.Unix()
		})
		if _, err := p.signIn(t, "alice"); err != nil {
			t.Errorf("a provider whose clock is %s: %v", name, err)
		}
	}
}

func TestSigningAlgorithms(t *testing.T) {
	p := start(t, nil)
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		p.idp.SignWith(alg)
		p.idp.RotateKeys()
		if _, err := p.signIn(t, "alice"); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestAlgorithmThatTheProviderDoesNotAnnounceIsRefused(t *testing.T) {
	p := start(t, nil)
	p.idp.AlterMetadata(func(m oidctest.Claims) { delete(m, "id_token_signing_alg_values_supported") })
	_, err := p.signIn(t, "alice") // with ES256; RS256 is what everybody has
	wantError(t, err, oidc.Untrusted, "ES256")
	p.idp.SignWith("RS256")
	p.mustSignIn(t, "alice")
}

func TestSeveralAudiencesAndOurs(t *testing.T) {
	p := start(t, nil)
	p.idp.AlterIDToken(func(c oidctest.Claims) { c["aud"], c["azp"] = []string{"other", clientID}, clientID })
	p.mustSignIn(t, "alice")
	p.idp.AlterIDToken(func(c oidctest.Claims) { delete(c, "at_hash"); delete(c, "sid"); delete(c, "auth_time") })
	if login := p.mustSignIn(t, "alice"); login.SID != "" || !login.AuthTime.IsZero() {
		t.Errorf("session %q, time %s; want none", login.SID, login.AuthTime)
	}
}
