package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

func TestAccessTokenSaysWhatWasSigned(t *testing.T) {
	b := newKeyBench(nil)
	c := b.claims(nil)
	b.store.states[c.ID] = TokenState{UserID: "usr_ann"}
	token := b.lookup(t, b.mint(t, nil))
	got := []any{token.ID, token.ClientID, token.GrantID, token.UserID, token.Subject, token.Scopes, token.Audience, token.IssuedAt.Unix(), token.ExpiresAt.Unix()}
	want := []any{c.ID, "client_a", "grt_a", "usr_ann", "sub:ann", []string{"streams:read", "streams:write"}, []string{keyIssuer}, c.IssuedAt, c.Expiry}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAccessTokenClaimsAreChecked(t *testing.T) {
	b := newKeyBench(nil)
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	tests := []struct {
		name   string
		change func(*accessClaims)
		want   error
	}{
		{"a client's own", func(c *accessClaims) { c.GrantID, c.Scope = "", "" }, nil},
		{"issuer", func(c *accessClaims) { c.Issuer = "https://gate.example/" }, ErrInvalid},
		{"no audience", func(c *accessClaims) { c.Audience = nil }, ErrInvalid},
		{"no subject", func(c *accessClaims) { c.Subject = "" }, ErrInvalid},
		{"no client", func(c *accessClaims) { c.ClientID = "" }, ErrInvalid},
		{"no ID", func(c *accessClaims) { c.ID = "" }, ErrInvalid},
		{"no issue", func(c *accessClaims) { c.IssuedAt = 0 }, ErrInvalid},
		{"issued a bit ahead", func(c *accessClaims) { c.IssuedAt = ago(-30 * time.Second) }, nil},
		{"issued in the future", func(c *accessClaims) { c.IssuedAt = ago(-2 * time.Minute) }, ErrInvalid},
		{"no expiry", func(c *accessClaims) { c.Expiry = 0 }, ErrInvalid},
		{"expired", func(c *accessClaims) { c.IssuedAt, c.Expiry = ago(time.Hour), ago(time.Second) }, ErrExpired},
		{"expires now", func(c *accessClaims) { c.IssuedAt, c.Expiry = ago(time.Hour), ago(0) }, ErrExpired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantLookup(t, b, b.mint(t, func(c *accessClaims) { c.ID = "jti_" + tt.name; tt.change(c) }), tt.want)
		})
	}
}

func TestSenderConstrainedTokenIsRefusedWhileNoProofIsUnderstood(t *testing.T) {
	b := newKeyBench(nil)
	for _, cnf := range []string{`{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`, `{}`, `null`} {
		raw := b.signed(t, algES256, typeAccess, receivedClaims{b.claims(nil), json.RawMessage(cnf)})
		wantLookup(t, b, raw, ErrInvalid)
	}
}

// kinds returns tokens of every kind that is neither an ID token nor an access token,
// with the claims of one.
func (b *keyBench) kinds(t *testing.T, claims any) map[string]string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{
		"nothing": "", "text": "Bearer", "two dots": "..", "three dots": "...", "four dots": "....",
		"a megabyte of dots":   strings.Repeat(".", 1<<20),
		"a megabyte of a part": strings.Repeat("a", 1<<20) + ".a.a",
	}
	for _, alg := range algorithms() {
		key, err := b.keys.current(t.Context(), alg)
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range []string{"logout+jwt", "token-introspection+jwt", "dpop+jwt", "client-authentication+jwt", "secevent+jwt", "JWT+", "at+jwt "} {
			kinds[alg+" "+typ] = b.signed(t, alg, typ, claims)
		}
		for _, typ := range []string{typeAccess, typeID} {
			maps.Copy(kinds, forgeries(t, key, typ, payload))
		}
	}
	return kinds
}

