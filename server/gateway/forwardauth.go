package gateway

import (
	"net/http"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/identity"
)

// A ForwardAsk is the request about which another proxy asks.
type ForwardAsk struct {
	Method    string
	Scheme    string // "http" or "https"
	HostPort  string // as the client sent it; CleanHost makes it comparable
	Path      string // as it stood on the wire; for CleanPath
	Query     string // without the question mark
	WebSocket bool   // the client asks for an upgrade to websocket

	// MaybeWebSocket says that a WebSocket's key came without the upgrade:
	// Traefik keeps the upgrade to itself. What is true of both a plain GET and
	// a WebSocket is all that can be allowed.
	MaybeWebSocket bool
}

// The headers in which proxies say what they ask about. Clients can send all
// of them, and some proxies pass them on. So each header that is read is also
// required: a proxy that does not set it itself works for nobody, instead of
// for whoever sends it. And where headers of two kinds meet, neither is believed.
const (
	originalURL    = "X-Original-Url"
	originalURI    = "X-Original-Uri"
	originalHost   = "X-Original-Host"
	originalMethod = "X-Original-Method"
	forwardedURI   = "X-Forwarded-Uri"
	forwardedHost  = "X-Forwarded-Host"
	forwardedProto = "X-Forwarded-Proto"
	forwardedVerb  = "X-Forwarded-Method"
)

// AskFromNginx reads what nginx's auth_request asks about: X-Original-Method
// with X-Original-URL (absolute), or with X-Original-URI and X-Original-Host;
// the latter pair has no scheme, so the given one stands, the one that
// Forwarding.Resolve found. Only a trusted proxy may ask. The error is a 400
// *fault.Error.
func AskFromNginx(r *http.Request, scheme string, trusted bool) (ForwardAsk, error) {
	q := newQuestion(r, trusted)
	q.refuse(forwardedURI, forwardedVerb)
	method := q.one(originalMethod)
	var uri string
	if len(r.Header[originalURL]) > 0 {
		q.refuse(originalURI, originalHost)
		scheme, q.ask.HostPort, uri = splitURL(q.one(originalURL))
	} else {
		uri, q.ask.HostPort = q.one(originalURI), q.one(originalHost)
	}
	return q.finish(method, scheme, uri)
}

// AskFromForwarded reads what Traefik, Caddy and HAProxy ask about
// (X-Forwarded-Method, -Proto, -Host and -Uri) and what Envoy does: the
// original path follows prefix, the path of this endpoint; method, Host and
// query are the client's; X-Forwarded-Proto says the scheme. Only a trusted
// proxy may ask. The error is a 400 *fault.Error.
func AskFromForwarded(r *http.Request, prefix string, trusted bool) (ForwardAsk, error) {
	q := newQuestion(r, trusted)
	q.refuse(originalURL, originalURI, originalHost, originalMethod)
	proto := q.one(forwardedProto)
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix)
	if !ok {
		q.wrong = "The address of the question"
	}
	if path == "" {
		q.ask.HostPort = q.one(forwardedHost)
		return q.finish(q.one(forwardedVerb), proto, q.one(forwardedURI))
	}
	q.refuse(forwardedURI, forwardedVerb)
	q.ask.HostPort = r.Host
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	return q.finish(r.Method, proto, path)
}

// A question gathers a ForwardAsk and the first thing that is wrong with it.
type question struct {
	header http.Header
	ask    ForwardAsk
	wrong  string // what is missing or malformed; "" for nothing
}

// newQuestion begins to read a question that only a trusted proxy may ask.
func newQuestion(r *http.Request, trusted bool) *question {
	q := &question{header: r.Header}
	if !trusted {
		q.wrong = "The sender, which is not among the trusted proxies (--trusted-proxies),"
	}
	return q
}

// one returns the value of a header that must be there exactly once.
func (q *question) one(name string) string {
	lines := q.header[name]
	if len(lines) != 1 || lines[0] == "" {
		q.fail(name)
		return ""
	}
	return lines[0]
}

// refuse makes the question wrong if one of the headers is there.
func (q *question) refuse(names ...string) {
	for _, name := range names {
		if len(q.header[name]) > 0 {
			q.fail(name)
		}
	}
}

// fail notes the first thing that is wrong.
func (q *question) fail(what string) {
	if q.wrong == "" {
		q.wrong = "The header " + what
	}
}

// finish checks the parts and puts them together.
func (q *question) finish(method, scheme, uri string) (ForwardAsk, error) {
	q.ask.Method, q.ask.Scheme = method, webScheme(scheme)
	q.ask.Path, q.ask.Query, _ = strings.Cut(uri, "?")
	if !isMethod(method) {
		q.fail("with the method")
	}
	if q.ask.Scheme == "" {
		q.fail("with the scheme")
	}
	if host, err := CleanHost(q.ask.HostPort); err != nil || host == "" {
		q.fail("with the host")
	}
	if !strings.HasPrefix(q.ask.Path, "/") || strings.Contains(uri, "#") {
		q.fail("with the path")
	}
	if q.wrong != "" {
		return ForwardAsk{}, fault.New(http.StatusBadRequest, "invalid_request",
			q.wrong+" is missing, malformed or not expected in a forward-auth request. See the documentation for what each proxy must send.")
	}
	if method == http.MethodGet {
		upgrade := q.header["Upgrade"]
		q.ask.WebSocket = len(upgrade) == 1 && strings.EqualFold(upgrade[0], "websocket")
		q.ask.MaybeWebSocket = !q.ask.WebSocket && len(q.header["Sec-Websocket-Key"]) > 0
	}
	return q.ask, nil
}

// CheckOrigin refuses the WebSocket that another proxy asks about where its
// own handshake here would be refused: the pages of foreign sites may open
// none. The error is a 403 *fault.Error.
func (g *Gateway) CheckOrigin(r *http.Request, id *identity.Request) error {
	return checkOrigin(r, id, g.origins)
}

// NamesClient reports whether a proxy says whom it speaks for: the last entry
// of X-Forwarded-For is an address. Without one every client would be the
// proxy, and one that guesses would lock out all.
func NamesClient(h http.Header) bool {
	_, ok := hopAddr(lastValue(h["X-Forwarded-For"]))
	return ok
}

// splitURL splits an absolute URL without decoding anything. What is no such
// URL comes back empty.
func splitURL(s string) (scheme, hostport, uri string) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return "", "", ""
	}
	i := strings.IndexAny(rest, "/?#")
	if i < 0 {
		return scheme, rest, "/"
	}
	return scheme, rest[:i], rest[i:]
}

// isMethod reports whether s is a method: a token (RFC 9110 §9.1) in upper
// case, as every registered one is.
func isMethod(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if (s[i] < 'A' || s[i] > 'Z') && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return true
}
