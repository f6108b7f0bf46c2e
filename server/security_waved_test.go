package server

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wavegate/keychain"
	"wavegate/tlsconf"
)

// The faults that were seen in waved by running it, each by its name. What is
// tested in depth elsewhere is named in docs/security.md too.

func TestWavedFaultADotInThePathSkipsLogin(t *testing.T) {
	ts := guarded(t, hello)
	for _, path := range []string{"/app.js", "/static/x.css", "/favicon.ico", "/robots.txt", "/.well-known/x", "/index.html", "/health", "/_auth/x.js"} {
		if a := ts.do("GET", path, ""); a.StatusCode != 401 && a.StatusCode != 404 {
			t.Errorf("%s: %d without a key", path, a.StatusCode)
		}
	}
}

func TestWavedFaultFoldersAreListedAndTakeUploads(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "pub", "a.txt"), "public")
	writeFile(t, filepath.Join(dir, "priv", "b.txt"), "private")
	writeFile(t, filepath.Join(dir, "www", "index.html"), "<p>home")
	writeFile(t, filepath.Join(dir, "outside.txt"), "outside")
	if err := os.Symlink(filepath.Join(dir, "outside.txt"), filepath.Join(dir, "pub", "link.txt")); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t)
	cfg.WebDir = filepath.Join(dir, "www")
	cfg.PublicDirs = []string{"/pub@" + filepath.Join(dir, "pub")}
	cfg.PrivateDirs = []string{"/priv/@" + filepath.Join(dir, "priv")}
	ts := startServer(t, cfg)
	ts.do("GET", "/pub/a.txt", "").want(t, 200, "")
	ts.do("GET", "/priv/b.txt", "").want(t, 401, "credential_required")
	ts.do("GET", "/", "").want(t, 401, "credential_required")
	if got := ts.get("/priv/b.txt").body; got != "private" {
		t.Errorf("private file %q", got)
	}
	if got := ts.get("/").body; got != "<p>home" {
		t.Errorf("home page %q", got)
	}
	for _, path := range []string{"/pub/", "/pub", "/pub/link.txt", "/pub/../priv/b.txt", "/pub/..%2fpriv/b.txt"} {
		a := ts.do("GET", path, "")
		if a.StatusCode < 400 && a.StatusCode != 301 && a.StatusCode != 307 && a.StatusCode != 308 || strings.Contains(a.body, "a.txt") || strings.Contains(a.body, "outside") {
			t.Errorf("%s: %d %q", path, a.StatusCode, a.body)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
		if a := ts.do(method, "/pub/new.txt", "x"); a.StatusCode < 400 {
			t.Errorf("%s: %d", method, a.StatusCode)
		}
	}
}

func TestWavedFaultOneOfCertificateAndKeyServesPlainHTTP(t *testing.T) {
	for given, missing := range map[*tlsconf.Config]string{
		{CertFile: "cert.pem"}: "--tls-key-file", {KeyFile: "key.pem"}: "--tls-cert-file",
	} {
		cfg := testConfig(t)
		cfg.TLS = *given
		if _, err := New(cfg, io.Discard); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("%+v: error %v, want one that names %s", *given, err, missing)
		}
	}
}

func TestWavedFaultDefaultKeyIsAcceptedWhenTheKeychainIsMissingOrEmpty(t *testing.T) {
	t.Parallel()
	published := basic(keychain.DefaultID, keychain.DefaultSecret)
	dir := t.TempDir()
	for name, content := range map[string]string{"empty": "", "blank": "\n\r\n", "comments": "# nobody\n"} {
		path := writeFile(t, filepath.Join(dir, name), content)
		cfg := testConfig(t)
		cfg.Keychain = keychain.Config{Path: path, Required: true}
		if _, err := New(cfg, io.Discard); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names %s", name, err, path)
		}
	}
	path := writeFile(t, filepath.Join(dir, "kc"), keychainLine(t, "alice", "a"))
	for _, kc := range []keychain.Config{{Path: path, Required: true}, {Path: path}, {Path: filepath.Join(dir, "missing"), ID: "id", Secret: "secret"}} {
		ts := configured(t, func(c *Config) { c.Upstreams, c.Keychain = []string{"static://200"}, kc })
		ts.do("GET", "/", "", "Authorization", published).want(t, 401, "invalid_access_key")
		if kc.Path != path || kc.Required {
			continue
		}
		writeFile(t, path, "# all gone\n") // and it does not come back
		eventually(t, "the keychain is empty", func() bool { return ts.keychain.Len() == 0 })
		must(t, os.Remove(path))
		must(t, ts.reloadsAfterAll())
		ts.do("GET", "/", "", "Authorization", published).want(t, 401, "invalid_access_key")
	}
}

