package apikey

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxShort = 200 // characters of a scope, a role, a tier, an owner
	maxBegin = 64  // characters of a prefix
)

// An importLine is one line of an import while it is read.
type importLine struct {
	Record
	hash      string
	algorithm string
	encoding  string
}

// setter returns what reads the field with the name, or nil.
func (l *importLine) setter(name string) func(json.RawMessage) error {
	switch name {
	case "hash":
		return text(&l.hash, maxShort)
	case "algorithm":
		return text(&l.algorithm, maxShort)
	case "encoding":
		return text(&l.encoding, maxShort)
	case "name":
		return text(&l.Name, MaxName)
	case "description":
		return l.setDescription
	case "environment":
		return l.setEnvironment
	case "role":
		return text(&l.Role, maxShort)
	case "scopes":
		return l.setScopes
	case "allowed_ips":
		return l.setAllowedIPs
	case "metadata":
		return l.setMetadata
	case "rate_limit_tier":
		return text(&l.Tier, maxShort)
	case "ops_limit":
		return l.setOpsLimit
	case "expires_at":
		return l.setExpiresAt
	case "prefix":
		return text(&l.Prefix, maxBegin)
	case "owner":
		return l.setOwner
	}
	return nil
}

// text returns what reads a string of at most most characters into to.
func text(to *string, most int) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		if json.Unmarshal(raw, to) != nil {
			return errors.New("has to be a string")
		}
		return checkText(*to, most, "")
	}
}

// checkText allows no control characters but those in allowed.
func checkText(s string, most int, allowed string) error {
	switch {
	case utf8.RuneCountInString(s) > most:
		return fmt.Errorf("is longer than %d characters", most)
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(allowed, r) }):
		return errors.New("holds a control character")
	}
	return nil
}

func (l *importLine) setDescription(raw json.RawMessage) error {
	if json.Unmarshal(raw, &l.Description) != nil {
		return errors.New("has to be a string")
	}
	return checkText(l.Description, MaxDescription, "\n\r\t")
}

func (l *importLine) setEnvironment(raw json.RawMessage) error {
	if json.Unmarshal(raw, &l.Environment) != nil || !l.Environment.Valid() {
		return errors.New("has to be live, test, dev or trial")
	}
	return nil
}

func (l *importLine) setScopes(raw json.RawMessage) error {
	if json.Unmarshal(raw, &l.Scopes) != nil {
		return errors.New("has to be a list of strings")
	}
	if len(l.Scopes) > MaxScopes {
		return fmt.Errorf("has more than %d scopes", MaxScopes)
	}
	for i, s := range l.Scopes {
		if err := checkScope(s); err != nil {
			return fmt.Errorf("number %d %w", i+1, err)
		}
	}
	return nil
}

// checkScope wants a scope-token of RFC 6749 §3.3.
func checkScope(s string) error {
	if s == "" {
		return errors.New("is empty")
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return errors.New("holds a character that scopes cannot have")
		}
	}
	return checkText(s, maxShort, "")
}

func (l *importLine) setAllowedIPs(raw json.RawMessage) error {
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		return errors.New("has to be a list of strings")
	}
	if len(list) > MaxAllowedIPs {
		return fmt.Errorf("has more than %d networks", MaxAllowedIPs)
	}
	for i, s := range list {
		p, err := ParseNetwork(s)
		if err != nil {
			return fmt.Errorf("number %d %w", i+1, err)
		}
		l.AllowedIPs = append(l.AllowedIPs, p)
	}
	return nil
}

// ParseNetwork reads an entry of an allow-list: an address or a CIDR, of IPv4 or
// IPv6. Mapped IPv4 becomes IPv4, and bits beyond the prefix are refused, since
// whoever wrote them meant another network.
func ParseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if ip, ipErr := netip.ParseAddr(s); ipErr == nil && ip.Zone() == "" {
		p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	if err != nil {
		return netip.Prefix{}, errors.New("is no network: write 192.0.2.0/24, 2001:db8::/32 or one address")
	}
	if ip := p.Addr(); ip.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, errors.New("is mapped IPv4 with less than 96 bits: write it as IPv4")
		}
		p = netip.PrefixFrom(ip.Unmap(), p.Bits()-96)
	}
	if p.Masked() != p {
		return netip.Prefix{}, errors.New("has bits beyond its prefix: they have to be 0")
	}
	return p, nil
}

func (l *importLine) setMetadata(raw json.RawMessage) error {
	var b bytes.Buffer
	if raw[0] != '{' || json.Compact(&b, raw) != nil {
		return errors.New("has to be a JSON object")
	}
	if b.Len() > MaxMetadata {
		return fmt.Errorf("has more than %d bytes", MaxMetadata)
	}
	l.Metadata = b.Bytes()
	return nil
}

func (l *importLine) setOpsLimit(raw json.RawMessage) error {
	if json.Unmarshal(raw, &l.OpsLimit) != nil || l.OpsLimit < 0 {
		return errors.New("has to be a whole number, 0 for no limit")
	}
	return nil
}

func (l *importLine) setExpiresAt(raw json.RawMessage) error {
	var s string
	err := json.Unmarshal(raw, &s)
	t, parseErr := time.Parse(time.RFC3339, s)
	if err != nil || parseErr != nil {
		return errors.New("has to be a time of RFC 3339, 2030-01-31T00:00:00Z for example")
	}
	l.ExpiresAt = t.UTC().Truncate(time.Millisecond)
	return nil
}

func (l *importLine) setOwner(raw json.RawMessage) error {
	if err := text(&l.Owner, maxShort)(raw); err != nil {
		return err
	}
	kind, name, _ := strings.Cut(l.Owner, ":")
	if l.Owner != "cli" && (name == "" || kind != "sub" && kind != "key") {
		return errors.New("has to be sub:SUBJECT of a person, key:ID of an access key, or cli")
	}
	return nil
}

// notImportable says why keys that were hashed like that cannot be taken, or "".
func notImportable(algorithm string) string {
	const anew = ": such keys have to be made anew"
	name := strings.ToLower(algorithm)
	switch {
	case name == "" || name == ImportedSHA256:
		return ""
	case strings.HasPrefix(name, "bcrypt"), strings.HasPrefix(name, "argon2"), strings.HasPrefix(name, "scrypt"), strings.HasPrefix(name, "pbkdf2"):
		return "is salted and slow, so that no key can be looked up by it" + anew
	case strings.HasPrefix(name, "hmac"), strings.HasPrefix(name, "blake"), strings.HasPrefix(name, "kmac"):
		return "is a keyed hash, which needs the secret of the system that made it" + anew
	}
	return "is not one that can be taken, which is sha256 of the whole key alone" + anew
}

type fieldError struct{ field, message string }

// decodeHash reads the SHA-256 of a key.
func decodeHash(text, encoding string) (hash [32]byte, problem *fieldError) {
	if text == "" {
		return hash, &fieldError{"hash", "is missing"}
	}
	var b []byte
	var err error
	switch encoding {
	case "", "hex":
		b, err = hex.DecodeString(text)
	case "base64":
		b, err = base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
	default:
		return hash, &fieldError{"encoding", "has to be hex or base64"}
	}
	if err != nil || len(b) != len(hash) {
		return hash, &fieldError{"hash", "has to be 32 bytes in its encoding (64 digits of hex, 44 characters of base64)"}
	}
	return [32]byte(b), nil
}
