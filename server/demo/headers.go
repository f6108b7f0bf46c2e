package demo

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// spell returns a header's name as its documentation spells it; Go's own form
// lower-cases the rest of every word.
func spell(name string) string {
	for _, documented := range []string{
		"Wave-Subject-ID", "Wave-Key-ID", "Wave-OAuth-Client-ID", "Wave-Session-ID", "Wave-Client-ID",
		"X-Request-ID", "X-Real-IP", "ETag", "DNT", "Sec-GPC",
	} {
		if textproto.CanonicalMIMEHeaderKey(documented) == name {
			return documented
		}
	}
	for _, initials := range []string{"Ch-Ua", "Ua"} {
		name = strings.Replace(name, "Sec-"+initials, "Sec-"+strings.ToUpper(initials), 1)
	}
	return name
}

// splitHeaders returns the headers that the gate wrote and those that came from
// the client, each sorted by name.
func splitHeaders(r *http.Request) (gate, client []field) {
	client = append(client, field{"Host", r.Host})
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		f := field{spell(name), shown(name, r.Header[name])}
		if fromGate(name) {
			gate = append(gate, f)
		} else {
			client = append(client, f)
		}
	}
	return gate, client
}

// fromGate reports whether the gate writes the header; it removes what clients
// send under these names.
func fromGate(name string) bool {
	for _, prefix := range []string{"Wave-", "X-Forwarded-", "X-Auth-Request-", "Remote-", "X-Request-Id", "Traceparent"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// shown returns values as the page shows them: nothing that could be used again
// by whoever looks over a shoulder, and the long assertion shortened.
func shown(name string, values []string) string {
	value := strings.Join(values, ", ")
	switch {
	case secretHeader(name):
		return fmt.Sprintf("not shown (%d characters)", len(value))
	case name == "Wave-Assertion" && len(value) > 24:
		return fmt.Sprintf("%s… (%d characters, decoded above)", value[:24], len(value))
	default:
		return value
	}
}

func secretHeader(name string) bool {
	switch name {
	case "Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization", "Wave-Access-Token", "Wave-Refresh-Token":
		return true
	default:
		return false
	}
}

// withheld says which credentials stayed at the gate, if there is one. The
// visitor is nil where the gate says nobody.
func withheld(h http.Header, who *visitor) []check {
	const own = "only the app’s own should be here; the gate keeps back its own"
	authorization := check{Name: "Authorization", Good: true, Says: "none reached the app"}
	cookies := check{Name: "Cookie", Good: true, Says: "none reached the app"}
	signedIn := who != nil && who.SignedIn
	if who != nil && !signedIn {
		authorization.Says = "stayed at the gate"
	}
	if signedIn {
		cookies.Says = "stayed at the gate"
	}
	if h.Get("Authorization") != "" {
		authorization = check{Name: "Authorization", Good: signedIn, Says: "reached the app; is there a gate in front of it?"}
		if signedIn { // a session leaves the header to the app
			authorization.Says = own
		}
	}
	if h.Get("Cookie") != "" {
		cookies.Says = own
	}
	return []check{authorization, cookies}
}
