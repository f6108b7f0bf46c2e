package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// minSecret is the least length of a shared secret, in bytes: that of an HS256 tag
// (RFC 7518, section 3.2).
const minSecret = 32

// maxSubject bounds the subject of a shared token, in bytes.
const maxSubject = 256

// The two ways in which programs spell {"alg":"HS256","typ":"JWT"}, up to the first
// dot. There is no other header of a shared token: one that names another algorithm,
// a key or a critical extension is not even looked at.
const (
	sharedHeader  = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." // {"alg":"HS256","typ":"JWT"}
	sharedHeader2 = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9." // {"typ":"JWT","alg":"HS256"}
)

// Shared issues and verifies session tokens that are signed by a secret which apps
// share, so that they can check them without asking. Whoever knows the secret can
// make such tokens too: they say what they hold, and cannot be revoked. Its methods
// may be called by any number of goroutines.
type Shared struct {
	secret   []byte
	lifetime time.Duration
	now      func() time.Time
	signer   jose.Signer
}

// NewShared returns a Shared with a secret of at least 32 bytes. No token is good for
// longer than lifetime, in whole seconds, whoever made it; 0 is DefaultLifetime.
func NewShared(secret []byte, lifetime time.Duration) (*Shared, error) {
	var problems []error
	if len(secret) < minSecret {
		problems = append(problems, fmt.Errorf("token: a shared secret of %d bytes is shorter than %d", len(secret), minSecret))
	}
	if lifetime != 0 && lifetime < time.Second {
		problems = append(problems, fmt.Errorf("token: a lifetime of %v is too short", lifetime))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	s := &Shared{secret: slices.Clone(secret), lifetime: lifetime.Truncate(time.Second), now: time.Now}
	if s.lifetime == 0 {
		s.lifetime = DefaultLifetime
	}
	key := jose.SigningKey{Algorithm: jose.HS256, Key: s.secret}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("token: shared secret: %w", err)
	}
	s.signer = signer
	return s, nil
}

// String keeps the secret out of logs and errors.
func (Shared) String() string { return "[shared session tokens]" }

// GoString keeps it out of %#v.
func (Shared) GoString() string { return "[shared session tokens]" }

// SharedClaims are what a shared token says.
type SharedClaims struct {
	Subject string
	Scopes  []string
	Expiry  time.Time // UTC, whole seconds
}

// sharedPayload is the body of the JWT. A token that names its issuer or audience is
// of somebody else who uses the same secret, or for somebody else.
type sharedPayload struct {
	Subject   string `json:"sub"`
	IssuedAt  *int64 `json:"iat"` // seconds; no fractions, no exponents
	Expiry    *int64 `json:"exp"`
	Scope     string `json:"scope"`
	NotBefore *int64 `json:"nbf,omitempty"`
	Issuer    given  `json:"iss,omitzero"`
	Audience  given  `json:"aud,omitzero"`
}

// given notes that a claim is there, whatever its value.
type given bool

func (g *given) UnmarshalJSON([]byte) error {
	*g = true
	return nil
}

// Issue returns a fresh token for a subject of up to 256 bytes, and how long it is
// good for. Scopes are as RFC 6749, section 3.3, has them; there may be none. It
// fails where either cannot be in a token.
func (s *Shared) Issue(sub string, scopes []string) (raw string, expires time.Duration, err error) {
	if !isSubject(sub) {
		return "", 0, fmt.Errorf("token: a subject is up to %d bytes of text without control characters", maxSubject)
	}
	if slices.Contains(scopes, "") || !areScopes(scopes) {
		return "", 0, errors.New("token: a scope is ASCII without spaces, quotes and backslashes")
	}
	issued := s.now().Unix()
	expiry := issued + int64(s.lifetime/time.Second)
	raw, err = jwt.Signed(s.signer).Claims(map[string]any{
		"sub": sub, "iat": issued, "exp": expiry, "scope": strings.Join(scopes, " "),
	}).Serialize()
	if err != nil {
		return "", 0, fmt.Errorf("token: signing: %w", err)
	}
	if len(raw) > maxSize {
		return "", 0, fmt.Errorf("token: a token of %d bytes is longer than %d: there are too many scopes", len(raw), maxSize)
	}
	return raw, s.lifetime, nil
}

// Verify returns what a token says that was signed with the secret and has not
// expired. Claims that it does not know are passed over, but one with iss or aud is
// refused. The error is ErrInvalid or ErrExpired; neither says more, so that nothing
// of a token gets into logs.
func (s *Shared) Verify(raw string) (SharedClaims, error) {
	if !IsShared(raw) || !isCanonical(raw) {
		return SharedClaims{}, ErrInvalid
	}
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return SharedClaims{}, ErrInvalid
	}
	var p sharedPayload
	if err := parsed.Claims(s.secret, &p); err != nil {
		return SharedClaims{}, ErrInvalid
	}
	return s.check(p)
}

// check judges what a rightly signed token says.
func (s *Shared) check(p sharedPayload) (SharedClaims, error) {
	now := s.now()
	ahead := now.Add(maxAhead).Unix()
	c := SharedClaims{Subject: p.Subject, Scopes: strings.Fields(p.Scope)}
	switch {
	case !isSubject(p.Subject) || !areScopes(strings.Split(p.Scope, " ")) || bool(p.Issuer || p.Audience):
		return SharedClaims{}, ErrInvalid
	case p.IssuedAt == nil || p.Expiry == nil || *p.IssuedAt < 0 || *p.IssuedAt > ahead || *p.Expiry < *p.IssuedAt:
		return SharedClaims{}, ErrInvalid
	case *p.Expiry-*p.IssuedAt > int64(s.lifetime/time.Second) || p.NotBefore != nil && *p.NotBefore > ahead:
		return SharedClaims{}, ErrInvalid
	}
	c.Expiry = time.Unix(*p.Expiry, 0).UTC()
	if !now.Before(c.Expiry) {
		return SharedClaims{}, ErrExpired
	}
	return c, nil
}

// IsShared reports whether raw has the header of a shared token, so that it can be
// one and no token of another kind. It is cheap, allocates nothing, and verifies
// nothing.
func IsShared(raw string) bool {
	return LooksLike(raw) && (strings.HasPrefix(raw, sharedHeader) || strings.HasPrefix(raw, sharedHeader2))
}

// isSubject reports whether s can be the subject of a shared token.
func isSubject(s string) bool {
	return s != "" && len(s) <= maxSubject && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// areScopes reports whether all of the scopes, or "" for none, are spelt as RFC 6749,
// section 3.3, wants.
func areScopes(scopes []string) bool {
	strange := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }
	return !slices.ContainsFunc(scopes, func(s string) bool { return strings.ContainsFunc(s, strange) })
}
