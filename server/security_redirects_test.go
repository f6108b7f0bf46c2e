package server

import (
	"html"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wavegate/tlsconf"
)

var (
	urlScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)
	pageLink  = regexp.MustCompile(`(?i)(?:href|src|action|formaction|content|srcset|data|poster)\s*=\s*["']?([^"'>\s]*)`)
)

// originOf returns the host to which a browser goes for a URL reference, in the
// way of the WHATWG URL standard; "" stays on the page's own origin. What is no
// http URL comes back with its scheme.
func originOf(ref string) string {
	ref = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(ref)
	ref = strings.TrimFunc(ref, func(r rune) bool { return r <= ' ' })
	scheme := strings.ToLower(urlScheme.FindString(ref))
	rest := ref[len(scheme):]
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	rest = strings.ReplaceAll(rest, `\`, "/")
	switch {
	case scheme != "" && scheme != "http:" && scheme != "https:":
		return ref
	case scheme == "" && !strings.HasPrefix(rest, "//"):
		return ""
	}
	authority, _, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return authority
}

func TestOriginOfReadsURLsAsBrowsersDo(t *testing.T) {
	for ref, want := range map[string]string{
		"/x": "", "x": "", "./x": "", "?//evil": "", "#//evil": "", "": "", "/x//evil": "",
		"//evil": "evil", `/\evil`: "evil", `\\evil`: "evil", "/\t/evil": "evil", " //evil": "evil", "https:evil": "evil",
		"https://own@evil:1/x": "evil", "HTTP:///evil": "evil", "javascript:x": "javascript:x",
	} {
		if got := originOf(ref); got != want {
			t.Errorf("%q: %q, want %q", ref, got, want)
		}
	}
}

// staysAt fails the test if an answer leads a browser to another host than
// those: by a header, or by a link of its page.
func staysAt(t *testing.T, what string, a *answer, hosts ...string) {
	t.Helper()
	if a == nil {
		return // no answer leads nowhere
	}
	check := func(where, ref string) {
		got := originOf(ref)
		if slices.Contains(hosts, got) {
			return
		}
		t.Errorf("%q: %s %q leads to %q", what, where, ref, got)
	}
	for _, name := range []string{"Location", "Content-Location", "Refresh", "Link"} {
		for _, v := range a.Header.Values(name) {
			check(name, v)
		}
	}
	if strings.Contains(a.Header.Get("Content-Type"), "html") {
		for _, m := range pageLink.FindAllStringSubmatch(a.body, -1) {
			check("link", html.UnescapeString(m[1]))
		}
	}
}

// hostileTargets is the corpus, raw and with every byte escaped.
func hostileTargets(t *testing.T) []string {
	var out []string
	for _, target := range corpus(t, "hostile-targets.txt") {
		out = append(out, target, escapeAll(target))
	}
	return out
}

func TestRedirectToHTTPSNeverLeavesTheOrigin(t *testing.T) {
	t.Parallel()
	for public, host := range map[string]string{"": "gate.test", "https://public.test/": "public.test"} {
		ts := configured(t, func(c *Config) {
			c.TLS = tlsconf.Config{SelfSigned: true}
			c.RedirectListen, c.PublicURL = "127.0.0.1:0", public
		})
		origin := "https://" + host + "/"
		if public == "" {
			origin = "https://" + withPort(host, ts.Addr().String()) + "/"
		}
		redirected := 0
		for _, target := range hostileTargets(t) {
			for _, path := range []string{"/" + strings.TrimPrefix(target, "/"), "/" + target, "/x?next=" + target, "/?" + target} {
				a := wire(t, ts.RedirectAddr(), plainGet(path, "gate.test:8080"))
				staysAt(t, path, a, host)
				if a == nil || a.StatusCode != 308 {
					continue
				}
				redirected++
				if got := a.Header.Get("Location"); !strings.HasPrefix(got, origin) {
					t.Errorf("%q: to %q, want %s", path, got, origin)
				}
			}
			for _, path := range []string{"/", target} { // the target as a Host, and in forms other than a path
				a := wire(t, ts.RedirectAddr(), plainGet(path, target, "X-Forwarded-Host: evil.example"))
				if a == nil || a.Header.Get("Location") == "" {
					continue
				}
				if got := originOf(a.Header.Get("Location")); got != host && (public != "" || "https://"+withPort(got, ts.Addr().String())+"/" != a.Header.Get("Location")) {
					t.Errorf("Host %q: to %q", target, a.Header.Get("Location"))
				}
			}
		}
		if redirected < 100 {
			t.Errorf("only %d of the requests were redirected: the test says little", redirected)
		}
	}
}

func TestNoAnswerOfAServerLeadsToAnotherOrigin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, folder := range []string{"sub", "docs/sub", "evil.example", `\evil.example`} { // folders of such names are the worst case
		writeFile(t, filepath.Join(dir, folder, "index.html"), "<p>sub")
	}
	ts := configured(t, func(c *Config) {
		c.BaseURL, c.MetricsListen = "/gate/", "127.0.0.1:0"
		withPolicy(t, "upstreams:\n  - {route: /docs, url: \"file://"+dir+"\", access: public, allow_in_path: [\"//\", \"%2f\", \"%5c\", \"%25\"]}\n  - {route: /, url: \"file://"+dir+"\", access: public, allow_in_path: [\"//\", \"%2f\", \"%5c\", \"%25\"]}\n")(c)
	})
	folders := 0
	ask := func(what, request string) {
		t.Helper()
		a := wire(t, ts.Addr(), request)
		staysAt(t, what, a, "")
		if a != nil && strings.Contains(strings.ToLower(a.body), "evil") {
			t.Errorf("%q: the page repeats it: %s", what, a.body)
		}
		if a != nil && a.StatusCode == 307 {
			folders++
		}
	}
	forHTML := "Connection: close\r\nAccept: text/html\r\n"
	for _, target := range corpus(t, "hostile-targets.txt") {
		query := url.QueryEscape(target)
		for _, path := range []string{
			target, escapeAll(target), "//docs/sub", "/docs" + target, "/docs/sub?" + target, "/gate/_auth/login?next=" + query + "&rd=" + query + "&post_logout_redirect_uri=" + query,
		} {
			ask(path, "GET "+path+" HTTP/1.1\r\nHost: gate.test\r\n"+forHTML+"\r\n")
		}
		ask("Host "+target, "GET /docs HTTP/1.1\r\nHost: "+target+"\r\n"+forHTML+"\r\n")
		var lines strings.Builder
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Original-URL", "X-Rewrite-URL", "Referer", "Origin"} {
			lines.WriteString(name + ": " + target + "\r\n")
		}
		ask("headers "+target, "GET /docs HTTP/1.1\r\nHost: gate.test\r\n"+forHTML+lines.String()+"\r\n")
		staysAt(t, "metrics "+target, wire(t, ts.MetricsAddr(), plainGet(target, "gate.test")), "")
	}
	if folders < 50 {
		t.Errorf("only %d redirects to a folder: the test says little", folders)
	}
}
