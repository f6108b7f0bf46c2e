package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// The types of what the keys sign ("typ", RFC 8725, section 3.11).
const (
	typeAccess = "at+jwt" // RFC 9068
	typeID     = "JWT"
)

// Caps on the size of tokens, in bytes, before anything of them is read.
const (
	maxAccess = 8 << 10
	maxID     = 16 << 10
)

// signature is the size of an ES256 signature: r and s (RFC 7518, section 3.4).
const signature = 64

// A header is what a token says of itself before anything is believed.
type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`
}

// typ returns the type in lower case, without "application/" (RFC 7515, section
// 4.1.9).
func (h header) typ() string { return strings.TrimPrefix(strings.ToLower(h.Type), "application/") }

// encodeHeader returns the first part of a token, with its dot.
func encodeHeader(h header) string {
	text, _ := json.Marshal(h) // strings alone
	return base64.RawURLEncoding.EncodeToString(text) + "."
}

// peek returns the header of a token that may be anything, of at most most bytes.
// It is not ok where that is no signed token in compact form.
func peek(raw string, most int) (h header, ok bool) {
	if len(raw) > most || strings.Count(raw, ".") != 2 {
		return header{}, false
	}
	text, err := base64.RawURLEncoding.DecodeString(raw[:strings.IndexByte(raw, '.')])
	if err != nil || json.Unmarshal(text, &h) != nil {
		return header{}, false
	}
	return h, true
}

// signJWT returns a token of an encoded header and claims.
func signJWT(key crypto.Signer, head string, claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	token := make([]byte, 0, len(head)+enc.EncodedLen(len(payload))+1+enc.EncodedLen(256))
	token = append(token, head...)
	token = enc.AppendEncode(token, payload)
	digest := sha256.Sum256(token)
	sig, err := signDigest(key, digest[:])
	if err != nil {
		return "", err
	}
	token = append(token, '.')
	return string(enc.AppendEncode(token, sig)), nil
}

// signDigest signs as the key's algorithm says (RFC 7518, sections 3.3 and 3.4).
func signDigest(key crypto.Signer, digest []byte) ([]byte, error) {
	if ec, ok := key.(*ecdsa.PrivateKey); ok {
		r, s, err := ecdsa.Sign(rand.Reader, ec, digest)
		if err != nil {
			return nil, err
		}
		sig := make([]byte, signature)
		r.FillBytes(sig[:signature/2])
		s.FillBytes(sig[signature/2:])
		return sig, nil
	}
	return rsa.SignPKCS1v15(nil, key.(*rsa.PrivateKey), crypto.SHA256, digest)
}

// openJWT returns the payload of a token that the key signed.
func openJWT(raw string, key *signer) ([]byte, bool) {
	if !isCanonical(raw) {
		return nil, false
	}
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(key.Algorithm)})
	if err != nil || jws.Signatures[0].Header.KeyID != key.ID {
		return nil, false
	}
	payload, err := jws.Verify(key.private.Public())
	return payload, err == nil
}

// isCanonical reports whether each part of a token is written in the one way that
// there is: decoders pass over line ends and spare bits, and a token has one
// spelling.
func isCanonical(raw string) bool {
	for part := range strings.SplitSeq(raw, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return false
		}
	}
	return true
}

// An audience is "aud": one entry is written as a string (RFC 7519, section 4.1.3).
type audience []string

// MarshalJSON implements json.Marshaler.
func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*a = make(audience, 1)
		return json.Unmarshal(text, &(*a)[0])
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// peekIssuer returns "iss" of a token in compact form of which nothing was checked.
func peekIssuer(raw string) string {
	parts := strings.Split(raw, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c struct {
		Issuer string `json:"iss"`
	}
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return ""
	}
	return c.Issuer
}
