package policy

import (
	"slices"
	"testing"

	"wavegate/server/identity"
)

func TestReadings(t *testing.T) {
	for path, want := range map[string][]string{
		"/a/b.c":          {},
		"/a%2Fb":          {"/a%2Fb", "/a/b"},
		"/a%5Cb":          {"/a/b"},
		`/a\b`:            {"/a/b"},
		"//a///b//":       {"/a/b/"},
		"/a;x/b;y":        {"/a/b"},
		"/%2561dmin":      {"/%61dmin", "/admin"},
		"/%252561dmin":    {"/%2561dmin", "/%61dmin", "/admin"},
		"/a%253Bx":        {"/a%3Bx", "/a;x", "/a"},
		"/%2F%5C//a%255C": {"/a/"},
		"/100%":           {"/100%"},
		"/100%zz%2":       {"/100%zz%2"},
	} {
		got := slices.Collect(Readings(path))
		for _, reading := range want {
			if !slices.Contains(got, reading) {
				t.Errorf("%s: %q is not in %q", path, reading, got)
			}
		}
		if len(want) == 0 && len(got) > 0 {
			t.Errorf("%s: got %q", path, got)
		}
	}
}

func FuzzReadings(f *testing.F) {
	for _, seed := range []string{"/", "/a%2Fb", "/%25252525252525252561", "//;\\%", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		n := 0
		for reading := range Readings(path) {
			if n++; n > 2*maxReadings || len(reading) > len(path) {
				t.Fatalf("%q: reading %d is %q", path, n, reading)
			}
		}
	})
}

func TestSpellingsCannotHideAnEndpoint(t *testing.T) {
	p := mustParse(t, `
upstreams:
  - {route: /, url: http://u, unlisted: allow, allow_in_path: ["%2f", "%5c", "//", "%25"]}
scopes:
  admin: {endpoints: ["GET /v1/admin", "GET /v1/files/secret"]}
  files: {endpoints: ["GET /v1/files/:name", "GET /v1/pages/*"]}
`)
	route := p.Match("h", "/")
	for _, method := range []identity.Method{identity.MethodAPIKey, identity.MethodSession} {
		for path, want := range map[string]bool{
			"/v1/admin": false, "/v1%2Fadmin": false, "//v1/admin": false, "/v1%5Cadmin": false, "/v1/%2561dmin": false, "/v1/admin;x": false,
			"/v1%252Fadmin": false, "/v1/files/%2573ecret": false, "/v1/files/secret;x": false,
			"/v1/files/a": true, "/v1/files/a;x": true, "/v1/files/a%2Fb": true, "/v1/pages/a%2Fb": true, "/other%2Fx": true, "/other": true,
		} {
			ask := Ask{Route: route, Method: "GET", Path: path}
			if got := p.Decide(principal(method, "files"), ask); got.Allow != want {
				t.Errorf("%s %s: got %+v, want %v", method, path, got, want)
			}
			if got := p.Decide(principal(method, identity.ScopeAll), ask); !got.Allow {
				t.Errorf("%s %s with *: got %+v", method, path, got)
			}
		}
	}
}
