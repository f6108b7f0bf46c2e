package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const sharedSecret = "0123456789abcdef0123456789abcdef"

// newShared makes a Shared whose clock the test moves.
func newShared(t testing.TB, secret string, lifetime time.Duration) (*Shared, *clock) {
	t.Helper()
	s, err := NewShared([]byte(secret), lifetime)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{start()}
	s.now = c.now
	return s, c
}

// issueShared returns a token of ten minutes.
func issueShared(t testing.TB, s *Shared) string {
	t.Helper()
	raw, expires, err := s.Issue("user_123", []string{"read", "write"})
	if err != nil || expires != DefaultLifetime {
		t.Fatal(expires, err)
	}
	return raw
}

// mac signs a header and a payload as they are.
func mac(of func() hash.Hash, secret []byte, header, payload string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	h := hmac.New(of, secret)
	h.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// signed is mac with the secret of the tests.
func signed(header, payload string) string {
	return mac(sha256.New, []byte(sharedSecret), header, payload)
}

const (
	plainHeader = `{"alg":"HS256","typ":"JWT"}`
	goodPayload = `{"sub":"user_123","iat":1777636800,"exp":1777637400,"scope":"read write"}` // at start, for ten minutes
)

// TestSharedTokensAreSpeltAsTheGuideHasThem compares the bytes of what is signed.
func TestSharedTokensAreSpeltAsTheGuideHasThem(t *testing.T) {
	s, _ := newShared(t, sharedSecret, 0)
	raw := issueShared(t, s)
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[0])
	if err != nil || string(header) != plainHeader {
		t.Errorf("header %s, %v", header, err)
	}
	want := map[string]any{"sub": "user_123", "iat": float64(start().Unix()), "exp": float64(start().Unix() + 600), "scope": "read write"}
	if diff := cmp.Diff(want, part(t, raw, 1)); diff != "" {
		t.Errorf("claims: %s", diff)
	}
	got, err := s.Verify(raw)
	wantClaims := SharedClaims{Subject: "user_123", Scopes: []string{"read", "write"}, Expiry: start().Truncate(time.Second).Add(10 * time.Minute)}
	if diff := cmp.Diff(wantClaims, got); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
	if !IsShared(raw) || IsShared(strings.TrimPrefix(raw, "e")) {
		t.Error("it is not told by its header")
	}
}

// TestSharedTokensOfOtherProgramsAreTaken: whoever knows the secret can make one.
func TestSharedTokensOfOtherProgramsAreTaken(t *testing.T) {
	s, _ := newShared(t, sharedSecret, 0)
	for _, raw := range []string{
		signed(plainHeader, goodPayload),
		signed(`{"typ":"JWT","alg":"HS256"}`, goodPayload),
		signed(plainHeader, `{ "scope": "read  write ", "exp":1777637400, "iat":1777636800, "sub":"user_123", "name":"Ann", "roles":["x",{"y":null}], "nbf":1777636800 }`),
	} {
		got, err := s.Verify(raw)
		if err != nil || got.Subject != "user_123" || strings.Join(got.Scopes, " ") != "read write" {
			t.Errorf("%s: got %+v, %v", raw, got, err)
		}
	}
	none, err := s.Verify(signed(plainHeader, `{"sub":"u","iat":1777636800,"exp":1777637400}`))
	if err != nil || len(none.Scopes) != 0 {
		t.Errorf("without scope: got %+v, %v", none, err)
	}
}

// TestSharedTokensExpire moves the clock.
func TestSharedTokensExpire(t *testing.T) {
	s, c := newShared(t, sharedSecret, 0)
	raw := issueShared(t, s)
	for _, step := range []struct {
		after time.Duration
		want  error
	}{
		{0, nil},
		{-time.Minute, nil}, // a replica whose clock is behind
		{-2 * time.Minute, ErrInvalid},
		{9*time.Minute + 59*time.Second, nil},
		{10 * time.Minute, ErrExpired},
		{24 * time.Hour, ErrExpired},
	} {
		c.at = start().Add(step.after)
		if _, err := s.Verify(raw); !errors.Is(err, step.want) || (err == nil) != (step.want == nil) {
			t.Errorf("after %v: got %v, want %v", step.after, err, step.want)
		}
	}
}

