package apikey

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
)

const (
	secretDigits   = 32 // 128 bits
	checksumDigits = 8  // 32 bits
	prefixDigits   = 8  // of the secret, that may be shown
	maxBrand       = 32 // characters
)

// Parts are what a key says of itself. They are substrings of the key.
type Parts struct {
	Brand       string
	Environment Environment
	Prefix      string // brand, environment and the first 8 digits
}

// Generate returns a new key: brand, environment and 32 lower-case hexadecimal
// digits (128 bits from the operating system's generator), joined by "_". With
// checksum 8 more digits follow: the CRC-32 (IEEE) of all before them, so that
// scanners for leaked secrets tell keys from other text without asking.
//
// The brand has passed CheckBrand and the environment is valid.
func Generate(brand string, env Environment, checksum bool) string {
	var secret [secretDigits / 2]byte
	_, _ = rand.Read(secret[:]) // never fails
	key := brand + "_" + string(env) + "_" + hex.EncodeToString(secret[:])
	if checksum {
		key += fmt.Sprintf("%08x", crc(key))
	}
	return key
}

// Parse reads the shape of a key. It reports false for what Generate cannot have
// made, under whatever brand, a wrong checksum included. It allocates nothing.
func Parse(key string) (Parts, bool) {
	head, digits, ok := cutLast(key)
	if !ok || !lowerHex(digits) {
		return Parts{}, false
	}
	brand, env, ok := cutLast(head)
	if !ok || !Environment(env).Valid() || brandProblem(brand) != "" {
		return Parts{}, false
	}
	switch len(digits) {
	case secretDigits:
	case secretDigits + checksumDigits:
		body := len(key) - checksumDigits
		if value(key[body:]) != crc(key[:body]) {
			return Parts{}, false
		}
	default:
		return Parts{}, false
	}
	return Parts{Brand: brand, Environment: Environment(env), Prefix: key[:len(head)+1+prefixDigits]}, true
}

// CheckBrand says what is wrong with a brand, which is 1 to 32 of a-z, 0-9 and
// "_", begins with a letter and does not end in "_".
func CheckBrand(brand string) error {
	if p := brandProblem(brand); p != "" {
		return errors.New(p)
	}
	return nil
}

// brandProblem is what is wrong with a brand, or "".
func brandProblem(brand string) string {
	switch {
	case brand == "":
		return "the brand of API keys is empty: give it 1 to 32 characters, wave for example"
	case len(brand) > maxBrand:
		return "the brand of API keys is too long: 32 characters are the most"
	case brand[0] < 'a' || brand[0] > 'z':
		return "the brand of API keys has to begin with one of a-z"
	case brand[len(brand)-1] == '_':
		return `the brand of API keys must not end in "_", which is added by itself`
	}
	for i := range len(brand) {
		if c := brand[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return `the brand of API keys may hold a-z, 0-9 and "_" only`
		}
	}
	return ""
}

// Pattern is the regular expression (RE2) for scanners of leaked secrets: it
// finds every key of the brand, also in the middle of other text. A brand that
// ends like it is found too.
func Pattern(brand string) string {
	return fmt.Sprintf("%s_(?:%s|%s|%s|%s)_[0-9a-f]{%d}(?:[0-9a-f]{%d})?",
		regexp.QuoteMeta(brand), Live, Test, Dev, Trial, secretDigits, checksumDigits)
}

// cutLast cuts s at its last "_".
func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '_')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// value is the number that 8 lower-case hexadecimal digits spell.
func value(digits string) (n uint32) {
	for i := range len(digits) {
		d := uint32(digits[i] - '0')
		if digits[i] >= 'a' {
			d = uint32(digits[i]-'a') + 10
		}
		n = n<<4 | d
	}
	return n
}

// crc is crc32.ChecksumIEEE of a string. That one takes bytes, which would have
// to be allocated.
func crc(s string) uint32 {
	sum := ^uint32(0)
	for i := range len(s) {
		sum = crc32.IEEETable[byte(sum)^s[i]] ^ sum>>8
	}
	return ^sum
}
