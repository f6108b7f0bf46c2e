package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// claimOrder is how the page lists claims; others follow by name.
func claimOrder() []string {
	return []string{
		"iss", "aud", "sub", "username", "email", "groups", "roles", "scopes", "scope",
		"auth_method", "key_id", "client_id", "iat", "nbf", "exp", "jti",
	}
}

// listClaims makes lines of the claims.
func listClaims(claims map[string]any, now time.Time) []claim {
	names := slices.DeleteFunc(claimOrder(), func(name string) bool { return claims[name] == nil })
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	list := make([]claim, 0, len(names))
	for _, name := range names {
		c := claim{Name: name, Value: claimText(claims[name])}
		if n, ok := claims[name].(json.Number); ok && (name == "exp" || name == "iat" || name == "nbf") {
			c.Note = timeNote(unixTime(n), now)
		}
		list = append(list, c)
	}
	return list
}

// claimText returns a claim's value as people read it: text without quotes,
// lists with spaces between, the rest as JSON.
func claimText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		words := make([]string, len(v))
		for i, word := range v {
			words[i] = claimText(word)
		}
		return strings.Join(words, " ")
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(text)
	}
}

// unixTime returns the time of a NumericDate, the zero time if it is none.
func unixTime(n json.Number) time.Time {
	seconds, err := n.Int64()
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

func timeNote(at, now time.Time) string {
	switch d := at.Sub(now).Round(time.Second); {
	case d > 0:
		return fmt.Sprintf("in %.0f s", d.Seconds())
	case d < 0:
		return fmt.Sprintf("%.0f s ago", -d.Seconds())
	default:
		return "now"
	}
}

// jwk is a public key of a key set (RFC 7517); P-256 is the only kind used.
type jwk struct {
	KeyID string `json:"kid"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

// findKey returns the P-256 key with the ID.
func findKey(jwks []byte, id string) (*ecdsa.PublicKey, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, errors.New("the gate's key set cannot be read")
	}
	i := slices.IndexFunc(set.Keys, func(k jwk) bool { return k.KeyID == id && k.Curve == "P-256" })
	if i < 0 {
		return nil, errors.New("the gate's key set has no such key")
	}
	x, errX := base64.RawURLEncoding.DecodeString(set.Keys[i].X)
	y, errY := base64.RawURLEncoding.DecodeString(set.Keys[i].Y)
	if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return nil, errors.New("the gate's key is malformed")
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
}
