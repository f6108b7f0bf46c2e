package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"wavegate/keychain/apikey"
	"wavegate/server/policy"
)

// maxKeyDays is how long a key may live at most, in days: ten years.
const maxKeyDays = 3650

// has reports whether something is wrong with a field already.
func (p *problems) has(field string) bool {
	for _, f := range *p {
		if f.Field == field {
			return true
		}
	}
	return false
}

// The messages below never repeat a value: what somebody put into the wrong field
// may be a secret.

// holdsKey is said of text that is kept and shown and has a key in it.
const holdsKey = "holds an API key: what is written here is kept and shown, so leave it out"

func checkName(name string, p *problems) string {
	name = strings.TrimSpace(name)
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		p.add("name", "is empty: say what it is for")
	case n > apikey.MaxName:
		p.add("name", "has %d characters; %d are the most", n, apikey.MaxName)
	case strings.ContainsFunc(name, isUnseen):
		p.add("name", "holds characters that cannot be seen, such as control characters")
	case apikey.Holds(name):
		p.add("name", holdsKey)
	}
	return name
}

func checkDescription(text string, p *problems) string {
	switch n := utf8.RuneCountInString(text); {
	case n > apikey.MaxDescription:
		p.add("description", "has %d characters; %d are the most", n, apikey.MaxDescription)
	case strings.ContainsFunc(text, func(r rune) bool { return isUnseen(r) && r != '\n' && r != '\t' && r != '\r' }):
		p.add("description", "holds characters that cannot be seen, such as control characters")
	case apikey.Holds(text):
		p.add("description", holdsKey)
	}
	return text
}

// isUnseen reports characters that make a text look like another: control
// characters, separators of lines, and those that turn the direction.
func isUnseen(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' || r == '\ufeff'
}

func checkEnvironment(name string, p *problems) apikey.Environment {
	env := apikey.Environment(name)
	switch {
	case env == apikey.Trial:
		p.add("environment", "cannot be trial: those keys come from POST /api/v1/onboarding/temp-key")
	case !env.Valid():
		p.add("environment", "must be live, test or dev")
	}
	return env
}

func checkRole(name string, pol *policy.Policy, p *problems) {
	if !pol.HasRole(name) {
		p.add("role", noSuchRole)
	}
}

// noSuchRole is what is wrong with a role that the policy does not know.
const noSuchRole = "is no role that there is: choose one of the policy, or viewer, developer or account_admin"

func checkTier(name string, pol *policy.Policy, p *problems) {
	if _, ok := pol.Tier(name); ok && name != "" {
		return
	}
	var names []string
	for _, t := range pol.Tiers() {
		names = append(names, t.Name)
	}
	p.add("rate_limit_tier", "is no tier that there is: choose %s", strings.Join(names, ", "))
}

func checkScopes(scopes []string, pol *policy.Policy, p *problems) {
	if len(scopes) > apikey.MaxScopes {
		p.add("scopes", "has %d entries; %d are the most", len(scopes), apikey.MaxScopes)
		return
	}
	for i, scope := range scopes {
		field := fmt.Sprintf("scopes[%d]", i)
		switch {
		case !pol.HasScope(scope):
			p.add(field, "is no scope that there is%s", nearScope(scope, pol))
		case slices.Contains(scopes[:i], scope):
			p.add(field, "is there twice")
		}
	}
}

// nearScope returns " (did you mean …?)" for the scope that is spelt most like a
// word, or "".
func nearScope(word string, pol *policy.Policy) string {
	best, found := 3, "" // more than two slips is another word
	for _, s := range pol.Scopes() {
		if d := policy.Slips(word, s.Name); d < best && d < len(s.Name) {
			best, found = d, s.Name
		}
	}
	if found == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", found)
}

// checkMetadata returns a JSON object without needless blanks, nil for {}.
func checkMetadata(raw json.RawMessage, p *problems) []byte {
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil || compact.Len() == 0 || compact.Bytes()[0] != '{' {
		p.add("metadata", "must be an object, such as {\"service\": \"encoder\"}")
		return nil
	}
	if compact.Len() > apikey.MaxMetadata {
		p.add("metadata", "has %d bytes; %d are the most", compact.Len(), apikey.MaxMetadata)
	}
	if hidesKey(compact.Bytes()) {
		p.add("metadata", holdsKey)
	}
	if compact.Len() == len("{}") {
		return nil
	}
	return compact.Bytes()
}

// hidesKey reports whether an API key stands in JSON, also in one with escapes.
func hidesKey(object []byte) bool {
	var v any
	if json.Unmarshal(object, &v) != nil {
		return false
	}
	return apikey.Holds(fmt.Sprint(v))
}

// expiry reads expires_in_days or expires_at.
func (q *keyRequest) expiry(now time.Time, p *problems) time.Time {
	if q.ExpiresIn != nil && q.ExpiresAt != nil {
		p.add("expires_at", "and expires_in_days cannot both be given")
		return time.Time{}
	}
	if q.ExpiresIn != nil {
		days := *q.ExpiresIn
		if days < 1 || days > maxKeyDays {
			p.add("expires_in_days", "must be from 1 to %d", maxKeyDays)
			return time.Time{}
		}
		return now.AddDate(0, 0, int(days))
	}
	at, err := time.Parse(time.RFC3339, *q.ExpiresAt)
	at = at.UTC().Truncate(time.Millisecond)
	switch {
	case err != nil:
		p.add("expires_at", "must be a time such as 2030-01-31T12:00:00Z (RFC 3339)")
	case !at.After(now):
		p.add("expires_at", "must be in the future")
	case at.After(now.AddDate(0, 0, maxKeyDays)):
		p.add("expires_at", "is more than %d days ahead", maxKeyDays)
	}
	return at
}

// parseNetworks reads an allow-list: networks and single addresses. An IPv4
// network that is written as IPv6 becomes what it is.
func parseNetworks(list []string, p *problems) []netip.Prefix {
	if len(list) > apikey.MaxAllowedIPs {
		p.add("allowed_ips", "has %d entries; %d are the most", len(list), apikey.MaxAllowedIPs)
		return nil
	}
	var networks []netip.Prefix
	for i, text := range list {
		network, problem := parseNetwork(text)
		if problem == "" && slices.Contains(networks, network) {
			problem = "is there twice"
		}
		if problem != "" {
			p.add(fmt.Sprintf("allowed_ips[%d]", i), "%s", problem)
			continue
		}
		networks = append(networks, network)
	}
	return networks
}

// parseNetwork reads one entry of an allow-list; the problem is "" where there is
// none.
func parseNetwork(text string) (network netip.Prefix, problem string) {
	network, err := apikey.ParseNetwork(text)
	if err == nil {
		return network, ""
	}
	if written, err := netip.ParsePrefix(text); err == nil && !written.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Sprintf("has bits beyond its prefix: write %s for the network, or the address alone", written.Masked())
	}
	return netip.Prefix{}, err.Error()
}
