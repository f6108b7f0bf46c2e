package policy

import (
	"errors"
	"fmt"

	"wavegate/server/identity"
)

// Admins are those who may see and end what belongs to others. The zero value
// is nobody.
type Admins struct{ members members }

// NewAdmins reads a list of administrators, written like the members of a role.
// The error names every entry that could match nobody.
func NewAdmins(list []string) (Admins, error) {
	m := newMembers()
	var problems []error
	for _, entry := range list {
		if reason := m.add(entry); reason != "" {
			problems = append(problems, fmt.Errorf("administrator %q%s", entry, reason))
		}
	}
	if len(problems) > 0 {
		return Admins{}, errors.Join(problems...)
	}
	return Admins{m}, nil
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
		return a.members.person(p.Subject, foldEmail(p.Email))
	case identity.MethodAccessKey:
		return a.members.key(p.KeyID)
	}
	return false
}
