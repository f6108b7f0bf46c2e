// Package token makes and checks session tokens: short-lived JWTs with which a
// program speaks for a browser session or an access key without holding the
// cookie or the secret.
//
// It knows no session and no key: whoever verifies a token must look up what
// its Claims name, so that it ends with what it was made from. A token of this
// kind can be taken for no other, and no other for it: type, key, issuer and
// audience are all checked (RFC 8725).
//
// Shared is another kind, for apps that check tokens themselves by a secret: it
// stands for a subject and scopes alone, and ends only when it expires.
package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Type is the typ header of a session token.
const Type = "wavegate-session+jwt"

// DefaultLifetime is how long a token is good for where Config says nothing.
const DefaultLifetime = 10 * time.Minute

// maxSize bounds a token, in bytes. What is longer is not even parsed.
const maxSize = 4 << 10

// maxAhead is how far the clock of another replica may be ahead of ours.
const maxAhead = time.Minute

// What is wrong with a token. Callers answer both with 401; ErrExpired tells
// an honest caller to ask for a new one.
var (
	ErrInvalid = errors.New("token: not a session token of this server")
	ErrExpired = errors.New("token: the session token has expired")
)

// Config is what a Signer needs to know.
type Config struct {
	Issuer   string              // this server's public URL, or another name that its replicas share
	Keys     []*ecdsa.PrivateKey // on P-256; the first signs, all verify
	Lifetime time.Duration       // from issue to expiry, in whole seconds; 0 is DefaultLifetime
	Now      func() time.Time    // nil is time.Now
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var problems []error
	if c.Issuer == "" {
		problems = append(problems, errors.New("token: the issuer is empty"))
	}
	if len(c.Keys) == 0 {
		problems = append(problems, errors.New("token: there is no key to sign with"))
	}
	for _, key := range c.Keys {
		if key == nil || key.Curve != elliptic.P256() {
			problems = append(problems, errors.New("token: every key must be on the curve P-256"))
		}
	}
	if c.Lifetime != 0 && c.Lifetime < time.Second {
		problems = append(problems, fmt.Errorf("token: a lifetime of %v is too short", c.Lifetime))
	}
	return errors.Join(problems...)
}

// A Signer issues and verifies session tokens. Its methods may be called by any
// number of goroutines.
type Signer struct {
	issuer   string
	lifetime time.Duration
	now      func() time.Time
	signer   jose.Signer
	keys     map[string]*ecdsa.PublicKey // by ID, the RFC 7638 thumbprint
}

// New returns a Signer.
func New(cfg Config) (*Signer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Signer{issuer: cfg.Issuer, lifetime: cfg.Lifetime.Truncate(time.Second), now: cfg.Now, keys: map[string]*ecdsa.PublicKey{}}
	if s.lifetime == 0 {
		s.lifetime = DefaultLifetime
	}
	if s.now == nil {
		s.now = time.Now
	}
	current := ""
	for _, key := range cfg.Keys {
		id, err := keyID(key)
		if err != nil {
			return nil, err
		}
		if current == "" {
			current = id
		}
		s.keys[id] = &key.PublicKey
	}
	private := jose.JSONWebKey{Key: cfg.Keys[0], KeyID: current}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, (&jose.SignerOptions{}).WithType(Type))
	if err != nil {
		return nil, fmt.Errorf("token: signing key: %w", err)
	}
	s.signer = signer
	return s, nil
}

