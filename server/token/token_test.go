package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
)

const issuer = "https://gate.example.com"

// start is the time at which the tests' clocks stand.
func start() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 700e6, time.UTC) }

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newSigner makes a Signer whose clock the test moves.
func newSigner(t testing.TB, keys ...*ecdsa.PrivateKey) (*Signer, *clock) {
	t.Helper()
	c := &clock{start()}
	s, err := New(Config{Issuer: issuer, Keys: keys, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func session() Claims { return Claims{Subject: "u-1", SessionID: "s-1"} }

// issue returns a token for a session.
func issue(t testing.TB, s *Signer) string {
	t.Helper()
	raw, expires, err := s.Issue(session())
	if err != nil || expires != DefaultLifetime {
		t.Fatal(expires, err)
	}
	return raw
}

// part decodes one part of a token.
func part(t testing.TB, raw string, i int) map[string]any {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[i])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTokensSayWhoseTheyAre(t *testing.T) {
	key := newKey(t)
	s, _ := newSigner(t, key)
	for _, c := range []Claims{session(), {Subject: "KEY", KeyID: "KEY", Stamp: "abc"}} {
		raw, expires, err := s.Issue(c)
		if err != nil || expires != 10*time.Minute {
			t.Fatal(expires, err)
		}
		got, err := s.Verify(raw)
		if diff := cmp.Diff(c, got); diff != "" || err != nil || !LooksLike(raw) {
			t.Errorf("%v: %s", err, diff)
		}
	}
}

func TestTokensAreSpeltAsDocumented(t *testing.T) {
	s, _ := newSigner(t, newKey(t))
	raw, _, err := s.Issue(Claims{Subject: "KEY", KeyID: "KEY", Stamp: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	header, claims := part(t, raw, 0), part(t, raw, 1)
	if id, _ := header["kid"].(string); len(id) != 43 || s.keys[id] == nil {
		t.Errorf("kid %q", id)
	}
	delete(header, "kid")
	if diff := cmp.Diff(map[string]any{"typ": "wavegate-session+jwt", "alg": "ES256"}, header); diff != "" {
		t.Errorf("header: %s", diff)
	}
	if id, _ := claims["jti"].(string); len(id) < 26 {
		t.Errorf("jti %q", id)
	}
	delete(claims, "jti")
	want := map[string]any{
		"iss": issuer, "aud": issuer, "sub": "KEY", "key_id": "KEY", "key_stamp": "abc",
		"iat": float64(start().Unix()), "exp": float64(start().Unix() + 600),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims: %s", diff)
	}
	again, _, err := s.Issue(Claims{Subject: "KEY", KeyID: "KEY", Stamp: "abc"})
	if err != nil || part(t, again, 1)["jti"] == part(t, raw, 1)["jti"] {
		t.Errorf("two tokens share their jti: %v", err)
	}
}

func TestTokensExpire(t *testing.T) {
	s, c := newSigner(t, newKey(t))
	raw := issue(t, s)
	for _, step := range []struct {
		after time.Duration
		want  error
	}{
		{0, nil},
		{-time.Minute, nil}, // a replica whose clock is behind
		{-2 * time.Minute, ErrInvalid},
		{10*time.Minute - time.Second, nil},
		{10 * time.Minute, ErrExpired},
		{24 * time.Hour, ErrExpired},
	} {
		c.at = start().Add(step.after)
		if _, err := s.Verify(raw); !errors.Is(err, step.want) || (err == nil) != (step.want == nil) {
			t.Errorf("after %v: got %v, want %v", step.after, err, step.want)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	old, current := newKey(t), newKey(t)
	before, _ := newSigner(t, old)
	between, _ := newSigner(t, current, old)
	after, _ := newSigner(t, current)
	raw := issue(t, before)
	if _, err := between.Verify(raw); err != nil {
		t.Errorf("a token of the key before: %v", err)
	}
	if _, err := after.Verify(raw); !errors.Is(err, ErrInvalid) {
		t.Errorf("a token of a key that is gone: %v", err)
	}
	if _, err := after.Verify(issue(t, between)); err != nil {
		t.Errorf("the first key does not sign: %v", err)
	}
}

// forge signs claims with any header.
func forge(t testing.TB, algorithm jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, claims map[string]any) string {
	t.Helper()
	options := &jose.SignerOptions{ExtraHeaders: header}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// goodHeader and goodClaims are those of a token that is taken.
func goodHeader(s *Signer) map[jose.HeaderKey]any {
	for id := range s.keys {
		return map[jose.HeaderKey]any{"typ": Type, "kid": id}
	}
	return nil
}

func goodClaims() map[string]any {
	now := start().Unix()
	return map[string]any{"iss": issuer, "aud": issuer, "sub": "u-1", "sid": "s-1", "iat": now, "exp": now + 600, "jti": "j-1"}
}

// TestOtherTokensAreRefused changes one thing at a time of a token that is
// taken and rightly signed.
func TestOtherTokensAreRefused(t *testing.T) {
	key := newKey(t)
	s, _ := newSigner(t, key)
	if _, err := s.Verify(forge(t, jose.ES256, key, goodHeader(s), goodClaims())); err != nil {
		t.Fatalf("the token to start from: %v", err)
	}
	gone := struct{}{}
	for _, c := range []struct {
		name   string
		header map[jose.HeaderKey]any
		claims map[string]any
	}{
		{"typ of the assertion", map[jose.HeaderKey]any{"typ": "wave-assertion+jwt"}, nil},
		{"typ of an access token", map[jose.HeaderKey]any{"typ": "at+jwt"}, nil},
		{"typ of a logout token", map[jose.HeaderKey]any{"typ": "logout+jwt"}, nil},
		{"typ JWT", map[jose.HeaderKey]any{"typ": "JWT"}, nil},
		{"typ in another case", map[jose.HeaderKey]any{"typ": strings.ToUpper(Type)}, nil},
		{"no typ", map[jose.HeaderKey]any{"typ": gone}, nil},
		{"typ of another kind", map[jose.HeaderKey]any{"typ": []string{Type}}, nil},
		{"no kid", map[jose.HeaderKey]any{"kid": gone}, nil},
		{"other kid", map[jose.HeaderKey]any{"kid": "x"}, nil},
		{"critical header", map[jose.HeaderKey]any{"crit": []string{"exp"}, "exp": 1}, nil},
		{"other issuer", nil, map[string]any{"iss": "https://evil.example"}},
		{"issuer with a slash", nil, map[string]any{"iss": issuer + "/"}},
		{"no issuer", nil, map[string]any{"iss": gone}},
		{"other audience", nil, map[string]any{"aud": "app.test/api"}},
		{"several audiences", nil, map[string]any{"aud": []string{issuer, "x"}}},
		{"no audience", nil, map[string]any{"aud": gone}},
		{"no subject", nil, map[string]any{"sub": gone}},
		{"no session", nil, map[string]any{"sid": gone}},
		{"session and key", nil, map[string]any{"key_id": "K", "key_stamp": "x"}},
		{"session and stamp", nil, map[string]any{"key_stamp": "x"}},
		{"key without stamp", nil, map[string]any{"sid": gone, "key_id": "K"}},
		{"stamp without key", nil, map[string]any{"sid": gone, "key_stamp": "x"}},
		{"no exp", nil, map[string]any{"exp": gone}},
		{"no iat", nil, map[string]any{"iat": gone}},
		{"iat ahead", nil, map[string]any{"iat": start().Unix() + 120}},
		{"exp as text", nil, map[string]any{"exp": "2099-01-01"}},
		{"exp beyond counting", nil, map[string]any{"exp": 1e300}},
		{"no jti", nil, map[string]any{"jti": gone}},
	} {
		header, claims := goodHeader(s), goodClaims()
		maps.Copy(header, c.header)
		maps.Copy(claims, c.claims)
		maps.DeleteFunc(header, func(_ jose.HeaderKey, v any) bool { return v == gone })
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == gone })
		if got, err := s.Verify(forge(t, jose.ES256, key, header, claims)); !errors.Is(err, ErrInvalid) || got != (Claims{}) {
			t.Errorf("%s: got %+v %v", c.name, got, err)
		}
	}
}

func TestOtherKeysAndAlgorithmsAreRefused(t *testing.T) {
	key := newKey(t)
	s, _ := newSigner(t, key)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	good := issue(t, s)
	parts := strings.Split(good, ".")
	none := map[string]any{"alg": "none", "typ": Type, "kid": goodHeader(s)["kid"]}
	embedded := goodHeader(s)
	stranger := newKey(t)
	embedded["jwk"] = jose.JSONWebKey{Key: stranger.Public()}
	for name, raw := range map[string]string{
		"another key":                         forge(t, jose.ES256, stranger, goodHeader(s), goodClaims()),
		"another key that comes along":        forge(t, jose.ES256, stranger, embedded, goodClaims()),
		"HS256 with the public key":           forge(t, jose.HS256, public, goodHeader(s), goodClaims()),
		"HS256 with the public key's point":   forge(t, jose.HS256, point, goodHeader(s), goodClaims()),
		"none":                                encode(none) + "." + encode(goodClaims()) + ".",
		"none with a signature":               encode(none) + "." + encode(goodClaims()) + "." + parts[2],
		"a signature of another token":        parts[0] + "." + parts[1] + "." + strings.Split(issue(t, s), ".")[2],
		"claims of another token":             parts[0] + "." + encode(goodClaims()) + "." + parts[2],
		"no signature":                        parts[0] + "." + parts[1] + ".",
		"two parts":                           parts[0] + "." + parts[1],
		"the token twice":                     good + "." + good,
		"a space before":                      " " + good,
		"a line break within":                 parts[0] + ".\n" + parts[1] + "." + parts[2],
		"padding":                             parts[0] + "=." + parts[1] + "." + parts[2],
		"the alphabet of plain base64":        strings.NewReplacer("-", "+", "_", "/").Replace(parts[0]) + "+." + parts[1] + "." + parts[2],
		"JSON serialisation":                  `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"empty":                               "",
		"two dots":                            "..",
		"a megabyte of dots":                  strings.Repeat(".", 1<<20),
		"a megabyte of a token":               parts[0] + "." + strings.Repeat("A", 1<<20) + "." + parts[2],
		"a deeply nested header":              base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("[", 2000))) + "." + parts[1] + "." + parts[2],
		"a number for a header":               encode(7) + "." + parts[1] + "." + parts[2],
		"a header with two typ":               base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"x","typ":"`+Type+`"}`)) + "." + parts[1] + "." + parts[2],
		"a key of ours by its ID in the path": strings.Replace(good, parts[0], encode(map[string]any{"alg": "ES256", "typ": Type, "kid": "../" + goodHeader(s)["kid"].(string)}), 1),
		"an access key pair":                  "KEY:secret",
		"an API key":                          "wave_live_0123456789abcdef0123456789abcdef",
	} {
		if got, err := s.Verify(raw); !errors.Is(err, ErrInvalid) || got != (Claims{}) {
			t.Errorf("%s: got %+v %v", name, got, err)
		}
	}
}

func TestEncryptedTokensAreNotUnpacked(t *testing.T) {
	key := newKey(t)
	s, _ := newSigner(t, key)
	recipient := jose.Recipient{Algorithm: jose.ECDH_ES, Key: key.Public(), KeyID: goodHeader(s)["kid"].(string)}
	options := (&jose.EncrypterOptions{Compression: jose.DEFLATE}).WithType(Type)
	encrypter, err := jose.NewEncrypter(jose.A256GCM, recipient, options)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Encrypted(encrypter).Claims(goodClaims()).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(raw); !errors.Is(err, ErrInvalid) || LooksLike(raw) {
		t.Errorf("got %v", err)
	}
}

// TestEveryBitFlipAndTruncationIsRefused: no token has a second spelling.
func TestEveryBitFlipAndTruncationIsRefused(t *testing.T) {
	s, _ := newSigner(t, newKey(t))
	raw := issue(t, s)
	for i := range raw {
		for bit := range 8 {
			flipped := []byte(raw)
			flipped[i] ^= 1 << bit
			if _, err := s.Verify(string(flipped)); !errors.Is(err, ErrInvalid) {
				t.Fatalf("bit %d of byte %d: got %v", bit, i, err)
			}
		}
		if _, err := s.Verify(raw[:i]); !errors.Is(err, ErrInvalid) {
			t.Fatalf("cut at %d: got %v", i, err)
		}
		if _, err := s.Verify(raw[i+1:]); !errors.Is(err, ErrInvalid) {
			t.Fatalf("cut before %d: got %v", i, err)
		}
	}
}

func TestIssueRefusesClaimsThatNameNobodyOrTwo(t *testing.T) {
	s, _ := newSigner(t, newKey(t))
	for _, c := range []Claims{
		{},
		{Subject: "u"},
		{SessionID: "s"},
		{Subject: "u", KeyID: "k"},
		{Subject: "u", Stamp: "x"},
		{Subject: "u", SessionID: "s", KeyID: "k", Stamp: "x"},
		{Subject: "u", SessionID: "s", Stamp: "x"},
		{KeyID: "k", Stamp: "x"},
		{Subject: strings.Repeat("u", maxSize), SessionID: "s"},
	} {
		if raw, _, err := s.Issue(c); err == nil || raw != "" {
			t.Errorf("%.80v: got %q", c, raw)
		}
	}
}

func TestConfigSaysEverythingThatIsWrong(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(Config{Keys: []*ecdsa.PrivateKey{nil, other}, Lifetime: -1})
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("got %v", err)
	}
	if _, err := New(Config{Issuer: issuer}); err == nil {
		t.Error("no key: taken")
	}
}

func TestLifetimeIsConfigured(t *testing.T) {
	s, err := New(Config{Issuer: issuer, Keys: []*ecdsa.PrivateKey{newKey(t)}, Lifetime: 90*time.Second + time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	raw, expires, err := s.Issue(session())
	if err != nil || expires != 90*time.Second {
		t.Fatal(expires, err)
	}
	claims := part(t, raw, 1)
	if got := claims["exp"].(float64) - claims["iat"].(float64); got != 90 {
		t.Errorf("from iat to exp: %v s", got)
	}
}