// TestSharedTokensWithAnotherPayloadAreRefused changes one thing at a time of a
// token that is taken and rightly signed.
func TestSharedTokensWithAnotherPayloadAreRefused(t *testing.T) {
	s, _ := newShared(t, sharedSecret, 0)
	const iat, exp = `"iat":1777636800`, `"exp":1777637400`
	if _, err := s.Verify(signed(plainHeader, goodPayload)); err != nil {
		t.Fatalf("the token to start from: %v", err)
	}
	long := strings.Repeat("u", maxSubject)
	if _, err := s.Verify(signed(plainHeader, `{"sub":"`+long+`",`+iat+`,`+exp+`}`)); err != nil {
		t.Errorf("the longest subject: %v", err)
	}
	for name, payload := range map[string]string{
		"no subject":               `{` + iat + `,` + exp + `}`,
		"an empty subject":         `{"sub":"",` + iat + `,` + exp + `}`,
		"a long subject":           `{"sub":"u` + long + `",` + iat + `,` + exp + `}`,
		"a number for a subject":   `{"sub":7,` + iat + `,` + exp + `}`,
		"a subject of two lines":   `{"sub":"u\nWave-Subject-ID: admin",` + iat + `,` + exp + `}`,
		"a subject of other case":  `{"SUB":"u",` + iat + `,` + exp + `}`,
		"two subjects":             `{"sub":"u","sub":"admin",` + iat + `,` + exp + `}`,
		"no iat":                   `{"sub":"u",` + exp + `}`,
		"no exp":                   `{"sub":"u",` + iat + `}`,
		"iat null":                 `{"sub":"u","iat":null,` + exp + `}`,
		"iat as text":              `{"sub":"u","iat":"1777636800",` + exp + `}`,
		"iat with a fraction":      `{"sub":"u","iat":1777636800.5,` + exp + `}`,
		"exp with an exponent":     `{"sub":"u",` + iat + `,"exp":17776374e2}`,
		"iat ahead":                `{"sub":"u","iat":1777636861,` + exp + `}`,
		"iat before all time":      `{"sub":"u","iat":-9223372036854775808,"exp":9223372036854775807}`,
		"exp beyond counting":      `{"sub":"u",` + iat + `,"exp":99999999999999999999}`,
		"exp at the end of time":   `{"sub":"u",` + iat + `,"exp":9223372036854775807}`,
		"exp before iat":           `{"sub":"u",` + iat + `,"exp":1777636799}`,
		"longer than the lifetime": `{"sub":"u",` + iat + `,"exp":1777637401}`,
		"nbf ahead":                `{"sub":"u",` + iat + `,` + exp + `,"nbf":1777636861}`,
		"nbf as text":              `{"sub":"u",` + iat + `,` + exp + `,"nbf":"now"}`,
		"an issuer":                `{"sub":"u",` + iat + `,` + exp + `,"iss":"https://gate.example.com"}`,
		"an issuer of nothing":     `{"sub":"u",` + iat + `,` + exp + `,"iss":null}`,
		"an audience":              `{"sub":"u",` + iat + `,` + exp + `,"aud":["x"]}`,
		"an empty audience":        `{"sub":"u",` + iat + `,` + exp + `,"aud":""}`,
		"a list of scopes":         `{"sub":"u",` + iat + `,` + exp + `,"scope":["read"]}`,
		"scopes on two lines":      `{"sub":"u",` + iat + `,` + exp + `,"scope":"read\nwrite"}`,
		"a scope beyond ASCII":     `{"sub":"u",` + iat + `,` + exp + `,"scope":"lösen"}`,
		"a list":                   `["sub"]`,
		"null":                     `null`,
		"no JSON":                  `sub=u`,
		"JSON and more":            goodPayload + `{}`,
	} {
		if got, err := s.Verify(signed(plainHeader, payload)); !errors.Is(err, ErrInvalid) || got.Subject != "" {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// TestSharedTokensWithAnotherHeaderAreRefused: RFC 8725, section 3.1: nothing of the
// header chooses how a token is verified.
func TestSharedTokensWithAnotherHeaderAreRefused(t *testing.T) {
	s, _ := newShared(t, sharedSecret, 0)
	for _, header := range []string{
		`{"alg":"none","typ":"JWT"}`, `{"alg":"HS384","typ":"JWT"}`, `{"alg":"HS512","typ":"JWT"}`, `{"alg":"hs256","typ":"JWT"}`, `{"alg":"ES256","typ":"JWT"}`,
		`{"alg":"HS256"}`, `{"typ":"JWT"}`, `{}`, `[]`, `{"alg":"HS256","typ":"jwt"}`, `{"alg":"HS256","typ":"at+jwt"}`, `{"alg":"HS256","typ":"` + Type + `"}`,
		`{"alg":"HS256","typ":"JWT","kid":"1"}`, `{"alg":"HS256","typ":"JWT","kid":""}`, `{"alg":"HS256","crit":["exp"],"exp":1,"typ":"JWT"}`, `{"alg":"HS256","crit":[],"typ":"JWT"}`,
		`{"alg":"HS256","typ":"JWT","cty":"JWT"}`, `{"alg":"HS256","typ":"JWT","b64":false}`, `{"alg":"HS256","typ":"JWT","zip":"DEF"}`, `{"alg":"HS256","typ":"JWT","jku":"https://evil.example/"}`,
		`{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct","k":"AAAA"}}`, `{"alg":"none","alg":"HS256","typ":"JWT"}`, `{"ALG":"HS256","TYP":"JWT"}`, `{"alg":"HS256", "typ":"JWT"}`,
	} {
		raw := signed(header, goodPayload)
		if got, err := s.Verify(raw); !errors.Is(err, ErrInvalid) || got.Subject != "" || IsShared(raw) {
			t.Errorf("%s: got %+v, %v", header, got, err)
		}
	}
}

// TestTokenKindsOfOneServerDoNotMix: neither verifier takes what is for the other,
// whatever was taken for a secret.
func TestTokenKindsOfOneServerDoNotMix(t *testing.T) {
	key := newKey(t)
	signer, _ := newSigner(t, key)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	s, _ := newShared(t, sharedSecret, 0)
	good := issueShared(t, s)
	for name, raw := range map[string]string{
		"a session token":                     issue(t, signer),
		"ES256 under the plain header":        forge(t, jose.ES256, key, map[jose.HeaderKey]any{"typ": "JWT"}, goodClaims()),
		"HS256 with the public key":           mac(sha256.New, der, plainHeader, goodPayload),
		"HS256 with the public key's PEM":     mac(sha256.New, public, plainHeader, goodPayload),
		"HS256 with the next secret":          mac(sha256.New, []byte(strings.ToUpper(sharedSecret)), plainHeader, goodPayload),
		"HS256 with an empty secret":          mac(sha256.New, nil, plainHeader, goodPayload),
		"HS256 with a cut secret":             mac(sha256.New, []byte(sharedSecret[:31]), plainHeader, goodPayload),
		"a tag of SHA-384":                    mac(sha512.New384, []byte(sharedSecret), plainHeader, goodPayload),
		"a tag of SHA-512":                    mac(sha512.New, []byte(sharedSecret), plainHeader, goodPayload),
		"no tag":                              good[:strings.LastIndex(good, ".")+1],
		"half a tag":                          good[:len(good)-21],
		"the payload of another":              strings.Split(good, ".")[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(goodPayload)) + "." + strings.Split(good, ".")[2],
		"four parts":                          good + ".eyJ9",
		"the token twice":                     good + "." + good,
		"a space before":                      " " + good,
		"a line break":                        strings.Replace(good, ".", ".\n", 1),
		"JSON serialisation":                  `{"payload":"` + strings.Split(good, ".")[1] + `"}`,
		"too long, though rightly signed":     signed(plainHeader, `{"sub":"u","iat":1777636800,"exp":1777637400,"x":"`+strings.Repeat("x", maxSize)+`"}`),
		"a deeply nested claim":               signed(plainHeader, `{"x":`+strings.Repeat("[", 2500)+`}`),
		"no token at all":                     "wave_live_0123456789abcdef0123456789abcdef",
		"nothing":                             "",
		"a tag that is spelt in another way":  respelt(good),
		"HS256 under the session token's typ": mac(sha256.New, []byte(sharedSecret), `{"alg":"HS256","typ":"`+Type+`"}`, goodPayload),
	} {
		if got, err := s.Verify(raw); !errors.Is(err, ErrInvalid) || got.Subject != "" {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	if _, err := signer.Verify(good); !errors.Is(err, ErrInvalid) || IsShared(issue(t, signer)) {
		t.Errorf("a shared token where a session token is wanted: %v", err)
	}
}

// respelt changes the bits at the end of a token that stand for nothing.
func respelt(raw string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, raw[len(raw)-1])
	return raw[:len(raw)-1] + string(alphabet[last^1])
}

// TestSharedTokensEveryBitFlipAndTruncationIsRefused: no token has a second spelling.
func TestSharedTokensEveryBitFlipAndTruncationIsRefused(t *testing.T) {
	s, _ := newShared(t, sharedSecret, 0)
	raw := issueShared(t, s)
	for i := range raw {
		for bit := range 8 {
			flipped := []byte(raw)
			flipped[i] ^= 1 << bit
			if _, err := s.Verify(string(flipped)); !errors.Is(err, ErrInvalid) {
				t.Fatalf("bit %d of byte %d: got %v", bit, i, err)
			}
		}
		for _, cut := range []string{raw[:i], raw[i+1:], raw + raw[i:]} {
			if _, err := s.Verify(cut); !errors.Is(err, ErrInvalid) {
				t.Fatalf("cut at %d: got %v", i, err)
			}
		}
	}
}

// TestSharedTokensComeBackAsTheyWereIssued: what Issue takes, Verify returns.
func TestSharedTokensComeBackAsTheyWereIssued(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := NewShared(rapid.SliceOfN(rapid.Byte(), 32, 100).Draw(t, "secret"), time.Duration(rapid.Int64Range(1, 86400).Draw(t, "seconds"))*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		s.now = start
		sub := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"google|7", "<&>\u2028é", "\x00", "\xff", "a b"})).Draw(t, "sub")
		scopes := rapid.SliceOfN(rapid.OneOf(rapid.StringMatching(`[!#-\[\]-~]{1,9}`), rapid.SampledFrom([]string{"", "a b", `a"`, "é"})), 0, 5).Draw(t, "scopes")
		raw, expires, err := s.Issue(sub, scopes)
		if err != nil {
			if isSubject(sub) && areScopes(scopes) && !strings.Contains(" "+strings.Join(scopes, " ")+" ", "  ") {
				t.Errorf("%q with %q: %v", sub, scopes, err)
			}
			return
		}
		got, err := s.Verify(raw)
		if err != nil || got.Subject != sub || strings.Join(got.Scopes, ",") != strings.Join(scopes, ",") || !got.Expiry.Equal(start().Truncate(time.Second).Add(expires)) {
			t.Errorf("%q with %q came back as %+v, %v", sub, scopes, got, err)
		}
	})
}

