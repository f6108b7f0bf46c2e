package keychain

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
)

// Alphabets. bcryptText is bcrypt's own base 64.
const (
	idText     = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	secretText = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	personText = "abcdefghjkmnpqrstuvwxyz23456789" // none of which is taken for another
	bcryptText = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

	idLen     = 20 // about 103 bits
	secretLen = 40 // about 238 bits
	personLen = 20 // about 99 bits
)

// NewPassword returns a random password that a person can read out and type:
// four groups of five lower-case letters and digits.
func NewPassword() string {
	groups := slices.Collect(slices.Chunk([]byte(randomText(personText, personLen)), 5))
	return string(bytes.Join(groups, []byte{'-'}))
}

// randomText returns n characters of the alphabet, each equally likely. Bytes
// beyond the largest multiple of the alphabet's length are thrown away, or the
// first characters would come up more often.
func randomText(alphabet string, n int) string {
	fair := 256 - 256%len(alphabet)
	text := make([]byte, 0, n)
	var raw [64]byte
	for len(text) < n {
		rand.Read(raw[:]) // never fails: without entropy the process ends
		for _, b := range raw {
			if int(b) < fair && len(text) < n {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(text)
}

// unmatchable returns a hash of the given cost that was made from no secret. It
// stands in for keys that do not exist, so that they cost what real ones do.
func unmatchable(cost int) string {
	return fmt.Sprintf("$2a$%02d$%s", cost, randomText(bcryptText, hashLen-7))
}
