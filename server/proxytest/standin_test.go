//go:build linux

package proxytest

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// A standIn plays a proxy that cannot be installed here. It asks wavegate as
// that proxy documents, by the example file, and then passes the request on.
type standIn struct {
	// ask prepares the request and returns the question about it; nil and
	// a status where the proxy itself refuses, nil and 0 where wavegate answers
	// the request itself.
	ask func(r *http.Request) (*http.Request, int)
	// allow takes over the identity that wavegate answered.
	allow func(r *http.Request, answer http.Header)
	// deny returns the headers of a refusal that the client gets.
	deny    func(answer http.Header) http.Header
	onError int // status when wavegate does not answer
	app     string
	gate    string
	asks    *http.Transport
}

// start serves the stand-in and returns its address.
func (p *standIn) start(t *testing.T) string {
	t.Helper()
	p.asks = &http.Transport{DisableKeepAlives: true, DisableCompression: true, ResponseHeaderTimeout: 10 * time.Second}
	s := httptest.NewUnstartedServer(p)
	s.Config.DisableGeneralOptionsHandler = true
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// ServeHTTP is the life of a request in a proxy with forward authentication.
func (p *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	question, status := p.ask(r)
	if question == nil && status == 0 {
		p.forward(w, r, p.gate)
		return
	}
	if question == nil {
		http.Error(w, "refused by the proxy", status)
		return
	}
	res, err := p.asks.RoundTrip(question)
	if err != nil {
		http.Error(w, "no answer", p.onError)
		return
	}
	defer res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		maps.Copy(w.Header(), p.deny(res.Header))
		w.WriteHeader(res.StatusCode)
		io.Copy(w, res.Body)
		return
	}
	p.allow(r, res.Header)
	p.forward(w, r, p.app)
}

// forward passes the request on as it stands now.
func (p *standIn) forward(w http.ResponseWriter, r *http.Request, to string) {
	kept := r.Header.Clone()
	proxy := httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
		pr.Out.URL.Scheme, pr.Out.URL.Host = "http", to
		for name, values := range kept {
			if strings.HasPrefix(name, "X-Forwarded-") { // Rewrite begins without them
				pr.Out.Header[name] = values
			}
		}
	}}
	proxy.ServeHTTP(w, r)
}

// clientIP is the address of the connection.
func clientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// listedInConnection returns the names in Connection, canonical.
func listedInConnection(h http.Header) []string {
	var names []string
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			names = append(names, http.CanonicalHeaderKey(textproto.TrimString(name)))
		}
	}
	return names
}

// isUpgrade reports whether a client offers to change the protocol.
func isUpgrade(h http.Header) bool {
	return slices.Contains(listedInConnection(h), "Upgrade") && h.Get("Upgrade") != ""
}

// A node is a place in a YAML file.
type node struct {
	t     *testing.T
	path  string
	value any
}

func readYAML(t *testing.T, name string) node {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(readExample(t, name)), &value); err != nil {
		t.Fatalf("examples/%s: %v", name, err)
	}
	return node{t, "examples/" + name, value}
}

// at goes down by the keys of mappings. What is not there is a failure.
func (n node) at(keys ...string) node {
	n.t.Helper()
	for _, key := range keys {
		m, ok := n.value.(map[string]any)
		if !ok || m[key] == nil {
			n.t.Fatalf("%s has no %s", n.path, key)
		}
		n = node{n.t, n.path + "/" + key, m[key]}
	}
	return n
}

// has reports whether a mapping has a key.
func (n node) has(key string) bool {
	m, ok := n.value.(map[string]any)
	return ok && m[key] != nil
}

// list returns the members of a sequence.
func (n node) list() []node {
	n.t.Helper()
	values, ok := n.value.([]any)
	if !ok {
		n.t.Fatalf("%s is no list", n.path)
	}
	var nodes []node
	for _, v := range values {
		nodes = append(nodes, node{n.t, n.path + "[]", v})
	}
	return nodes
}

// text returns a string.
func (n node) text() string {
	n.t.Helper()
	s, ok := n.value.(string)
	if !ok {
		n.t.Fatalf("%s is no text", n.path)
	}
	return s
}
