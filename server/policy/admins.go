package policy

import (
	"errors"
	"fmt"
	"strings"

	"wavegate/server/identity"
)

// Admins are those who may see and end what belongs to others. The zero value
// is nobody.
type Admins struct {
	emails   map[string]bool // folded
	subjects map[string]bool // of people who signed in
	keys     map[string]bool // access-key IDs
}

// NewAdmins reads a list of administrators. An entry with an @ is an e-mail
// address. Every other is the subject of a person or the ID of an access key,
// letter by letter: it matches either, since a list cannot tell them apart.
// Where people can choose their own subject at the provider, "key:ID" is an
// access key and nobody else, and "sub:SUBJECT" a person and no key. The error
// names every entry that could match nobody.
func NewAdmins(list []string) (Admins, error) {
	a := Admins{emails: map[string]bool{}, subjects: map[string]bool{}, keys: map[string]bool{}}
	var problems []error
	for _, entry := range list {
		if reason := a.add(entry); reason != "" {
			problems = append(problems, fmt.Errorf("administrator %q%s", entry, reason))
		}
	}
	if len(problems) > 0 {
		return Admins{}, errors.Join(problems...)
	}
	return a, nil
}

// add enters one entry, or says why it could match nobody.
func (a Admins) add(entry string) (reason string) {
	kind, name := "", entry
	for _, k := range [...]string{"key:", "sub:"} {
		if rest, ok := strings.CutPrefix(entry, k); ok {
			kind, name = k, rest
		}
	}
	email, reason := parseMember(name)
	switch {
	case kind == "" && reason != "":
		return reason
	case kind != "" && (name == "" || strings.Contains(name, "*") || strings.ContainsFunc(name, isBlank)):
		return ": name one, without spaces and wildcards"
	case kind == "" && email != "":
		a.emails[email] = true
		return ""
	}
	if kind != "key:" {
		a.subjects[name] = true
	}
	if kind != "sub:" {
		a.keys[name] = true
	}
	return ""
}

// Has reports whether p is an administrator: a person who signed in by the
// verified e-mail address (letter case aside) or the subject, an access key by
// its ID. Neither is looked up by what belongs to the other, such as an e-mail
// address that is a key's ID. API keys and tokens are no administrators,
// whoever owns them, and nil is nobody.
func (a Admins) Has(p *identity.Principal) bool {
	if p == nil {
		return false
	}
	switch p.Method {
	case identity.MethodSession:
		email := foldEmail(p.Email)
		return email != "" && a.emails[email] || p.Subject != "" && a.subjects[p.Subject]
	case identity.MethodAccessKey:
		return p.KeyID != "" && a.keys[p.KeyID]
	}
	return false
}

// parseMember reads an entry of a list of people and keys: what holds an at
// sign is an e-mail address and comes back folded, everything else is a subject
// or an access-key ID. The reason says why an entry could match nobody; it goes
// on from a mention of the entry.
func parseMember(s string) (email, reason string) {
	switch {
	case s == "":
		return "", " is empty"
	case strings.Contains(s, "*"):
		return "", ": wildcards match nobody; name each one"
	case strings.ContainsAny(s, ",;") || strings.ContainsFunc(s, isBlank):
		return "", ": write one member an entry, without spaces and commas"
	case !strings.Contains(s, "@"):
		return "", ""
	}
	if email = foldEmail(s); email == "" {
		return "", " is no e-mail address: it needs one @ with a name before it and a host behind it"
	}
	return email, ""
}

// isBlank reports whether c is a space or an ASCII control character.
func isBlank(c rune) bool { return c <= ' ' || c == 0x7f }