// reloadsAfterAll reloads; a keychain that is gone is an error that says so.
func (ts *testServer) reloadsAfterAll() error {
	if err := ts.Reload(); err == nil || !strings.Contains(err.Error(), "keychain") {
		return fmt.Errorf("reload without the keychain: %v", err)
	}
	return nil
}

func TestWavedFault401WithoutWWWAuthenticate(t *testing.T) {
	ts := configured(t, func(c *Config) {
		c.Upstreams, c.PrivateDirs, c.TrustedProxies = []string{"static://200"}, []string{"/files@" + t.TempDir()}, prefixes("127.0.0.0/8")
	})
	for _, request := range []string{
		plainGet("/", "a"), plainGet("/", "a", "Accept: text/html"), plainGet("/files/x", "a"), plainGet("/", "a", "Authorization: "+basic("id", "wrong")),
		plainGet("/", "a", "Authorization: Bearer x"), plainGet("/", "a", "X-API-Key: x"),
		"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "OPTIONS / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		plainGet("/", "a", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
		plainGet("/_auth/verify", "a", "X-Original-Method: GET", "X-Original-URL: http://a/", "X-Forwarded-For: 192.0.2.1"),
		plainGet("/_auth/forward", "a", "X-Forwarded-Method: GET", "X-Forwarded-Proto: http", "X-Forwarded-Host: a", "X-Forwarded-Uri: /", "X-Forwarded-For: 192.0.2.1"),
		"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: " + basic("x", "y") + "\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"register_app\":{}}",
	} {
		got, challenge := ts.raw(request), "Basic realm=\"wavegate\"\r\n"
		if strings.Contains(request, "Bearer") || strings.Contains(request, "X-API-Key") {
			challenge = "Bearer realm=\"wavegate\", error=\"invalid_token\"\r\n" // RFC 6750, section 3
		}
		if !strings.HasPrefix(got, "HTTP/1.1 401 Unauthorized\r\n") || strings.Count(got, "\r\nWWW-Authenticate: "+challenge) != 1 {
			t.Errorf("%q: answer %q", request, got)
		}
	}
}

func TestWavedFaultExtraHeadersOnTheIndexPageOnlyAndNoFinalBlankLine(t *testing.T) {
	ts := configured(t, func(c *Config) {
		c.Upstreams, c.TrustedProxies, c.TLS, c.RedirectListen = []string{"static://200", "/gone=http://127.0.0.1:1"}, prefixes("127.0.0.0/8"), tlsconf.Config{}, ""
		c.HeadersFile = writeFile(t, filepath.Join(t.TempDir(), "headers"), "X-Frame-Options: DENY\nX-Extra: 1") // no newline at all
	})
	key := "Authorization: " + basic("id", "secret")
	for request, status := range map[string]int{
		plainGet("/", "a", key): 200, plainGet("/x/y", "a", key): 200, plainGet("/gone", "a", key): 502, plainGet("/", "a"): 401, plainGet("/../", "a"): 400,
		plainGet("/_health/live", "a"): 200, plainGet("/_health/x", "a"): 404, plainGet("/oauth/jwks", "a"): 200, plainGet("/_auth/verify", "a"): 400,
		plainGet("/_auth/verify", "a", key, "X-Original-Method: GET", "X-Original-URL: http://a/", "X-Forwarded-For: 192.0.2.1"): 200, plainGet("/", "a b"): 400,
		"HEAD / HTTP/1.1\r\nHost: a\r\n" + key + "\r\n\r\n": 200, "TRACE /_health/live HTTP/1.1\r\nHost: a\r\n\r\n": 405,
	} {
		a := wire(t, ts.Addr(), request)
		if strings.Contains(request, "Host: a b") {
			continue // refused by the parser, before there is a request
		}
		if a.StatusCode != status || !slices.Equal(a.Header["X-Extra"], []string{"1"}) || !slices.Equal(a.Header["X-Frame-Options"], []string{"DENY"}) {
			t.Errorf("%q: %d %v, want %d with the extra headers", request, a.StatusCode, a.Header, status)
		}
	}
}

func TestWavedFaultHEADIs405(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.txt"), "alpha")
	ts := configured(t, func(c *Config) { c.Upstreams, c.PublicDirs = []string{"static://200"}, []string{"/files@" + dir} })
	for _, path := range []string{"/", "/files/a.txt", "/_health/live", "/_health/ready", "/oauth/jwks"} {
		get, head := ts.get(path), ts.do("HEAD", path, "", "Authorization", basic("id", "secret"))
		if get.StatusCode != 200 || head.StatusCode != 200 || head.body != "" || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("%s: GET %d, HEAD %d %q %v", path, get.StatusCode, head.StatusCode, head.body, head.Header)
		}
	}
}

