package demo

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// maxToken is how many bytes of a Wave-Assertion are looked at.
const maxToken = 16 << 10

// A claim is one line of a decoded assertion.
type claim struct {
	Name, Value string
	Note        string // the same for people, or ""
}

// An assertion is what the page shows of a Wave-Assertion.
type assertion struct {
	Claims  []claim
	KeyID   string
	Checked bool   // signature and time were checked
	Problem string // why it must not be believed; "" for nothing found
}

// header is the part of a JWS header that matters here.
type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
}

// readAssertion decodes a Wave-Assertion, and checks it if there is a key set.
// It does what every app should do, short of comparing issuer and audience: the
// key set is that of the one gate that this app can have.
func readAssertion(token string, jwks []byte, now time.Time) assertion {
	if len(token) > maxToken {
		return assertion{Problem: "it is too long"}
	}
	parts := strings.Split(token, ".")
	var head header
	var claims map[string]any
	if len(parts) != 3 || decodePart(parts[0], &head) != nil || decodePart(parts[1], &claims) != nil {
		return assertion{Problem: "it is not a signed JWT"}
	}
	a := assertion{Claims: listClaims(claims, now), KeyID: head.KeyID}
	if jwks == nil {
		return a
	}
	a.Checked = true
	if err := verify(parts, head, jwks); err != nil {
		a.Problem = err.Error()
	} else if expiry, ok := claims["exp"].(json.Number); !ok || !now.Before(unixTime(expiry)) {
		a.Problem = "it has expired"
	}
	return a
}

func decodePart(part string, v any) error {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	return decoder.Decode(v)
}

// verify checks an ES256 signature (RFC 7518 section 3.4). No other algorithm
// is taken, whatever the token asks for.
func verify(parts []string, head header, jwks []byte) error {
	if head.Algorithm != "ES256" {
		return fmt.Errorf("it is signed with %q, not with ES256", head.Algorithm)
	}
	key, err := findKey(jwks, head.KeyID)
	if err != nil {
		return err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return errors.New("its signature has the wrong form")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return errors.New("its signature is wrong")
	}
	return nil
}
