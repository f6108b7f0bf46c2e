package gateway

import (
	"net/http"
	"slices"
	"strings"

	"wavegate/server/identity"
)

// StripInbound removes from a client's headers whatever an upstream could take
// for the word of a proxy: identity headers, client addresses, original URLs,
// and the protocol offers that end here. Names are compared as the sloppiest
// upstream reads them: without case, and with every character but letters and
// digits as "-", so that Wave_Email and wave-email are the same.
//
// Headers named in Connection are the business of httputil.ReverseProxy, which
// drops them before ours are added; so a client cannot have ours dropped.
//
// From a trusted proxy X-Forwarded-Port and X-Forwarded-Prefix stay; the rest
// of its family is written anew from what Forwarding.Resolve found.
func StripInbound(h http.Header, trusted bool) {
	for name := range h {
		if !isReserved(name) || trusted && (name == "X-Forwarded-Port" || name == "X-Forwarded-Prefix") {
			continue
		}
		delete(h, name)
	}
}

// isReserved reports whether a header is one that clients must not send on.
func isReserved(name string) bool {
	if name == "" {
		return true
	}
	// Most names are told apart by their first letter.
	switch name[0] | 0x20 {
	case 'w':
		return hasFoldedPrefix(name, "wave-")
	case 'x':
		return reservedX(name)
	case 'r':
		return hasFoldedPrefix(name, "remote-")
	case 'f':
		return equalFolded(name, "forwarded")
	case 'c':
		return equalFolded(name, "client-ip") || equalFolded(name, "cf-connecting-ip")
	case 't':
		return equalFolded(name, "true-client-ip")
	case 'p':
		return equalFolded(name, "proxy") // becomes HTTP_PROXY in CGI programs
	case 'h':
		return equalFolded(name, "http2-settings") // an h2c offer (RFC 7540 §3.2.1) is not ours to pass on
	}
	return false
}

// reservedX is isReserved for names that begin with X.
func reservedX(name string) bool {
	for _, prefix := range [...]string{
		"x-forwarded-", "x-original-", "x-auth-request-", "x-remote-", "x-webauth-", "x-rewrite-",
		"x-http-method", "x-method-override", // an app that honours them does another deed than was allowed
	} {
		if hasFoldedPrefix(name, prefix) {
			return true
		}
	}
	return equalFolded(name, "x-real-ip") || equalFolded(name, "x-request-id") || equalFolded(name, "x-client-ip") ||
		equalFolded(name, "x-cluster-client-ip") || equalFolded(name, "x-forwarded")
}

// hasFoldedPrefix reports whether a folded name begins with prefix, which is
// folded already.
func hasFoldedPrefix(name, prefix string) bool {
	return len(name) >= len(prefix) && equalFolded(name[:len(prefix)], prefix)
}

// equalFolded reports whether a folded name is want, which is folded already.
func equalFolded(name, want string) bool {
	if len(name) != len(want) {
		return false
	}
	for i := range len(name) {
		if fold(name[i]) != want[i] {
			return false
		}
	}
	return true
}

// fold returns the byte that stands for c when header names are compared.
func fold(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c | 0x20
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return '-'
}

// stripCredential removes what the caller proved itself with, so that no
// upstream sees it. A session's credential is our cookie; an Authorization
// header beside it is the app's own, and so is one that nobody here accepted.
func stripCredential(h http.Header, who *identity.Principal) {
	if who == nil || who.Method == identity.MethodNone || who.Method == identity.MethodSession {
		return
	}
	for name := range h {
		if equalFolded(name, "authorization") || equalFolded(name, "x-api-key") {
			delete(h, name)
		}
	}
}

// nameList is a list of names, each of which may end in "*" for any ending.
type nameList struct{ names []string }

// has reports whether a name is in the list, byte for byte.
func (l nameList) has(name string) bool {
	for _, want := range l.names {
		if prefix, ok := strings.CutSuffix(want, "*"); ok && strings.HasPrefix(name, prefix) || name == want {
			return true
		}
	}
	return false
}

// hasFold is has without regard to case.
func (l nameList) hasFold(name string) bool {
	for _, want := range l.names {
		prefix, ok := strings.CutSuffix(want, "*")
		if ok && len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) || strings.EqualFold(name, want) {
			return true
		}
	}
	return false
}

// stripCookies removes the named cookies and leaves the bytes of all others
// as they are.
func stripCookies(h http.Header, ours nameList) {
	lines, ok := h["Cookie"]
	if !ok || len(ours.names) == 0 || !slices.ContainsFunc(lines, func(line string) bool { return mentions(line, ours) }) {
		return
	}
	var kept []string
	for _, line := range lines {
		if line = cookiesWithout(line, ours); line != "" {
			kept = append(kept, line)
		}
	}
	if kept == nil {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

// dropSetCookies removes the lines of an answer that would set one of our
// cookies: an app must not put a person into another session, nor out of theirs.
// A cookie without a name comes back as its bare value, so that counts as well.
func dropSetCookies(h http.Header, ours nameList) {
	lines := h["Set-Cookie"]
	sets := func(line string) bool {
		pair, _, _ := strings.Cut(line, ";")
		return ours.has(cookieName(strings.TrimLeft(pair, " \t=")))
	}
	if len(lines) == 0 || len(ours.names) == 0 || !slices.ContainsFunc(lines, sets) {
		return
	}
	if h["Set-Cookie"] = slices.DeleteFunc(slices.Clone(lines), sets); len(h["Set-Cookie"]) == 0 {
		delete(h, "Set-Cookie")
	}
}

// mentions reports whether one of the cookies in a line is ours.
func mentions(line string, ours nameList) bool {
	for pair := range strings.SplitSeq(line, ";") {
		if ours.has(cookieName(pair)) {
			return true
		}
	}
	return false
}

// cookiesWithout returns a Cookie line without the cookies that are ours, the
// others byte for byte; "" where there are none.
func cookiesWithout(line string, ours nameList) string {
	var kept []string
	for pair := range strings.SplitSeq(line, ";") {
		if !ours.has(cookieName(pair)) {
			kept = append(kept, pair)
		}
	}
	line = strings.TrimLeft(strings.Join(kept, ";"), " \t")
	if strings.Trim(line, "; \t") == "" {
		return ""
	}
	return line
}

// cookieName returns the name of one cookie of a Cookie line.
func cookieName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return strings.TrimSpace(name)
}

// forwardFilter is -forwarded-http-headers: which client headers reach apps.
type forwardFilter struct {
	all    bool
	listed nameList
}

// newForwardFilter reads a list of header names; "*" is all of them.
func newForwardFilter(names []string) forwardFilter {
	return forwardFilter{all: slices.Contains(names, "*"), listed: nameList{slices.Clone(names)}}
}

// apply removes the headers that are neither listed nor essential.
func (f forwardFilter) apply(h http.Header) {
	if f.all {
		return
	}
	for name := range h {
		if !isEssential(name) && !f.listed.hasFold(name) {
			delete(h, name)
		}
	}
}

// isEssential reports whether a header is part of how HTTP works rather than
// something said about the user: content, negotiation, conditions, ranges,
// upgrade, tracing. Cookie, Authorization and Referer are not; an app that
// needs them has them listed. The name is in canonical form.
func isEssential(name string) bool {
	switch name {
	case "Accept", "Range", "Expect", "Cache-Control", "Pragma", "User-Agent", "Origin", "Host",
		"Connection", "Upgrade", "Te", "Trailer", "Traceparent", "Tracestate":
		return true
	}
	for _, prefix := range [...]string{"Content-", "Accept-", "If-", "Sec-Websocket-", "Access-Control-Request-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
