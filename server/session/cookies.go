package session

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The cookies of this server (RFC 6265bis). On https their names begin with
// __Host-, which no other host and no plain connection can plant.
const (
	sessionName = "wavegate"
	attemptName = "wavegate-login-" // and a piece of the state's hash
	hostPrefix  = "__Host-"
)

const (
	attemptPiece    = 6        // bytes of the state's hash in the name of its cookie
	mostCleared     = 64       // cookies that one answer takes away; more go with the next
	maxAttempts     = 8        // login attempts that one browser keeps
	maxAttemptBytes = 16 << 10 // of them together: requests with larger headers than 64 KB are refused
)

// CookieNames returns the names of all our cookies, which no upstream gets; a
// trailing "*" is any ending.
func CookieNames() []string {
	return []string{hostPrefix + sessionName, sessionName, hostPrefix + attemptName + "*", attemptName + "*"}
}

func prefixed(https bool, name string) string {
	if https {
		return hostPrefix + name
	}
	return name
}

// ReadSession returns the value of the session cookie among a request's headers,
// or "" for none, for more than one, and for what cannot be one of ours.
func ReadSession(h http.Header, https bool) string {
	name := sessionName
	if https {
		name = hostPrefix + sessionName
	}
	value, n := "", 0
	for _, line := range h["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			if v, ok := valueOf(pair, name); ok {
				value, n = v, n+1
			}
		}
	}
	if n != 1 || !isID(value) {
		return ""
	}
	return value
}

// valueOf returns the value of a pair of a Cookie header with the name.
func valueOf(pair, name string) (value string, ok bool) {
	pair = strings.Trim(pair, " \t")
	if len(pair) <= len(name) || pair[len(name)] != '=' || pair[:len(name)] != name {
		return "", false
	}
	return pair[len(name)+1:], true
}

// SetSession adds the session cookie to a response's headers.
func SetSession(h http.Header, https bool, value string, lifetime time.Duration) {
	put(h, https, prefixed(https, sessionName), value, max(1, int(lifetime/time.Second)))
}

// ClearSession takes the session cookie away, on https also one that was set
// while the site was reached by http.
func ClearSession(h http.Header, https bool) {
	if https {
		put(h, https, hostPrefix+sessionName, "", -1)
	}
	put(h, https, sessionName, "", -1)
}

// attemptCookie is the name of the cookie of the attempt with the state.
func attemptCookie(https bool, state string) string {
	sum := sha256.Sum256([]byte(state))
	return prefixed(https, attemptName) + hex.EncodeToString(sum[:attemptPiece])
}

// ReadAttempt returns the sealed login attempt of a state among a request's
// headers, or "" for none, for more than one, and for one that is too long.
func ReadAttempt(h http.Header, https bool, state string) string {
	name, value, n := attemptCookie(https, state), "", 0
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			if v, ok := valueOf(pair, name); ok {
				value, n = v, n+1
			}
		}
	}
	if n != 1 || len(value) > maxAttempt {
		return ""
	}
	return value
}

// How long a browser keeps the cookie of a login attempt. It outlives the attempt:
// somebody who comes back from the provider late is still led where they wanted.
const (
	KeepAttempt = 24 * time.Hour
	KeepUsed    = 10 * time.Minute // of one that was used up
)

// SetAttempt adds the cookie of a login attempt to a response's headers, for
// KeepAttempt or KeepUsed. in are the request's: of the attempts that the browser
// has already, the oldest are cleared where there are too many, so that its
// requests stay small.
func SetAttempt(out, in http.Header, https bool, state, value string, keep time.Duration) {
	name := attemptCookie(https, state)
	for _, old := range excess(in, https, name, len(value)) {
		put(out, https, old, "", -1)
	}
	put(out, https, name, value, int(keep/time.Second))
}

// ClearAttempt takes the cookie of a login attempt away.
func ClearAttempt(h http.Header, https bool, state string) {
	put(h, https, attemptCookie(https, state), "", -1)
}

// excess returns the names of the attempts that have to go, so that one with the
// name and a value of size bytes has room. Browsers send the oldest first (RFC
// 6265bis, section 5.8.3).
func excess(in http.Header, https bool, name string, size int) (names []string) {
	kept, room := 1, maxAttemptBytes-size
	for _, line := range slices.Backward(in["Cookie"]) {
		for _, pair := range slices.Backward(strings.Split(line, ";")) {
			other, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if other == name || !isAttemptName(other, https) {
				continue
			}
			kept, room = kept+1, room-len(value)
			if (kept > maxAttempts || room < 0) && len(names) < mostCleared {
				names = append(names, other)
			}
		}
	}
	return names
}

// isAttemptName reports whether a cookie's name is one that attemptCookie gives.
func isAttemptName(name string, https bool) bool {
	piece, ok := strings.CutPrefix(name, prefixed(https, attemptName))
	if !ok || len(piece) != 2*attemptPiece {
		return false
	}
	return strings.Trim(piece, "0123456789abcdef") == ""
}

// put adds a cookie to a response's headers, in the place of one with the same
// name: RFC 6265bis (section 4.1.1) wants each name once. A negative age clears.
func put(h http.Header, secure bool, name, value string, age int) {
	c := http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
	h["Set-Cookie"] = append(slices.DeleteFunc(h["Set-Cookie"], func(line string) bool {
		return strings.HasPrefix(line, name+"=")
	}), c.String())
}
