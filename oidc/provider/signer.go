package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// A signer is a key that could be opened.
type signer struct {
	SigningKey
	private crypto.Signer
	public  json.RawMessage   // as a JWK
	heads   map[string]string // encoded headers, by type
}

// newSigner returns a key that is what its row says it is.
func newSigner(row SigningKey, private any) (*signer, error) {
	key, ok := private.(crypto.Signer)
	if !ok || algorithmOf(key) != row.Algorithm {
		return nil, errors.New("it is a key for something else")
	}
	s := &signer{SigningKey: row, private: key, heads: map[string]string{}}
	jwk := jose.JSONWebKey{Key: key.Public(), KeyID: row.ID, Algorithm: row.Algorithm, Use: "sig"}
	if id, err := thumbprint(jwk); err != nil || id != row.ID {
		return nil, errors.New("it is not the key that it is named for")
	}
	var err error
	if s.public, err = jwk.MarshalJSON(); err != nil {
		return nil, err
	}
	for _, typ := range []string{typeAccess, typeID} {
		s.heads[typ] = encodeHeader(header{Algorithm: row.Algorithm, KeyID: row.ID, Type: typ})
	}
	return s, nil
}

// algorithmOf returns the algorithm that a key is for, "" for none of ours.
func algorithmOf(key crypto.Signer) string {
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P256() {
			return algES256
		}
	case *rsa.PrivateKey:
		if key.N.BitLen() >= rsaBits {
			return algRS256
		}
	}
	return ""
}

// thumbprint returns the ID of a key (RFC 7638).
func thumbprint(jwk jose.JSONWebKey) (string, error) {
	sum, err := jwk.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}
