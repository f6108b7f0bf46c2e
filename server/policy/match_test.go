package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// mustParse compiles a policy that must be good.
func mustParse(t testing.TB, text string, extra ...Route) *Policy {
	t.Helper()
	p, err := Parse("policy.yaml", []byte(text), extra)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// routesOf compiles a policy with nothing but routes at the places.
func routesOf(t testing.TB, places ...string) *Policy {
	t.Helper()
	var extra []Route
	for _, place := range places {
		r, err := ParseUpstream(place + "=http://127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		extra = append(extra, r)
	}
	p, err := Load("", extra)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func matchName(p *Policy, host, path string) string {
	if r := p.Match(host, path); r != nil {
		return r.Name
	}
	return ""
}

func TestMatch(t *testing.T) {
	p := routesOf(t, "/", "/a", "/a/b/c", "/public", "app.example.com/a", "app.example.com/x", "*.example.com", "[::1]/six")
	for _, c := range []struct{ host, path, want string }{
		{"h", "/", "/"},
		{"h", "/ab", "/"},
		{"h", "/a", "/a"},
		{"h", "/a/", "/a"},
		{"h", "/a/b", "/a"},
		{"h", "/a/b/c", "/a/b/c"},
		{"h", "/a/b/c/d", "/a/b/c"},
		{"h", "/a/b/cd", "/a"},
		{"h", "/A", "/"},
		{"app.example.com", "/a/b/c", "app.example.com/a"},
		{"app.example.com", "/y", "*.example.com/"},
		{"app.example.com", "/x", "app.example.com/x"},
		{"b.example.com", "/a", "*.example.com/"},
		{"b.c.example.com", "/a", "/a"},
		{"example.com", "/a", "/a"},
		{"::1", "/six", "::1/six"},
		{"[::1]:8080", "/six", "::1/six"},
		{"h", "", ""},
		{"h", "*", ""},
		{"h", "a", ""},
	} {
		if got := matchName(p, c.host, c.path); got != c.want {
			t.Errorf("Match(%q, %q) = %q, want %q", c.host, c.path, got, c.want)
		}
	}
}

func TestMatchWithoutRoutes(t *testing.T) {
	p, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := p.Match("h", "/"); r != nil {
		t.Errorf("got %v, want none", r)
	}
}

func TestHostIsComparedCaseBlindWithoutPortAndTrailingDot(t *testing.T) {
	p := routesOf(t, "Admin.Example.com.", "/")
	for _, host := range []string{
		"admin.example.com", "ADMIN.example.COM", "admin.example.com.", "admin.example.com:8443", "Admin.Example.Com.:80",
	} {
		if got := matchName(p, host, "/x"); got != "admin.example.com/" {
			t.Errorf("Match(%q) = %q", host, got)
		}
	}
	for _, host := range []string{"", "xadmin.example.com", "admin.example.com.evil.org", "example.com", "admin-example.com"} {
		if got := matchName(p, host, "/x"); got != "/" {
			t.Errorf("Match(%q) = %q, want the route of any host", host, got)
		}
	}
}

func TestOddPathsNeverWidenARoute(t *testing.T) {
	p := routesOf(t, "/", "/public", "/admin")
	for path, want := range map[string]string{
		"/public;x":        "/",
		"/public;/admin":   "/",
		"/public%2Fx":      "/",
		"/public%2F..":     "/",
		`/public\x`:        "/",
		"/publicx":         "/",
		"/x?/public":       "/",
		"/x#/public":       "/",
		"/PUBLIC":          "/",
		"/public\x00":      "/",
		"//admin":          "/admin",
		"///admin//x":      "/admin",
		"/x/public":        "/",
		"/admin/../public": "/admin",
	} {
		if got := matchName(p, "h", path); got != want {
			t.Errorf("Match(%q) = %q, want %q", path, got, want)
		}
	}
}

// slowMatch reads the rules of Match plainly, route by route.
func slowMatch(p *Policy, host, path string) *Route {
	segments := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == '/' })
	}
	var best *Route
	rank := -1
	for _, r := range p.Routes() {
		class := 0
		switch suffix, wild := strings.CutPrefix(r.Host, "*"); {
		case r.Host == host:
			class = 2
		case wild && strings.HasSuffix(host, suffix) && !strings.Contains(strings.TrimSuffix(host, suffix), "."):
			class = 1
		case r.Host != "":
			continue
		}
		have, want := segments(path), segments(r.Path)
		if len(want) > len(have) || strings.Join(have[:len(want)], "/") != strings.Join(want, "/") {
			continue
		}
		if n := class*100 + len(want); n > rank {
			rank, best = n, r
		}
	}
	return best
}

func TestMatchAgainstASlowReading(t *testing.T) {
	host := rapid.SampledFrom([]string{"", "a.x", "b.x", "*.x", "c"})
	path := rapid.Custom(func(t *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "c"}), 0, 4).Draw(t, "segments"), "/")
	})
	odd := rapid.SampledFrom([]string{"", "/", "//", "/a//b", "x", ";a"})
	rapid.Check(t, func(t *rapid.T) {
		var extra []Route
		seen := map[string]bool{}
		for range rapid.IntRange(0, 12).Draw(t, "routes") {
			r := newRoute(host.Draw(t, "host"), path.Draw(t, "path"), nil)
			if !seen[r.Name] {
				seen[r.Name] = true
				extra = append(extra, r)
			}
		}
		p, err := Load("", extra)
		if err != nil {
			t.Fatal(err)
		}
		h := rapid.SampledFrom([]string{"a.x", "b.x", "d.x", "c", "e.d.x"}).Draw(t, "request host")
		q := path.Draw(t, "request path") + odd.Draw(t, "odd")
		got, want := p.Match(h, q), slowMatch(p, h, q)
		if got != want {
			t.Errorf("Match(%q, %q) = %v, want %v", h, q, got, want)
		}
	})
}

func TestOverlapWithFlagsNamesBothOrigins(t *testing.T) {
	up, err := ParseUpstream("/a=http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := ParseDir("b@/srv/b", Public, "/")
	if err != nil {
		t.Fatal(err)
	}
	file := "upstreams:\n  - {route: /a/, url: http://127.0.0.1:2}\n  - {route: /b, url: http://127.0.0.1:2}\n"
	_, err = Parse("policy.yaml", []byte(file), []Route{up, dir, up})
	if err == nil {
		t.Fatal("the overlaps were taken")
	}
	want := `route /a is taken twice: by policy.yaml:2 and by --upstream /a=http://127.0.0.1:1; keep one`
	for _, want := range []string{
		"policy.yaml:2: " + want,
		"policy.yaml:3: route /b is taken twice: by policy.yaml:3 and by -public-dir b@/srv/b; keep one",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	_, err = Load("", []Route{up, up})
	if want := "route /a is taken twice: by " + up.Origin; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