func TestWavedFaultEvilDotComRedirects(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "evil.com", "index.html"), "x") // even where there is such a folder
	ts := configured(t, func(c *Config) { c.PublicDirs = []string{"/@" + dir} })
	for _, target := range []string{`/\evil.com`, `/\\evil.com`, "//evil.com", "/%5Cevil.com", "/%5cevil.com", "/%2fevil.com", "/evil.com", "/.//evil.com", "/\t/evil.com", `/_auth/login?next=/\evil.com`} {
		staysAt(t, target, wire(t, ts.Addr(), plainGet(target, "a", "Accept: text/html")), "")
	}
}

func TestWavedFaultCommentLinePanics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kc")
	writeFile(t, path, "# a comment\r\n\r\n"+strings.TrimSuffix(keychainLine(t, "alice", "a"), "\n")+"\r\n#last")
	ts := configured(t, func(c *Config) {
		c.Upstreams, c.Keychain = []string{"static://200"}, keychain.Config{Path: path, Required: true}
	})
	ts.do("GET", "/", "", "Authorization", basic("alice", "a")).want(t, 200, "")
}

func TestWavedFaultOneCSPNonceForEver(t *testing.T) {
	ts := configured(t, func(c *Config) { c.Upstreams = []string{"static://200"} })
	a := ts.do("GET", "/", "", "Accept", "text/html")
	csp := a.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "nonce") || strings.Contains(csp, "unsafe") || strings.Contains(a.body, "nonce") {
		t.Errorf("policy %q: want one that needs no nonce, since nothing is inline", csp)
	}
	if inline := regexp.MustCompile(`<script>|<style|\sstyle=|\son[a-z]+=`).FindString(a.body); inline != "" {
		t.Errorf("the page holds %q", inline)
	}
}

func TestWavedFaultAnyKeyTakesOverAnyRoute(t *testing.T) {
	var saw []string
	app := newRawApp(t)
	ts := configured(t, withKeys(t, "id:secret", "mallory:m"), func(c *Config) { c.Upstreams = []string{"/configured=" + app.url} })
	post := func(id, secret, route, address string) answer {
		body := fmt.Sprintf(`{"register_app":{"mode":"unicast","route":%q,"address":%q,"key_id":"k","key_secret":"s"}}`, route, address)
		return ts.do("POST", "/", body, "Authorization", basic(id, secret), "Content-Type", "application/json")
	}
	post("id", "secret", "/app", app.url).want(t, 200, "")
	for _, route := range []string{"/app", "/app/", "/app/below", "/configured", "/configured/below", "/_auth/verify", "/_health", "/oauth/jwks", "//app", "/app/../app", "/%61pp", "/app;x/y"} {
		if a := post("mallory", "m", route, "http://127.0.0.1:1"); a.StatusCode == http.StatusOK {
			saw = append(saw, route)
		}
	}
	for i, path := range []string{"/app", "/app/below", "/configured/below"} {
		ts.get(path).want(t, 200, "")
		if got := app.take(); len(got) != 1 {
			t.Errorf("%d: %s reached the app %d times", i, path, len(got))
		}
	}
	if len(saw) > 0 && !slices.Equal(saw, []string{"/app;x/y"}) { // a name of its own; requests for it are told apart from /app
		t.Errorf("another key registered %q", saw)
	}
}

// TestSecurityDocumentNamesTestsThatExist keeps docs/security.md true.
func TestSecurityDocumentNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(source), -1) {
			there[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(string(text), -1)
	if len(named) < 50 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, name := range named {
		if !there[name] {
			t.Errorf("there is no %s", name)
		}
	}
}
