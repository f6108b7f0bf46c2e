package policy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEndpointLookup(t *testing.T) {
	p := mustParse(t, `
scopes:
  list: {endpoints: [GET /v1/streams]}
  one: {endpoints: ["GET /v1/streams/:id", "WS /v1/streams/:id"]}
  same: {endpoints: ["GET /v1/streams/{stream}"]}
  latest: {endpoints: [GET /v1/streams/latest]}
  below: {endpoints: ["GET /v1/files/*"]}
  sub: {endpoints: ["GET /v1/docs/"]}
  exact: {endpoints: ["GET /v1/exact/{$}"]}
  parts: {endpoints: ["GET /v1/streams/:id/parts/:part"]}
  verb: {endpoints: ["POST /v1/streams/:id", "POST /v1/jobs:run"]}
`)
	for _, c := range []struct {
		method, path string
		ws           bool
		want         string
	}{
		{"GET", "/v1/streams", false, "list"},
		{"HEAD", "/v1/streams", false, "list"},
		{"GET", "/v1/streams/", false, ""},
		{"GET", "/v1/streams/7", false, "one same"},
		{"GET", "/v1/streams/latest", false, "latest"},
		{"GET", "/v1/streams/LATEST", false, "one same"},
		{"GET", "/v1/streams/a%2Fb", false, "one same"},
		{"GET", "/v1/streams/a/b", false, ""},
		{"GET", "/v1/streams/latest/parts/1", false, "parts"},
		{"GET", "/v1/streams//parts/1", false, ""},
		{"GET", "/v1/streams/x/parts/", false, ""},
		{"GET", "/v1/streams/7", true, "one"},
		{"GET", "/v1/streams", true, ""},
		{"CONNECT", "/v1/streams/7", true, "one"},
		{"WS", "/v1/streams/7", false, ""},
		{"get", "/v1/streams", false, ""},
		{"GET", "/v1/files", false, ""},
		{"GET", "/v1/files/", false, "below"},
		{"GET", "/v1/files/a/b//c", false, "below"},
		{"GET", "/v1/docs/x/y", false, "sub"},
		{"GET", "/v1/exact/", false, "exact"},
		{"GET", "/v1/exact/x", false, ""},
		{"GET", "/v1/exact", false, ""},
		{"POST", "/v1/streams/7", false, "verb"},
		{"POST", "/v1/jobs:run", false, "verb"},
		{"PUT", "/v1/streams/7", false, ""},
		{"GET", "//v1/streams", false, ""},
		{"GET", "/v1/streams;x=1", false, ""},
		{"GET", "", false, ""},
		{"GET", "*", false, ""},
		{"GET", "/", false, ""},
	} {
		got := strings.Join(p.endpoints.lookup(Ask{Method: c.method, Path: c.path, WebSocket: c.ws}), " ")
		if got != c.want {
			t.Errorf("%s %s (ws %v): got %q, want %q", c.method, c.path, c.ws, got, c.want)
		}
	}
}

// drawPath draws a path of few distinct segments, so that patterns and
// requests meet.
func drawPath(t *rapid.T, segments []string, ends []string) string {
	parts := rapid.SliceOfN(rapid.SampledFrom(segments), 0, 4).Draw(t, "segments")
	return "/" + strings.Join(append(parts, rapid.SampledFrom(ends).Draw(t, "end")), "/")
}

// drawEndpoints draws endpoints that do not conflict, with their patterns.
func drawEndpoints(t *rapid.T) (endpoints, patterns []string) {
	mux := http.NewServeMux()
	for range rapid.IntRange(0, 15).Draw(t, "endpoints") {
		method := rapid.SampledFrom([]string{"GET", "POST", "WS"}).Draw(t, "method")
		text := method + " " + drawPath(t, []string{"a", "b", "c", ":x", "{y}"}, []string{"a", "b", ":x", "*", "", "{$}", "{r...}"})
		e, err := parseEndpoint(text)
		if err != nil {
			continue // an empty segment in the middle
		}
		if !conflicts(mux, e.pattern()) {
			endpoints = append(endpoints, text)
			patterns = append(patterns, e.pattern())
		}
	}
	return endpoints, patterns
}

// muxPattern returns the pattern among those that ServeMux serves a request
// with, or "". A redirect to the same path with a slash is no match: its
// pattern is left out and the rest asked again.
func muxPattern(patterns []string, method, path string) string {
	mux := http.NewServeMux()
	for _, p := range patterns {
		mux.Handle(p, http.NotFoundHandler())
	}
	h, pattern := mux.Handler(&http.Request{Method: method, URL: &url.URL{Path: path}, Host: "h"})
	if _, served := h.(http.HandlerFunc); served {
		return pattern
	}
	return muxPattern(slices.DeleteFunc(slices.Clone(patterns), func(p string) bool { return p == pattern }), method, path)
}

func TestEndpointsChooseAsServeMux(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		endpoints, patterns := drawEndpoints(t)
		var table endpointTable
		for _, text := range endpoints {
			e, _ := parseEndpoint(text)
			table.add(e, e.pattern())
		}
		method := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", "WS"}).Draw(t, "method")
		path := drawPath(t, []string{"a", "b", "c", "d"}, []string{"a", "b", "d", ""})
		for strings.Contains(path, "//") { // ServeMux redirects these
			path = strings.ReplaceAll(path, "//", "/")
		}
		var want []string
		if pattern := muxPattern(patterns, method, path); pattern != "" {
			want = []string{pattern}
		}
		got := table.lookup(Ask{Method: method, Path: path, WebSocket: method == "WS"})
		if !slices.Equal(got, want) {
			t.Errorf("%s %s among %q: got %q, want %q", method, path, endpoints, got, want)
		}
	})
}

func TestScopesAreListedSorted(t *testing.T) {
	p := mustParse(t, "scopes:\n  b:read: {description: B, risk: high, endpoints: [GET /b]}\n  a:read: {}\n")
	want := []Scope{{Name: "a:read"}, {Name: "b:read", Description: "B", Risk: "high", Endpoints: []string{"GET /b"}}}
	if diff := cmp.Diff(want, p.Scopes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
