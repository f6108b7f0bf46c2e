package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"wavegate/server/seal"
)

const (
	secretPrefix = "whsec_"
	newSecret    = 32 // bytes of a new secret

	// Bytes that a secret may have, as Standard Webhooks has it.
	minSecret = 24
	maxSecret = 64

	sealedSecret = "wavegate webhook secret"
)

// errSecret says what a secret looks like; what was given is not repeated.
var errSecret = errors.New("a webhook secret is whsec_ and the base64 of 24 to 64 random bytes")

// A Secret signs what goes to one endpoint. The zero value signs nothing.
type Secret struct{ raw []byte }

// NewSecret returns a Secret of 32 random bytes.
func NewSecret() Secret {
	raw := make([]byte, newSecret)
	rand.Read(raw)
	return Secret{raw}
}

// ParseSecret reads what Reveal writes: whsec_ and the base64 (standard, padded)
// of 24 to 64 bytes.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok || len(encoded) > base64.StdEncoding.EncodedLen(maxSecret) || strings.ContainsAny(encoded, "\r\n") {
		return Secret{}, errSecret
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) < minSecret || len(raw) > maxSecret {
		return Secret{}, errSecret
	}
	return Secret{raw}, nil
}

// Reveal returns the secret as its owner configures the receiver with it. It is
// shown once.
func (s Secret) Reveal() string { return secretPrefix + base64.StdEncoding.EncodeToString(s.raw) }

// Seal returns the secret as an Endpoint of that ID keeps it.
func (s Secret) Seal(keys seal.Keys, endpointID string) ([]byte, error) {
	if len(s.raw) == 0 {
		return nil, errors.New("no webhook secret to seal")
	}
	return keys.Seal(sealedSecret, endpointID, s.raw)
}

// OpenSecret returns the secret that Seal sealed. Errors: seal.ErrBroken,
// seal.ErrForeign.
func OpenSecret(keys seal.Keys, endpointID string, sealed []byte) (Secret, error) {
	raw, err := keys.Open(sealedSecret, endpointID, sealed)
	if err != nil {
		return Secret{}, fmt.Errorf("secret of webhook %s: %w", endpointID, err)
	}
	return Secret{raw}, nil
}

// String keeps the secret out of logs and errors.
func (Secret) String() string { return "[webhook secret]" }

// Format keeps it out of whatever verb there is.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue keeps it out of structured logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps it out of JSON: Reveal is the one way to see it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
