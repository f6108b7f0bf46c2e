package provider

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestSignedTokensVerifyWithThePublishedKeys(t *testing.T) {
	b := newKeyBench(withRSA())
	list, err := b.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(`{"keys":`+string(list)+`}`), &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%v %s", err, list)
	}
	for _, alg := range algorithms() {
		raw := b.idToken(t, alg, nil)
		jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
		if err != nil {
			t.Fatal(err)
		}
		keys := set.Key(jws.Signatures[0].Header.KeyID)
		if len(keys) != 1 || !keys[0].IsPublic() || keys[0].Use != "sig" || keys[0].Algorithm != alg {
			t.Fatalf("%d keys have the ID: %+v", len(keys), keys)
		}
		if _, err := jws.Verify(keys[0]); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if c, err := b.verifyID(t.Context(), raw); err != nil || c.Subject != "sub:ann" {
			t.Errorf("%s: %v %v", alg, c, err)
		}
	}
	if strings.Contains(string(list), `"d"`) || strings.Contains(string(list), `"p"`) {
		t.Errorf("a private key is published: %s", list)
	}
}

func (b *keyBench) idClaims(change func(*idClaims)) idClaims {
	now := b.now()
	c := idClaims{Issuer: keyIssuer, Subject: "sub:ann", Audience: "client_a", Expiry: now.Add(10 * time.Minute).Unix(), IssuedAt: now.Unix()}
	if change != nil {
		change(&c)
	}
	return c
}

func (b *keyBench) idToken(t testing.TB, alg string, change func(*idClaims)) string {
	t.Helper()
	return b.signed(t, alg, typeID, b.idClaims(change))
}

func (b *keyBench) signed(t testing.TB, alg, typ string, claims any) string {
	t.Helper()
	raw, err := b.keys.sign(t.Context(), alg, typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestHintsAreIDTokensOfOursThatMayBeExpired(t *testing.T) {
	b := newKeyBench(withRSA())
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	tests := []struct {
		name   string
		change func(*idClaims)
		ok     bool
	}{
		{"new", nil, true},
		{"expired", func(c *idClaims) { c.IssuedAt, c.Expiry = ago(48*time.Hour), ago(47*time.Hour) }, true},
		{"older than any grant", func(c *idClaims) { c.IssuedAt = ago(b.rules.GrantLifetime + time.Minute) }, false},
		{"of a clock that is a bit ahead", func(c *idClaims) { c.IssuedAt = ago(-30 * time.Second) }, true},
		{"of the future", func(c *idClaims) { c.IssuedAt = ago(-2 * time.Minute) }, false},
		{"of no time", func(c *idClaims) { c.IssuedAt = 0 }, false},
		{"without end", func(c *idClaims) { c.Expiry = 0 }, false},
		{"of another issuer", func(c *idClaims) { c.Issuer += "/" }, false},
		{"about nobody", func(c *idClaims) { c.Subject = "" }, false},
		{"for nobody", func(c *idClaims) { c.Audience = "" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, alg := range algorithms() {
				c, err := b.verifyID(t.Context(), b.idToken(t, alg, tt.change))
				if (err == nil) != tt.ok || (c.Subject != "") != tt.ok {
					t.Errorf("%s: %v, %v", alg, c, err)
				}
			}
		})
	}
}

// TestTokenKindsDoNotMixAsHints has every kind of token that is not an ID token where
// one belongs.
func TestTokenKindsDoNotMixAsHints(t *testing.T) {
	b := newKeyBench(withRSA())
	id := b.idClaims(nil)
	for name, raw := range b.kinds(t, id) {
		if _, err := b.verifyID(t.Context(), raw); err == nil {
			t.Errorf("%s passes as an ID token", name)
		}
	}
	if _, err := b.verifyID(t.Context(), b.mint(t, nil)); err == nil {
		t.Error("an access token passes as an ID token")
	}
	if _, err := b.verifyID(t.Context(), b.signed(t, algES256, "", id)); err != nil {
		t.Errorf("an ID token without a type: %v", err)
	}
}

func TestIDTokenWithAnyBitFlippedIsRefused(t *testing.T) {
	b := newKeyBench(withRSA())
	for _, alg := range algorithms() {
		raw := b.idToken(t, alg, nil)
		for at := range 8 * len(raw) {
			flipped := []byte(raw)
			flipped[at/8] ^= 1 << (at % 8)
			if _, err := b.verifyID(t.Context(), string(flipped)); err == nil {
				t.Fatalf("%s: bit %d of byte %d may be flipped", alg, at%8, at/8)
			}
		}
	}
}

func TestOneAudienceIsWrittenAsAString(t *testing.T) {
	b := newKeyBench(nil)
	for want, aud := range map[string]audience{
		`"aud":"https://a.example"`:                       {"https://a.example"},
		`"aud":["https://a.example","https://b.example"]`: {"https://a.example", "https://b.example"},
	} {
		raw := b.mint(t, func(c *accessClaims) { c.Audience = aud })
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
		if err != nil || !strings.Contains(string(payload), want) {
			t.Errorf("%s, want %s", payload, want)
		}
		if token := b.lookup(t, raw); len(token.Audience) != len(aud) || token.Audience[0] != aud[0] {
			t.Errorf("read back: %q", token.Audience)
		}
	}
}