// keyID returns the RFC 7638 thumbprint of a key.
func keyID(key *ecdsa.PrivateKey) (string, error) {
	public := jose.JSONWebKey{Key: key.Public()}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("token: signing key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// Claims say for whom a token speaks: for a browser session or for an access
// key, never for both.
type Claims struct {
	Subject   string
	SessionID string // of a session, its public name
	KeyID     string // of an access key
	Stamp     string // of that access key: changes with its secret. Whoever holds the token can read it
}

// whole reports whether the claims name one session or one key.
func (c Claims) whole() bool {
	session := c.SessionID != "" && c.KeyID == "" && c.Stamp == ""
	key := c.SessionID == "" && c.KeyID != "" && c.Stamp != ""
	return c.Subject != "" && (session || key)
}

// payload is the body of the JWT.
type payload struct {
	Issuer    string           `json:"iss"`
	Audience  string           `json:"aud"`
	Subject   string           `json:"sub"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	Expiry    *jwt.NumericDate `json:"exp"`
	ID        string           `json:"jti"`
	SessionID string           `json:"sid,omitempty"`
	KeyID     string           `json:"key_id,omitempty"`
	Stamp     string           `json:"key_stamp,omitempty"`
}

// Issue returns a fresh token and how long it is good for. It fails where the
// claims name no one session or key, or are too long for a token.
func (s *Signer) Issue(c Claims) (raw string, expires time.Duration, err error) {
	if !c.whole() {
		return "", 0, errors.New("token: claims must name a subject, and either a session or a key with its stamp")
	}
	now := s.now()
	raw, err = jwt.Signed(s.signer).Claims(payload{
		Issuer: s.issuer, Audience: s.issuer, Subject: c.Subject,
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(s.lifetime)), ID: rand.Text(),
		SessionID: c.SessionID, KeyID: c.KeyID, Stamp: c.Stamp,
	}).Serialize()
	if err != nil {
		return "", 0, fmt.Errorf("token: signing: %w", err)
	}
	if len(raw) > maxSize {
		return "", 0, fmt.Errorf("token: a token of %d bytes is longer than %d: the subject is too long", len(raw), maxSize)
	}
	return raw, s.lifetime, nil
}

// Verify returns the claims of a token that this server, or one that shares its
// keys, issued and that has not expired. The error is ErrInvalid or ErrExpired;
// neither says more, so that nothing of a token gets into logs.
func (s *Signer) Verify(raw string) (Claims, error) {
	if !LooksLike(raw) || !isCanonical(raw) {
		return Claims{}, ErrInvalid
	}
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || len(parsed.Headers) != 1 {
		return Claims{}, ErrInvalid
	}
	header := parsed.Headers[0]
	key := s.keys[header.KeyID]
	if key == nil || header.ExtraHeaders[jose.HeaderType] != Type {
		return Claims{}, ErrInvalid
	}
	var p payload
	if err := parsed.Claims(key, &p); err != nil {
		return Claims{}, ErrInvalid
	}
	return s.check(p)
}

// check judges what a rightly signed token says.
func (s *Signer) check(p payload) (Claims, error) {
	c := Claims{Subject: p.Subject, SessionID: p.SessionID, KeyID: p.KeyID, Stamp: p.Stamp}
	now := s.now()
	switch {
	case p.Issuer != s.issuer || p.Audience != s.issuer || !c.whole() || p.ID == "":
		return Claims{}, ErrInvalid
	case p.IssuedAt == nil || p.Expiry == nil || p.IssuedAt.Time().After(now.Add(maxAhead)):
		return Claims{}, ErrInvalid
	case !now.Before(p.Expiry.Time()):
		return Claims{}, ErrExpired
	}
	return c, nil
}

// LooksLike reports whether raw could be a session token: three non-empty parts
// of base64url with dots between them, and not too long. It is cheap, allocates
// nothing, and says nothing about whose token it is.
func LooksLike(raw string) bool {
	if len(raw) > maxSize {
		return false
	}
	dots, last := 0, -1
	for i := range len(raw) {
		if base64url[raw[i]] {
			continue
		}
		if raw[i] != '.' || i == last+1 {
			return false
		}
		dots, last = dots+1, i
	}
	return dots == 2 && last+1 < len(raw)
}

// base64url are the characters of base64url: a table, since every request with a
// token is asked.
var base64url = func() (in [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		in[c] = true
	}
	return in
}()

// isCanonical reports whether every part is spelt as an encoder spells it.
// Unused bits at the end would give one token several spellings.
func isCanonical(raw string) bool {
	for part := range strings.SplitSeq(raw, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return false
		}
	}
	return true
}
