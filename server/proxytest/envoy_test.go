//go:build linux

package proxytest

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// An envoy stands in for Envoy 1.36 with examples/envoy.yaml.
type envoy struct {
	gate, prefix             string
	remove                   []func(name string) bool // header_mutation, on lower-case names
	asked, upstream, answers []func(name string) bool // header patterns of ext_authz
	routes                   []node                   // in the order in which they are tried
	removedLast              []string                 // by the router
}

func startEnvoy(t *testing.T, gate, app string) string {
	manager := readYAML(t, "envoy.yaml").at("static_resources", "listeners").list()[0].
		at("filter_chains").list()[0].at("filters").list()[0].at("typed_config")
	e := &envoy{gate: gate}
	for key, want := range map[string]any{"use_remote_address": true, "normalize_path": false, "merge_slashes": false} {
		if got := manager.at(key).value; got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	if got := manager.at("common_http_protocol_options", "headers_with_underscores_action").text(); got != "DROP_HEADER" {
		t.Errorf("headers with underscores: %s", got)
	}
	filters := manager.at("http_filters").list()
	e.readMutations(filters[0].at("typed_config", "mutations", "request_mutations"))
	e.readAuthorization(t, filters[1].at("typed_config"))
	e.routes = manager.at("route_config", "virtual_hosts").list()[0].at("routes").list()
	for _, name := range e.routes[len(e.routes)-1].at("request_headers_to_remove").list() {
		e.removedLast = append(e.removedLast, name.text())
	}
	p := standIn{ask: e.ask, allow: e.allow, deny: e.deny, onError: http.StatusServiceUnavailable, app: app, gate: gate}
	return p.start(t)
}

func (e *envoy) readMutations(mutations node) {
	for _, m := range mutations.list() {
		if m.has("remove") {
			name := m.at("remove").text()
			e.remove = append(e.remove, func(got string) bool { return got == name })
			continue
		}
		e.remove = append(e.remove, pattern(m.at("remove_on_match", "key_matcher")))
	}
}

func (e *envoy) readAuthorization(t *testing.T, auth node) {
	if auth.at("failure_mode_allow").value != false || auth.at("status_on_error", "code").text() != "ServiceUnavailable" {
		t.Error("ext_authz does not fail closed with 503")
	}
	service := auth.at("http_service")
	e.prefix = service.at("path_prefix").text()
	e.asked = patterns(auth.at("allowed_headers"))
	e.upstream = patterns(service.at("authorization_response", "allowed_upstream_headers"))
	e.answers = patterns(service.at("authorization_response", "allowed_client_headers"))
}

// patterns reads a list of string matchers.
func patterns(list node) []func(string) bool {
	var all []func(string) bool
	for _, p := range list.at("patterns").list() {
		all = append(all, pattern(p))
	}
	return all
}

// pattern reads one string matcher; regular expressions match whole names.
func pattern(p node) func(string) bool {
	switch {
	case p.has("exact"):
		return func(name string) bool { return name == p.at("exact").text() }
	case p.has("prefix"):
		return func(name string) bool { return strings.HasPrefix(name, p.at("prefix").text()) }
	}
	return regexp.MustCompile("^(?:" + p.at("safe_regex", "regex").text() + ")$").MatchString
}

// matchesAny reports whether one of the patterns matches a name.
func matchesAny(all []func(string) bool, name string) bool {
	return slices.ContainsFunc(all, func(match func(string) bool) bool { return match(strings.ToLower(name)) })
}

// ask does what the connection manager and the filters before ext_authz do,
// and returns the question: the client's method and path behind the prefix, its
// host, an empty body, and the headers that are allowed.
func (e *envoy) ask(r *http.Request) (*http.Request, int) {
	if strings.Contains(r.RequestURI, "#") || !strings.HasPrefix(r.URL.Path, "/") || r.Method == http.MethodConnect {
		return nil, http.StatusBadRequest
	}
	if status := e.manager(r); status != 0 {
		return nil, status
	}
	maps.DeleteFunc(r.Header, func(name string, _ []string) bool { return matchesAny(e.remove, name) })
	if status, asks := e.route(r); !asks {
		return nil, status
	}
	h := http.Header{"X-Envoy-Internal": {"true"}, "X-Envoy-Expected-Rq-Timeout-Ms": {"10000"}}
	for name, values := range r.Header {
		if name == "Authorization" || matchesAny(e.asked, name) {
			h[name] = values
		}
	}
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") { // absolute form
		target = r.URL.RequestURI()
	}
	return &http.Request{Method: r.Method, URL: &url.URL{Scheme: "http", Host: e.gate, Opaque: e.prefix + target}, Host: r.Host, Header: h}, 0
}

// route reports whether wavegate is asked about the request. Where it is not,
// the status is the one that the file fixes, or 0: wavegate answers itself.
func (e *envoy) route(r *http.Request) (status int, asks bool) {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	for _, route := range e.routes {
		if !pattern(route.at("match"))(path) {
			continue
		}
		if route.has("direct_response") {
			return route.at("direct_response", "status").value.(int), false
		}
		return 0, !route.has("typed_per_filter_config") || route.at("route", "cluster").text() != "wavegate" ||
			route.at("typed_per_filter_config", "envoy.filters.http.ext_authz", "disabled").value != true
	}
	return http.StatusNotFound, false
}

// manager is Envoy's HTTP connection manager at the edge.
func (e *envoy) manager(r *http.Request) int {
	h := r.Header
	maps.DeleteFunc(h, func(name string, _ []string) bool {
		return strings.Contains(name, "_") || strings.HasPrefix(name, "X-Envoy-")
	})
	if isUpgrade(h) && !strings.EqualFold(h.Get("Upgrade"), "websocket") {
		return http.StatusForbidden // not in upgrade_configs
	}
	if isUpgrade(h) {
		h["Upgrade"], h["Connection"] = h["Upgrade"][:1], []string{"Upgrade"}
	} else {
		h.Del("Upgrade")
		h.Del("Connection")
	}
	h["X-Forwarded-For"] = []string{strings.Join(append(h["X-Forwarded-For"], clientIP(r)), ",")}
	h["X-Forwarded-Proto"] = []string{"http"}
	h["X-Request-Id"] = []string{"5f0c4ad5-7a4e-4a0b-9d3e-0d2a3c1b5e6f"}
	return 0
}

// allow sets the headers of the answer that may go upstream.
func (e *envoy) allow(r *http.Request, answer http.Header) {
	for name, values := range answer {
		if matchesAny(e.upstream, name) {
			r.Header[name] = values
		}
	}
	for _, name := range e.removedLast {
		r.Header.Del(name)
	}
}

// deny keeps what the client may see of a refusal.
func (e *envoy) deny(answer http.Header) http.Header {
	kept := http.Header{}
	for name, values := range answer {
		always := []string{"Content-Length", "Www-Authenticate", "Location"}
		if slices.Contains(always, name) || matchesAny(e.answers, name) {
			kept[name] = values
		}
	}
	return kept
}