func TestSharedIssueRefusesWhatNoTokenCanSay(t *testing.T) {
	s, _ := newShared(t, sharedSecret, 0)
	for _, c := range []struct {
		sub    string
		scopes []string
	}{
		{"", nil},
		{strings.Repeat("u", maxSubject+1), nil},
		{"a\nb", nil},
		{"\xff", nil},
		{"u", []string{""}},
		{"u", []string{"a b"}},
		{"u", []string{`a"`}},
		{"u", []string{`a\`}},
		{"u", []string{"é"}},
		{"u", []string{strings.Repeat("s", maxSize)}},
	} {
		if raw, _, err := s.Issue(c.sub, c.scopes); err == nil || raw != "" {
			t.Errorf("%.80v: got %q", c, raw)
		}
	}
}

func TestSharedSecretIsLongAndItsOwn(t *testing.T) {
	if _, err := NewShared([]byte(sharedSecret[:31]), -1); err == nil || strings.Count(err.Error(), "\n") != 1 || strings.Contains(err.Error(), sharedSecret[:8]) {
		t.Errorf("got %v", err)
	}
	secret := []byte(sharedSecret)
	s, err := NewShared(secret, 90*time.Second+time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	s.now = start
	clear(secret)
	raw, expires, err := s.Issue("u", nil)
	if err != nil || expires != 90*time.Second {
		t.Fatal(expires, err)
	}
	other, _ := newShared(t, sharedSecret, 90*time.Second)
	if _, err := other.Verify(raw); err != nil {
		t.Errorf("the caller's copy of the secret changed ours: %v", err)
	}
	shorter, _ := newShared(t, sharedSecret, 89*time.Second)
	if _, err := shorter.Verify(raw); !errors.Is(err, ErrInvalid) {
		t.Errorf("a token of the lifetime before: %v", err)
	}
}

func TestSharedSecretIsNotPrinted(t *testing.T) {
	s, _ := newShared(t, sharedSecret, 0)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{s, *s, struct{ S *Shared }{s}} {
			got := fmt.Sprintf(format, v)
			if strings.Contains(got, sharedSecret[:8]) || strings.Contains(got, "48 49 50") || strings.Contains(got, "0x30, 0x31") {
				t.Errorf("%s of %T shows the secret: %s", format, v, got)
			}
		}
	}
}

func TestIsSharedCostsNothing(t *testing.T) {
	s, _ := newShared(t, sharedSecret, 0)
	good, other, is := issueShared(t, s), "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.AA", true
	if n := testing.AllocsPerRun(100, func() { is = IsShared(good) && !IsShared(other) }); n != 0 || !is {
		t.Errorf("%v allocations, %v", n, is)
	}
}

func FuzzSharedVerify(f *testing.F) {
	s, _ := newShared(f, sharedSecret, 0)
	good := issueShared(f, s)
	f.Add(good)
	f.Add(signed(`{"alg":"none","typ":"JWT"}`, goodPayload))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, raw string) {
		if got, err := s.Verify(raw); err == nil && raw != good {
			t.Errorf("%q is taken as %+v", raw, got)
		}
	})
}

// FuzzSharedPayload: whatever a holder of the secret signs, what is taken keeps the
// rules.
func FuzzSharedPayload(f *testing.F) {
	s, _ := newShared(f, sharedSecret, 0)
	for _, payload := range []string{goodPayload, `{"sub":"u","iat":1,"exp":2}`, `{"sub":"u","iat":1e9,"exp":1777637400,"aud":null}`} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := s.Verify(signed(plainHeader, string(payload)))
		if err != nil {
			return
		}
		left := got.Expiry.Sub(start())
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatalf("%q is taken, and no JSON: %v", payload, err)
		}
		_, iss := claims["iss"]
		_, aud := claims["aud"]
		if !isSubject(got.Subject) || !areScopes(got.Scopes) || left <= 0 || left > DefaultLifetime+maxAhead || iss || aud {
			t.Errorf("%q is taken as %+v", payload, got)
		}
	})
}
