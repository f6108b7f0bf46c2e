package gateway

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"wavegate/server/identity"
	"wavegate/server/policy"
)

// A field is one header, ready to be put into an http.Header. Values are shared
// between requests and never changed.
type field struct {
	name   string
	values []string
}

// identityFields returns the headers of the families for who. Names are written
// as they are documented, which is not always Go's canonical form. What is empty
// is left out; a nil who has none.
//
// Lists are joined with commas, scopes with spaces (RFC 6749 §3.3); a comma or
// percent sign inside a member is percent-encoded. Control characters and
// broken UTF-8 are dropped from every value. Session is the name under which
// the upstream may speak of the session.
func identityFields(who *identity.Principal, session string, families policy.Families) []field {
	if who == nil || families == 0 {
		return nil
	}
	var out fieldList
	groups := joinGroups(who.Groups)
	if families&policy.Wave != 0 {
		out.add("Wave-Subject-ID", who.Subject)
		out.add("Wave-Username", who.Username)
		out.add("Wave-Email", who.Email)
		out.add("Wave-Groups", groups)
		out.add("Wave-Scopes", strings.Join(who.Scopes, " "))
		out.add("Wave-Auth-Method", string(who.Method))
		out.add("Wave-Key-ID", who.KeyID)
		out.add("Wave-OAuth-Client-ID", who.OAuthClientID)
		out.add("Wave-Session-ID", session)
		out.add("Wave-Client-ID", who.ClientID)
	}
	if families&policy.Remote != 0 {
		// Apps keep accounts by Remote-User and X-Forwarded-User, so these are
		// the subject, which nobody can choose, and not the user name.
		out.add("Remote-User", who.Subject)
		out.add("Remote-Name", who.Username)
		out.add("Remote-Email", who.Email)
		out.add("Remote-Groups", groups)
	}
	if families&policy.Forwarded != 0 {
		for _, prefix := range [...]string{"X-Forwarded-", "X-Auth-Request-"} {
			out.add(prefix+"User", who.Subject)
			out.add(prefix+"Preferred-Username", who.Username)
			out.add(prefix+"Email", who.Email)
			out.add(prefix+"Groups", groups)
		}
	}
	return out
}

// fieldList collects fields.
type fieldList []field

// add appends a field unless nothing of its value is left after cleaning.
func (l *fieldList) add(name, value string) {
	if value = headerText(value); value != "" {
		*l = append(*l, field{name, []string{value}})
	}
}

// headerText returns s without what cannot stand in a header: control
// characters, broken UTF-8, spaces at the ends.
func headerText(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s))
}

// joinGroups joins groups with commas. A comma inside a group becomes "%2C"
// and a percent sign "%25", so that no group can pass for two.
func joinGroups(groups []string) string {
	if len(groups) == 0 {
		return ""
	}
	escape := strings.NewReplacer(",", "%2C", "%", "%25")
	kept := make([]string, 0, len(groups))
	for _, g := range groups {
		if g = headerText(g); g != "" {
			kept = append(kept, escape.Replace(g))
		}
	}
	return strings.Join(kept, ",")
}
