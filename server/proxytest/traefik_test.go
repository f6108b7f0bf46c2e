//go:build linux

package proxytest

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A traefik stands in for Traefik 3.7 with examples/traefik.yml. Traefik itself
// cleans paths before it asks; this one does not, so that wavegate sees worse.
type traefik struct {
	t        *testing.T
	http     node
	gate     string
	copied   *regexp.Regexp
	forwards bool // trustForwardHeader
	keeps    bool // preserveLocationHeader
}

func startTraefik(t *testing.T, gate, app string) string {
	if !strings.Contains(readExample(t, "traefik.yml"), "aliasHeadersStrategy=delete") {
		t.Error("the example does not tell Traefik to delete the aliases of header names")
	}
	tr := &traefik{t: t, http: readYAML(t, "traefik.yml").at("http"), gate: gate}
	auth := tr.http.at("middlewares", "wavegate", "forwardAuth")
	if got := auth.at("address").text(); got != "http://"+exampleGate+"/_auth/forward" {
		t.Errorf("forwardAuth asks %s", got)
	}
	for service, want := range map[string]string{"app": exampleApp, "wavegate": exampleGate} {
		if got := tr.http.at("services", service, "loadBalancer", "servers").list()[0].at("url").text(); got != "http://"+want {
			t.Errorf("the service %s is at %s", service, got)
		}
	}
	tr.forwards, _ = auth.at("trustForwardHeader").value.(bool)
	tr.keeps, _ = auth.at("preserveLocationHeader").value.(bool)
	tr.copied = regexp.MustCompile(auth.at("authResponseHeadersRegex").text())
	p := standIn{ask: tr.ask, allow: tr.allow, deny: tr.deny, onError: http.StatusInternalServerError, app: app, gate: gate}
	return p.start(t)
}

// managed are the headers that Traefik's entry point writes itself, and takes
// from nobody who is not in forwardedHeaders.trustedIPs.
var managed = []string{
	"X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Uri",
	"X-Forwarded-Method", "X-Forwarded-Prefix", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info", "X-Real-Ip",
}

// entryPoint is what happens to the headers before any middleware.
func (tr *traefik) entryPoint(r *http.Request) {
	h := r.Header
	for name := range h {
		if slices.Contains(managed, name) || strings.ContainsFunc(name, func(c rune) bool { return c != '-' && !isAlphanumeric(c) }) {
			delete(h, name)
		}
	}
	offered, upgrade := isUpgrade(h), h.Get("Upgrade")
	for _, name := range listedInConnection(h) {
		h.Del(name)
	}
	h.Del("Connection")
	proto := "http"
	if offered {
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", upgrade)
		if strings.EqualFold(upgrade, "websocket") {
			proto = "ws"
		}
	}
	for name, value := range map[string]string{
		"X-Real-Ip": clientIP(r), "X-Forwarded-Proto": proto, "X-Forwarded-Host": r.Host, "X-Forwarded-Port": "80", "X-Forwarded-Server": "here",
	} {
		h.Set(name, value)
	}
}

func isAlphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// ask runs the middlewares of the router up to forwardAuth and returns the
// question that it sends.
func (tr *traefik) ask(r *http.Request) (*http.Request, int) {
	if r.Method == http.MethodConnect || r.URL.Path == "*" {
		return nil, http.StatusBadRequest
	}
	tr.entryPoint(r)
	router := tr.router(r)
	middlewares := router.at("middlewares").list()
	if router.at("service").text() == "wavegate" {
		for _, m := range middlewares {
			tr.headers(r.Header, m.text())
		}
		return nil, 0
	}
	before, last := middlewares[:len(middlewares)-2], middlewares[len(middlewares)-2:]
	if last[0].text() != "wavegate" || last[1].text() != "to-app" {
		tr.t.Errorf("%s: the last are %s and %s, want wavegate and to-app", last[0].path, last[0].text(), last[1].text())
	}
	for _, m := range before {
		tr.headers(r.Header, m.text())
	}
	return tr.question(r), 0
}

// question is what forwardAuth sends: a GET with the client's headers, less
// those of the connection, and five of its own.
func (tr *traefik) question(r *http.Request) *http.Request {
	h := r.Header.Clone()
	for _, name := range []string{"Connection", "Keep-Alive", "Te", "Trailers", "Transfer-Encoding", "Upgrade"} {
		h.Del(name)
	}
	if !tr.forwards {
		h.Set("X-Forwarded-For", clientIP(r))
		h.Set("X-Forwarded-Method", r.Method)
		h.Set("X-Forwarded-Proto", "http")
		h.Set("X-Forwarded-Host", r.Host)
		h.Set("X-Forwarded-Uri", r.URL.RequestURI())
	}
	return &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: tr.gate, Path: "/_auth/forward"}, Header: h}
}

// allow copies the identity and runs the last middleware.
func (tr *traefik) allow(r *http.Request, answer http.Header) {
	for name := range r.Header {
		if tr.copied.MatchString(name) {
			r.Header.Del(name)
		}
	}
	for name, values := range answer {
		if tr.copied.MatchString(name) {
			r.Header[name] = values
		}
	}
	tr.headers(r.Header, "to-app")
	r.Header.Set("X-Forwarded-For", clientIP(r))
}

// deny passes a refusal on. A Location that is a path becomes one on the address
// that was asked, unless the file says otherwise.
func (tr *traefik) deny(answer http.Header) http.Header {
	if location := answer.Get("Location"); location != "" && !tr.keeps {
		base := url.URL{Scheme: "http", Host: tr.gate, Path: "/_auth/forward"}
		if u, err := base.Parse(location); err == nil {
			answer.Set("Location", u.String())
		}
	}
	return answer
}

// headers runs a headers middleware.
func (tr *traefik) headers(h http.Header, name string) {
	for key, value := range tr.http.at("middlewares", name, "headers", "customRequestHeaders").value.(map[string]any) {
		if value == "" {
			h.Del(key)
			continue
		}
		h.Set(key, value.(string))
	}
}

// router returns the one with the highest priority whose rule matches.
func (tr *traefik) router(r *http.Request) node {
	best, priority := node{}, -1
	for name := range tr.http.at("routers").value.(map[string]any) {
		router := tr.http.at("routers", name)
		if p := router.at("priority").value.(int); p > priority && tr.matches(router.at("rule").text(), r) {
			best, priority = router, p
		}
	}
	return best
}

var matcher = regexp.MustCompile("^(!?)(Method|PathPrefix|HeaderRegexp)\\(`([^`]*)`(?:, `([^`]*)`)?\\)$")

// matches knows as much of Traefik's rules as the example needs.
func (tr *traefik) matches(rule string, r *http.Request) bool {
	for part := range strings.SplitSeq(rule, " && ") {
		m := matcher.FindStringSubmatch(part)
		if m == nil {
			tr.t.Errorf("rule %q: unknown matcher", part)
			return false
		}
		ok := false
		switch m[2] {
		case "Method":
			ok = r.Method == m[3]
		case "PathPrefix":
			ok = strings.HasPrefix(r.URL.Path, m[3])
		case "HeaderRegexp":
			ok = slices.ContainsFunc(r.Header.Values(m[3]), regexp.MustCompile(m[4]).MatchString)
		}
		if ok == (m[1] == "!") {
			return false
		}
	}
	return true
}
