package gateway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"wavegate/server/identity"
)

// AssertionType is the typ header of a Wave-Assertion, so that it can be taken
// for no other kind of token (RFC 8725 §3.11).
const AssertionType = "wave-assertion+jwt"

const (
	assertionTTL   = 60 * time.Second // from iat to exp
	assertionReuse = 20 * time.Second // how long one assertion serves further requests
)

// A Signer signs the Wave-Assertion header: a short-lived ES256 JWT that tells
// an app who is asking in a way that only this server can.
type Signer struct {
	signer jose.Signer
	issuer string
	keyID  string
	jwks   []byte
}

// assertion is the claims of a Wave-Assertion.
type assertion struct {
	Issuer   string   `json:"iss"`
	Audience string   `json:"aud"`
	Subject  string   `json:"sub"`
	IssuedAt int64    `json:"iat"`
	Expiry   int64    `json:"exp"`
	ID       string   `json:"jti"`
	Username string   `json:"username,omitempty"`
	Email    string   `json:"email,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Method   string   `json:"auth_method,omitempty"`
	KeyID    string   `json:"key_id,omitempty"`
}

// NewSigner returns a Signer for P-256 keys: the first one signs, all of them
// are published, so that replicas of which some have a newer key than others
// verify for each other. The issuer is this server's public URL. A key's ID is
// its RFC 7638 thumbprint.
func NewSigner(issuer string, keys ...*ecdsa.PrivateKey) (*Signer, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("gateway: no key to sign assertions with")
	}
	var set jose.JSONWebKeySet
	for _, key := range keys {
		public, err := publicKey(key)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, public)
	}
	jwks, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("gateway: signing key: %w", err)
	}
	keyID := set.Keys[0].KeyID
	private := jose.JSONWebKey{Key: keys[0], KeyID: keyID}
	options := (&jose.SignerOptions{}).WithType(AssertionType)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, options)
	if err != nil {
		return nil, fmt.Errorf("gateway: signing key: %w", err)
	}
	return &Signer{signer: signer, issuer: issuer, keyID: keyID, jwks: jwks}, nil
}

// publicKey returns the half of a key that the JWKS shows.
func publicKey(key *ecdsa.PrivateKey) (jose.JSONWebKey, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return jose.JSONWebKey{}, fmt.Errorf("gateway: the key that signs assertions must be on the curve P-256")
	}
	public := jose.JSONWebKey{Key: key.Public(), Algorithm: string(jose.ES256), Use: "sig"}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("gateway: signing key: %w", err)
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	return public, nil
}

// KeyID returns the ID under which the key stands in the JWKS.
func (s *Signer) KeyID() string { return s.keyID }

// JWKS returns the public keys as a JSON Web Key Set (RFC 7517 §5). The caller
// must not change it.
func (s *Signer) JWKS() []byte { return s.jwks }

// Sign returns a fresh assertion about who for one audience, the name of the
// route. It is good for 60 seconds.
func (s *Signer) Sign(who *identity.Principal, audience string) (string, error) {
	now := time.Now()
	token, err := jwt.Signed(s.signer).Claims(assertion{
		Issuer:   s.issuer,
		Audience: audience,
		Subject:  who.Subject,
		IssuedAt: now.Unix(),
		Expiry:   now.Add(assertionTTL).Unix(),
		ID:       rand.Text(),
		Username: who.Username,
		Email:    who.Email,
		Groups:   who.Groups,
		Scopes:   who.Scopes,
		Method:   string(who.Method),
		KeyID:    who.KeyID,
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("gateway: signing an assertion: %w", err)
	}
	return token, nil
}
