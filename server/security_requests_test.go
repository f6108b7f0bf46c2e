package server

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
)

// readings returns the paths that an app could take a request target for: the
// escapes decoded, backslashes for slashes, parameters cut off, empty segments
// dropped, dot segments resolved; and the same in lower case.
func readings(target string) []string {
	target, _, _ = strings.Cut(target, "?")
	decoded, err := url.PathUnescape(target)
	if err != nil {
		decoded = target
	}
	var out []string
	for _, s := range []string{target, decoded, strings.ReplaceAll(decoded, `\`, "/")} {
		var plain strings.Builder
		for segment := range strings.SplitAfterSeq(s, "/") {
			name, _, cut := strings.Cut(segment, ";")
			plain.WriteString(name)
			if cut && strings.HasSuffix(segment, "/") {
				plain.WriteByte('/')
			}
		}
		for _, s := range []string{s, plain.String()} {
			upToNUL, _, _ := strings.Cut(s, "\x00")
			out = append(out, path.Clean(s), path.Clean(upToNUL))
		}
	}
	return out
}

// within reports whether a path is at or below a prefix.
func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// closedPaths is the corpus for a public and a closed prefix.
func closedPaths(t *testing.T, pub, key string) []string {
	var out []string
	for _, line := range corpus(t, "closed-paths.txt") {
		e := func(i int) string { return fmt.Sprintf("%x", key[i]) }
		line = strings.NewReplacer("PUB", pub, "KEY", key,
			"%4b%45%59", "%"+e(0)+"%"+e(1)+"%"+e(2)+key[3:], "%4B%45%59", "%"+strings.ToUpper(e(0))+"%"+e(1)+"%"+e(2)+key[3:],
			"%4bEY", "%"+e(0)+key[1:], "K%45Y", key[:1]+"%"+e(1)+key[2:]).Replace(line)
		out = append(out, line)
	}
	return out
}

func TestSpellingsOfAPathNeverWidenARule(t *testing.T) {
	t.Parallel()
	open, closed := newRawApp(t), newRawApp(t)
	for name, c := range map[string]struct {
		routes string
		inside bool // what reaches the open app must be inside /public; else, outside /secret
	}{
		"a public prefix in a closed site": {"{route: /public, url: %[1]q, access: public}\n  - {route: /, url: %[2]q}", true},
		"a closed prefix in a public site": {"{route: /, url: %[1]q, access: public}\n  - {route: /secret, url: %[2]q}", false},
		"prefixes of a host":               {"{route: app.test/public, url: %[1]q, access: public}\n  - {route: app.test, url: %[2]q}\n  - {route: /, url: \"static://404\"}", true},
		"one app for both":                 {"{route: /public, url: %[1]q, access: public}\n  - {route: /public/secret, url: %[2]q}\n  - {route: /, url: %[2]q}", true},
	} {
		ts := configured(t, withPolicy(t, "upstreams:\n  - "+fmt.Sprintf(c.routes, open.url, closed.url)+"\n"))
		reached := 0
		for _, target := range closedPaths(t, "public", "secret") {
			for _, more := range [][]string{nil, {"Accept: text/html"}, {"X-Original-URL: /public", "X-Rewrite-URL: /public", "X-Forwarded-Uri: /public"}} {
				a := wire(t, ts.Addr(), plainGet(target, "app.test", more...))
				if got := closed.take(); len(got) > 0 {
					t.Errorf("%s: %q reached the closed app without a key: %q", name, target, got)
				}
				for _, got := range open.targets() {
					reached++
					for _, reading := range readings(got) {
						if c.inside != within(reading, map[bool]string{true: "/public", false: "/secret"}[c.inside]) {
							t.Errorf("%s: %q reached the open app as %q, which can be read as %q", name, target, got, reading)
						}
					}
				}
				if a != nil && a.StatusCode != 200 && (a.StatusCode < 400 || a.StatusCode > 404) {
					t.Errorf("%s: %q: status %d", name, target, a.StatusCode)
				}
			}
		}
		a := wire(t, ts.Addr(), plainGet("/public/a%20b;c?d", "app.test"))
		if got := open.targets(); !slices.Equal(got, []string{"/public/a%20b;c?d"}) || a.StatusCode != 200 {
			t.Errorf("%s: the public path does not work: %q", name, got)
		}
		t.Logf("%s: %d requests of the corpus reached the open app", name, reached)
	}
}

// The same paths with the key: what passes is forwarded as it was authorised.
func TestTheAuthorisedPathIsTheForwardedPath(t *testing.T) {
	app := newRawApp(t)
	ts := configured(t, withPolicy(t, "upstreams:\n  - {route: /, url: "+app.url+", allow_in_path: [\"//\", \"%2f\", \"%5c\", \"%25\"]}\n"))
	passed := 0
	for _, target := range closedPaths(t, "public", "secret") {
		a := wire(t, ts.Addr(), plainGet(target, "app.test", "Authorization: "+basic("id", "secret")))
		got := app.targets()
		switch {
		case len(got) == 0 && (a == nil || a.StatusCode >= 400):
			continue
		case len(got) != 1:
			t.Errorf("%q: forwarded as %q", target, got)
			continue
		}
		passed++
		want := strings.TrimPrefix(target, "http://user:pass@app.test")
		want = strings.TrimPrefix(strings.TrimPrefix(want, "http://app.test"), "http:")
		want = strings.NewReplacer(`\`, "%5C", "#", "%23", "\xff", "%FF").Replace(want) // what no request line may hold is escaped
		if got[0] != want {
			t.Errorf("%q: forwarded as %q", target, got[0])
		}
	}
	if passed < 30 {
		t.Errorf("only %d paths passed: the test says little", passed)
	}
}

func TestHostsAreComparedWholeWithoutCasePortAndDot(t *testing.T) {
	open, closed := newRawApp(t), newRawApp(t)
	ts := configured(t, withPolicy(t, fmt.Sprintf(`upstreams:
  - {route: open.test, url: %[1]q, access: public}
  - {route: "*.open.test", url: %[1]q, access: public}
  - {route: "[2001:db8::1]", url: %[1]q, access: public}
  - {route: closed.test, url: %[2]q}
  - {route: "[::1]", url: %[2]q}
  - {route: 127.0.0.1, url: %[2]q}
  - {route: /, url: "static://404"}
`, open.url, closed.url)))
	for host, want := range map[string]int{
		"open.test": 200, "OPEN.Test": 200, "open.test.": 200, "open.test:80": 200, "open.test:": 200, "Open.TEST.:65535": 200, "a.open.test": 200,
		"[2001:db8::1]": 200, "[2001:DB8:0::1]:443": 200,
		"closed.test": 401, "CLOSED.test": 401, "closed.test.": 401, "closed.test:1": 401, "cLOSED.test.:443": 401,
		"[::1]": 401, "[0:0:0:0:0:0:0:1]": 401, "[::1]:80": 401, "127.0.0.1:8080": 401,
		// Half a host, a longer one, another one.
		"open.test.evil.example": 401, "xopen.test": 401, "open.tes": 401, "open.testx": 401, "a.b.open.test": 401, "open-test": 401, ".open.test": 400,
		"closed.test@open.test": 400, "open.test@closed.test": 400, "open.test:80@closed.test": 400, "open.test#.closed.test": 400, "open.test/closed.test": 400,
		`open.test\.closed.test`: 400, "open.test?closed.test": 400, "open.test,closed.test": 400, "open.test closed.test": 400, "open.test;closed.test": 400,
		"open.test%00": 400, "open%2etest": 400, "open..test": 400, "open.test:80:80": 400, "open.test:x": 400, "open.test:99999": 400,
		"open\xe3\x80\x82test": 400, "\xef\xbd\x8fpen.test": 400, "[::1": 400, "[::ffff:127.0.0.1%25lo]": 400, "::1": 400, "*": 400, "*.open.test": 400,
	} {
		a := wire(t, ts.Addr(), plainGet("/x", host, "X-Forwarded-Host: open.test", "Forwarded: host=open.test", "X-Original-Host: open.test"))
		if a == nil || a.StatusCode != want {
			t.Errorf("Host %q: got %v, want %d", host, a, want)
		}
		if got := closed.take(); len(got) > 0 {
			t.Errorf("Host %q reached the closed app: %q", host, got)
		}
		if got := open.take(); (len(got) == 1) != (want == 200) || want == 200 && !strings.Contains(got[0], "\r\nHost: "+host+"\r\n") {
			t.Errorf("Host %q reached the open app as %q", host, got)
		}
	}
	for what, request := range map[string]string{
		"two Hosts":                        "GET /x HTTP/1.1\r\nHost: closed.test\r\nHost: open.test\r\n\r\n",
		"the same Host twice":              "GET /x HTTP/1.1\r\nHost: open.test\r\nhost: open.test\r\n\r\n",
		"no Host":                          "GET /x HTTP/1.1\r\n\r\n",
		"the absolute form counts":         plainGet("http://closed.test/x", "open.test"),
		"its port and case":                plainGet("HTTP://CLOSED.test.:80/x", "open.test"),
		"its user":                         plainGet("http://open.test@closed.test/x", "open.test"),
		"no host in it":                    plainGet("http:///x", "closed.test"),
		"another scheme":                   plainGet("ftp://closed.test/x", "open.test"),
		"a tunnel":                         "CONNECT open.test:80 HTTP/1.1\r\nHost: open.test\r\n\r\n",
		"HTTP/1.0 without a Host":          "GET /x HTTP/1.0\r\n\r\n",
		"HTTP/1.0 with the closed one":     "GET /x HTTP/1.0\r\nHost: closed.test\r\n\r\n",
		"a space before the colon of Host": "GET /x HTTP/1.1\r\nHost : open.test\r\nHost: closed.test\r\n\r\n",
	} {
		a := wire(t, ts.Addr(), request)
		if got := append(open.take(), closed.take()...); len(got) > 0 || a != nil && a.StatusCode < 400 {
			t.Errorf("%s: %v, an app saw %q", what, a, got)
		}
	}
	wire(t, ts.Addr(), plainGet("http://open.test/x", "closed.test"))
	if got := open.take(); len(got) != 1 || !strings.Contains(got[0], "\r\nHost: open.test\r\n") {
		t.Errorf("the absolute form was forwarded as %q", got)
	}
}