// forgeries returns tokens that claim to be signed by key.
func forgeries(t *testing.T, key *signer, typ string, payload []byte) map[string]string {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	head := func(alg string) string { return encodeHeader(header{Algorithm: alg, KeyID: key.ID, Type: typ}) }
	name := func(s string) string { return s + " as " + key.Algorithm + " " + typ }
	list := map[string]string{
		name("alg none"):             head("none") + enc(payload) + ".",
		name("no signature"):         head(key.Algorithm) + enc(payload) + ".",
		name("signature of zeros"):   head(key.Algorithm) + enc(payload) + "." + enc(make([]byte, signature)),
		name("signature in DER"):     head(key.Algorithm) + enc(payload) + "." + enc([]byte{0x30, 6, 2, 1, 1, 2, 1, 1}),
		name("JSON serialization"):   `{"payload":"` + enc(payload) + `","protected":"` + strings.TrimSuffix(head(key.Algorithm), ".") + `","signature":"AA"}`,
		name("key of the token"):     selfSigned(t, key, typ, payload),
		name("encrypted"):            encrypted(t, key, typ, payload),
		name("of another algorithm"): head(map[string]string{algES256: algRS256, algRS256: algES256}[key.Algorithm]) + enc(payload) + "." + enc(make([]byte, 256)),
	}
	der, err := x509.MarshalPKIXPublicKey(key.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	for kind, secret := range map[string][]byte{"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWK": key.public} {
		list[name("HS256 with the public key as "+kind)] = hmacSigned(t, key, typ, payload, secret)
	}
	return list
}

func serialize(t *testing.T, by jose.SigningKey, key *signer, typ string, embed bool, payload []byte) string {
	t.Helper()
	options := (&jose.SignerOptions{EmbedJWK: embed}).WithType(jose.ContentType(typ)).WithHeader("kid", key.ID)
	s, err := jose.NewSigner(by, options)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// selfSigned returns a token that brings the key along that verifies it.
func selfSigned(t *testing.T, key *signer, typ string, payload []byte) string {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return serialize(t, jose.SigningKey{Algorithm: jose.ES256, Key: own}, key, typ, true, payload)
}

func hmacSigned(t *testing.T, key *signer, typ string, payload, secret []byte) string {
	t.Helper()
	return serialize(t, jose.SigningKey{Algorithm: jose.HS256, Key: secret}, key, typ, false, payload)
}

// encrypted returns a JWE for the public key.
func encrypted(t *testing.T, key *signer, typ string, payload []byte) string {
	t.Helper()
	to := jose.Recipient{Algorithm: jose.ECDH_ES, Key: key.private.Public(), KeyID: key.ID}
	if _, ok := to.Key.(*rsa.PublicKey); ok {
		to.Algorithm = jose.RSA_OAEP_256
	}
	e, err := jose.NewEncrypter(jose.A128GCM, to, (&jose.EncrypterOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	jwe, err := e.Encrypt(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwe.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestTokenKindsDoNotMixAsAccessTokens has every kind of token that is not an access
// token where one belongs.
func TestTokenKindsDoNotMixAsAccessTokens(t *testing.T) {
	b := newKeyBench(withRSA())
	c := b.claims(nil)
	kinds := b.kinds(t, c)
	kinds["ID token"] = b.signed(t, algES256, typeID, c)
	kinds["ID token of RSA"] = b.signed(t, algRS256, typeID, c)
	kinds["without type"] = b.signed(t, algES256, "", c)
	kinds["signed with RSA"] = b.signed(t, algRS256, typeAccess, c)
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		token, err := b.Lookup(t.Context(), kinds[name])
		if token != nil || !errors.Is(err, ErrForeign) && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, %v", name, token != nil, err)
		}
	}
	if n := b.store.questions(c.ID); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
}

func TestForeignTokensAreToldFromBrokenOnes(t *testing.T) {
	b, other := newKeyBench(nil), newKeyBench(nil)
	ours := b.mint(t, nil)
	sig := strings.LastIndexByte(ours, '.') + 1
	wider := b.mint(t, func(c *accessClaims) { c.Scope = "*" })
	broken := ours[:sig] + wider[strings.LastIndexByte(wider, '.')+1:]
	key, err := b.keys.current(t.Context(), algES256)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(b.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		raw  string
		want error
	}{
		"another server's":            {other.mint(t, func(c *accessClaims) { c.Issuer = "https://other.example" }), ErrForeign},
		"another server's, our name":  {other.mint(t, nil), ErrForeign},
		"an ID token":                 {b.signed(t, algES256, typeID, b.idClaims(nil)), ErrForeign},
		"too long":                    {b.mint(t, func(c *accessClaims) { c.Scope = strings.Repeat("a", maxAccess) }), ErrForeign},
		"opaque":                      {"wgrt_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ErrForeign},
		"ours, broken":                {broken, ErrInvalid},
		"our key ID, another key":     {selfSigned(t, key, typeAccess, payload), ErrInvalid},
		"our key ID, the type longer": {selfSigned(t, key, "application/AT+JWT", payload), ErrInvalid},
		"our key ID, HS256":           {hmacSigned(t, key, typeAccess, payload, key.public), ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) { wantLookup(t, b, tt.raw, tt.want) })
	}
}

func TestAccessTokenWithAnyBitFlippedIsRefused(t *testing.T) {
	b := newKeyBench(nil)
	raw := b.mint(t, nil)
	b.lookup(t, raw)
	for at := range 8 * len(raw) {
		flipped := []byte(raw)
		flipped[at/8] ^= 1 << (at % 8)
		if _, err := b.Lookup(t.Context(), string(flipped)); !errors.Is(err, ErrForeign) && !errors.Is(err, ErrInvalid) {
			t.Fatalf("bit %d of byte %d flipped: %v", at%8, at/8, err)
		}
	}
	for _, raw := range []string{raw + "=", raw + "\n", "\n" + raw, raw + ".", strings.Replace(raw, ".", "\r\n.", 1), raw + "A"} {
		if _, err := b.Lookup(t.Context(), raw); err == nil {
			t.Errorf("%q passes", raw)
		}
	}
}

// TestStrangersNeverReachTheStore has tokens that nobody signed asked about.
func TestStrangersNeverReachTheStore(t *testing.T) {
	b, other := newKeyBench(nil), newKeyBench(nil)
	b.mint(t, nil)
	reads := b.store.reads
	for range 50 {
		raw := other.mint(t, func(c *accessClaims) { c.Issuer = "https://other.example" })
		wantLookup(t, b, raw, ErrForeign)
		wantLookup(t, b, other.mint(t, nil), ErrForeign)
	}
	if len(b.store.asked) != 0 || b.store.reads > reads+1 {
		t.Errorf("the store was asked about tokens %v, and for keys %d times", b.store.asked, b.store.reads-reads)
	}
}

func TestFailingStoreIsNeverARevocation(t *testing.T) {
	b := newKeyBench(nil)
	raw, down := b.mint(t, nil), errors.New("connection refused")
	b.store.set(func() { b.store.err = down })
	wantLookup(t, b, raw, down)
	b.store.set(func() { b.store.err = nil })
	b.lookup(t, raw)
	b.store.set(func() { b.store.err = down })
	b.lookup(t, raw) // is remembered
	b.Lost()
	wantLookup(t, b, raw, down)
	b.store.set(func() { b.store.err = nil })
	b.lookup(t, raw)
}

// TestTokensOfOthersNeedNoStore has the store down before any key was read.
func TestTokensOfOthersNeedNoStore(t *testing.T) {
	down := errors.New("connection refused")
	b, other := newKeyBench(nil), newKeyBench(nil)
	b.store.err = down
	wantLookup(t, b, other.mint(t, func(c *accessClaims) { c.Issuer = "https://other.example" }), ErrForeign)
	wantLookup(t, b, other.mint(t, nil), down) // says that it is ours, and nobody can know
}

func TestLookupOfARememberedTokenAllocatesNothing(t *testing.T) {
	b := newKeyBench(nil)
	raw := b.mint(t, nil)
	b.lookup(t, raw)
	ctx := t.Context()
	make := func(*AccessToken) any { return "made" }
	under := &Rules{}
	if n := testing.AllocsPerRun(100, func() {
		token, err := b.Lookup(ctx, raw)
		if err != nil {
			t.Fatal(err)
		}
		token.Hold()
		defer token.Release()
		if token.Value(under, make) != "made" || !b.Covers(token, "gate.example", "/") || token.Ended().Err() != nil {
			t.Fatal("another value")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzLookup(f *testing.F) {
	b := newKeyBench(nil)
	raw := b.mint(f, func(c *accessClaims) { c.Expiry += 1 << 20 })
	f.Add(raw)
	f.Add("eyJhbGciOiJub25lIn0..")
	f.Add("....")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := b.Lookup(t.Context(), text)
		if (err == nil) != (text == raw) || (token == nil) != (err != nil) {
			t.Fatalf("%q: %v", text, err)
		}
		if _, err := b.verifyID(t.Context(), text); err == nil {
			t.Fatalf("%q passes as an ID token", text)
		}
	})
}
