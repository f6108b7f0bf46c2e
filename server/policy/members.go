package policy

import "strings"

// members are people and access keys that a list names: the administrators, or
// those who have a role. The zero value is nobody.
type members struct {
	emails   map[string]bool // folded
	subjects map[string]bool // of people who signed in
	keys     map[string]bool // access-key IDs
}

func newMembers() members {
	return members{emails: map[string]bool{}, subjects: map[string]bool{}, keys: map[string]bool{}}
}

// add enters one entry. One with an @ is an e-mail address. Every other is the
// subject of a person or the ID of an access key, letter by letter: it matches
// either, since a list cannot tell them apart. Where people can choose their own
// subject at the provider, "key:ID" is an access key and nobody else, and
// "sub:SUBJECT" a person and no key. The reason says why an entry could match
// nobody; it goes on from a mention of the entry.
func (m members) add(entry string) (reason string) {
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
		m.emails[email] = true
		return ""
	}
	if kind != "key:" {
		m.subjects[name] = true
	}
	if kind != "sub:" {
		m.keys[name] = true
	}
	return ""
}

// person reports whether somebody who signed in is among m, by the folded
// verified e-mail address or by the subject. Either may be "".
func (m members) person(subject, email string) bool {
	return email != "" && m.emails[email] || subject != "" && m.subjects[subject]
}

// key reports whether the access key is among m.
func (m members) key(id string) bool { return id != "" && m.keys[id] }

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
