package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// How long ago the keys must have been fetched for a token that none of them
// fits to have them fetched again. What the token endpoint hands out is fresh
// and cost the provider a request already. Logout tokens come from anybody.
const (
	restForOwn     = 0
	restForForeign = 10 * time.Second
)

// A keySet holds the public keys of a provider.
type keySet []jose.JSONWebKey

// fetchKeys fetches the key set that the metadata names.
func (p *Provider) fetchKeys(ctx context.Context) (keySet, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	return p.keysAt(ctx, m.Keys)
}

// keysAt fetches the key set at an address.
func (s source) keysAt(ctx context.Context, address string) (keySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.getJSON(ctx, "the provider's keys", address, &set); err != nil {
		if status, ok := errors.AsType[*statusError](err); ok {
			return nil, failure(Misconfigured, "%w", status)
		}
		return nil, err
	}
	var keys keySet
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		// Keys of kinds that are not known here are passed over (RFC 7517 §5).
		if err := json.Unmarshal(raw, &key); err == nil && isVerifier(key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, failure(Misconfigured, "the provider's keys at %s: none of %d can verify a signature", address, len(set.Keys))
	}
	return keys, nil
}

// isVerifier reports whether key is a public key for signatures that is strong
// enough (RFC 7518 §3.3).
func isVerifier(key jose.JSONWebKey) bool {
	if key.Use == "enc" || !key.Valid() {
		return false
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

// payload returns what jws carries if one of the keys signed it.
func (keys keySet) payload(jws *jose.JSONWebSignature) ([]byte, bool) {
	header := jws.Signatures[0].Header
	for _, key := range keys {
		if header.KeyID != "" && key.KeyID != "" && header.KeyID != key.KeyID {
			continue
		}
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// A signed is a token whose signature is right. Nothing else was looked at.
type signed struct {
	alg     jose.SignatureAlgorithm
	typ     string // lower case, without "application/"
	payload []byte
	claims  claims
}

// verify checks the signature of raw, a token of at most limit bytes. rest says
// how eagerly new keys are fetched.
func (p *Provider) verify(ctx context.Context, raw string, limit int, rest time.Duration) (*signed, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	jws, err := parse(raw, limit, m.signedWith)
	if err != nil {
		return nil, err
	}
	return verified(ctx, p.keys, jws, rest)
}

// verified checks the signature of jws, which may have the keys fetched again.
func verified(ctx context.Context, set *document[keySet], jws *jose.JSONWebSignature, rest time.Duration) (*signed, error) {
	keys, err := set.get(ctx)
	if err != nil {
		return nil, err
	}
	payload, ok := keys.payload(jws)
	if !ok {
		if keys, err = set.renew(ctx, rest); err != nil {
			return nil, err
		}
		payload, ok = keys.payload(jws)
	}
	header := jws.Signatures[0].Header
	if !ok {
		return nil, failure(Untrusted, "the signature is by none of the provider's keys (key ID %s)", foreign(header.KeyID))
	}
	c, err := parseClaims(payload)
	if err != nil {
		return nil, failure(Untrusted, "the claims cannot be read: %w", err)
	}
	return &signed{jose.SignatureAlgorithm(header.Algorithm), typeOf(header), payload, c}, nil
}

// typeOf returns the type of a token in lower case, without "application/".
func typeOf(header jose.Header) string {
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

// parse reads the compact form of a signed token. The size comes first, and an
// encrypted token is not touched: a small one can unpack to a very large one.
func parse(raw string, limit int, algorithms []jose.SignatureAlgorithm) (*jose.JSONWebSignature, error) {
	if len(raw) > limit {
		return nil, failure(Untrusted, "a token of %d bytes, over %d", len(raw), limit)
	}
	switch strings.Count(raw, ".") {
	case 2:
	case 4:
		return nil, failure(Misconfigured, "the token is encrypted").advise("turn the encryption of tokens off for this client at the provider")
	default:
		return nil, failure(Untrusted, "not a signed token")
	}
	if !isBase64URL(raw) {
		return nil, failure(Untrusted, "not a signed token")
	}
	jws, err := jose.ParseSignedCompact(raw, algorithms)
	if alg, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
		return nil, failure(Untrusted, "a token signed with %s, which the provider does not announce or which is not accepted", foreign(string(alg.Got)))
	}
	if err != nil {
		return nil, failure(Untrusted, "not a signed token: %s", foreign(err.Error()))
	}
	return jws, nil
}

// isBase64URL reports whether each part of a token is written in the one way
// that there is: decoders pass over line ends and spare bits.
func isBase64URL(raw string) bool {
	for part := range strings.SplitSeq(raw, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return false
		}
	}
	return true
}
