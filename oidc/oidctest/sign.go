package oidctest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// A keyring holds one private key for each kind of algorithm that was asked
// for. Keys are made when they are first needed: RSA ones take a while.
type keyring map[string]jose.JSONWebKey

func newKeyring() keyring {
	k := keyring{}
	k.key("ES256")
	return k
}

// key returns the key for alg.
func (k keyring) key(alg string) jose.JSONWebKey {
	kind := alg
	if strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS") {
		kind = "RSA"
	}
	if key, ok := k[kind]; ok {
		return key
	}
	k[kind] = jose.JSONWebKey{Key: generate(kind), KeyID: random(), Use: "sig"}
	return k[kind]
}

func generate(kind string) any {
	var key any
	var err error
	switch kind {
	case "RSA":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		panic(err) // the generator of the operating system
	}
	return key
}

func (k keyring) public() jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, key := range k {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

// sign returns the compact form of a token for a client. It is called with p.mu
// held.
func (p *Provider) sign(claims, header Claims, client Client) string {
	header["alg"] = p.faults.alg
	var key any
	switch p.faults.alg {
	case "none":
	case "HS256":
		key = []byte(client.Secret)
	default:
		private := p.keys.key(p.faults.alg)
		if header["kid"] == nil {
			header["kid"] = private.KeyID
		}
		key = private.Key
	}
	if p.faults.header != nil {
		p.faults.header(header)
	}
	return SignJWT(header, claims, key)
}

// Sign returns a token for a client with these claims, signed as the provider's
// other tokens are.
func (p *Provider) Sign(clientID string, claims Claims) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sign(claims, Claims{}, p.clients[clientID])
}

// SignJWT returns the compact form of a token with this header, whose "alg" says
// how it is signed. key is a private key, bytes for HMAC, or nil for none.
func SignJWT(header, claims Claims, key any) string {
	alg, _ := header["alg"].(string)
	if key == nil {
		return encode(header) + "." + encode(claims) + "."
	}
	options := &jose.SignerOptions{}
	for name, value := range header {
		if name != "alg" {
			options.WithHeader(jose.HeaderKey(name), value)
		}
	}
	if secret, ok := key.([]byte); ok && len(secret) < 32 {
		key = append(secret, make([]byte, 32-len(secret))...) // HMAC pads with zeros too
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, options)
	if err != nil {
		panic(err)
	}
	jws, err := signer.Sign(marshal(claims))
	if err != nil {
		panic(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return raw
}

func encode(v any) string { return base64.RawURLEncoding.EncodeToString(marshal(v)) }

func marshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// halfHash is at_hash for a token signed with alg (Core 1.0 §3.1.3.6).
func halfHash(alg, token string) string {
	sum := sha512.Sum512([]byte(token))
	hash := sum[:]
	switch {
	case strings.HasSuffix(alg, "256"):
		short := sha256.Sum256([]byte(token))
		hash = short[:]
	case strings.HasSuffix(alg, "384"):
		middle := sha512.Sum384([]byte(token))
		hash = middle[:]
	}
	return base64.RawURLEncoding.EncodeToString(hash[:len(hash)/2])
}
