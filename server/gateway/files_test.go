package gateway

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// site makes a folder to serve, with a secret beside it and traps inside.
func site(t testing.TB) string {
	t.Helper()
	top := t.TempDir()
	root := filepath.Join(top, "site")
	for name, text := range map[string]string{
		"secret.txt": "canary", "site/index.html": "home", "site/a.txt": "alpha", "site/sub/index.html": "sub", "site/sub/b c.txt": "beta",
		"site/empty/x.txt": "x", "site/.env": "canary", "site/.git/config": "canary", "site/sub/.hidden": "canary",
		"site/.well-known/security.txt": "contact", "site/100%.txt": "percent", "site/a:b/index.html": "colon", "site/page.html": "<p>",
	} {
		file := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"escape.txt": "../secret.txt", "escape": "..", "absolute.txt": filepath.Join(top, "secret.txt"), "inside.txt": "a.txt"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestFilesAreServed(t *testing.T) {
	f := newFront(t, frontConfig{policy: upstream("/docs", "file://"+site(t), `allow_in_path: ["%2f", "%5c", "//", "%25"]`)})
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/docs/", 200, "home"},
		{"/docs/a.txt", 200, "alpha"},
		{"/docs/%61.txt", 200, "alpha"},
		{"/docs/sub/", 200, "sub"},
		{"/docs/sub/b%20c.txt", 200, "beta"},
		{"/docs/100%25.txt", 200, "percent"},
		{"/docs/.well-known/security.txt", 200, "contact"},
		{"/docs/inside.txt", 200, "alpha"},
		{"/docs/empty/", 404, ""}, // no listing
		{"/docs/a.txt/", 404, ""},
		{"/docs/nothing", 404, ""},
		{"/docs/.env", 404, ""},
		{"/docs/.git/config", 404, ""},
		{"/docs/%2egit/config", 404, ""},
		{"/docs/sub/.hidden", 404, ""},
		{"/docs/pipe", 404, ""},
		{"/docs/escape.txt", 404, ""},
		{"/docs/escape/secret.txt", 404, ""},
		{"/docs/absolute.txt", 404, ""},
		{"/docs/..%2fsecret.txt", 400, ""},
		{"/docs/../secret.txt", 400, ""},
		{"/docs/sub%2fb%20c.txt", 404, ""},
		{"/docs/sub%5cb%20c.txt", 404, ""},
		{"/docs//a.txt", 404, ""},
		{"//docs/a.txt", 200, "alpha"},
		{"/docs/a.txt%00.png", 400, ""},
	} {
		status, body := f.get(t, c.path)
		if status != c.status || c.body != "" && body != c.body || strings.Contains(body, "canary") {
			t.Errorf("%s: got %d %q, want %d %q", c.path, status, body, c.status, c.body)
		}
	}
}

func TestFoldersRedirectToTheirSlashAndNowhereElse(t *testing.T) {
	f := newFront(t, frontConfig{policy: upstream("/docs", "file://"+site(t), `allow_in_path: ["//"]`)})
	for path, want := range map[string]string{
		"/docs": "./docs/", "/docs/sub": "./sub/", "/docs/sub?x=1": "./sub/?x=1", "/docs/a:b": "./a:b/", "//docs": "./docs/", "/docs/%73ub": "./%73ub/",
	} {
		resp, _ := f.raw(t, "GET "+path+" HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusTemporaryRedirect || got != want {
			t.Errorf("%s: got %d %q, want %q", path, resp.StatusCode, got, want)
		}
	}
}

func TestFilesAnswerConditionsRangesAndHead(t *testing.T) {
	f := newFront(t, frontConfig{policy: route("file://" + site(t))})
	do := func(method, header string) (*http.Response, string) {
		return f.raw(t, method+" /a.txt HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n"+header+"\r\n")
	}
	resp, _ := do("GET", "")
	etag, modified := resp.Header.Get("Etag"), resp.Header.Get("Last-Modified")
	if etag == "" || modified == "" || resp.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("headers: %v", resp.Header)
	}
	for _, c := range []struct {
		header string
		status int
		body   string
	}{
		{"If-None-Match: " + etag + "\r\n", 304, ""},
		{"If-Modified-Since: " + modified + "\r\n", 304, ""},
		{"If-Match: \"other\"\r\n", 412, ""},
		{"Range: bytes=1-2\r\n", 206, "lp"},
		{"Range: bytes=99-\r\n", 416, ""},
	} {
		if resp, body := do("GET", c.header); resp.StatusCode != c.status || c.status == 206 && body != c.body {
			t.Errorf("%s: got %d %q", c.header, resp.StatusCode, body)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		if resp, _ := do(method, ""); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: got %d", method, resp.StatusCode)
		}
	}
	r, err := http.Head(f.URL + "/a.txt")
	if err != nil || r.StatusCode != 200 || r.ContentLength != 5 {
		t.Errorf("HEAD: %v %v", r, err)
	}
}

func TestPrivateFilesAreNotForSharedCaches(t *testing.T) {
	dir := site(t)
	f := newFront(t, frontConfig{policy: "upstreams:\n  - {route: /pub, url: \"file://" + dir + "\", access: public}\n  - {route: /priv, url: \"file://" + dir + "\"}\n" +
		"  - {route: /own, url: \"file://" + dir + "\", response_headers: {set: {Cache-Control: max-age=5}}}\n"})
	for place, want := range map[string]string{"/pub": "", "/priv": "private, no-cache", "/own": "max-age=5"} {
		resp, _ := f.raw(t, "GET "+place+"/a.txt HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
		if got := resp.Header.Get("Cache-Control"); got != want {
			t.Errorf("%s: got %q, want %q", place, got, want)
		}
	}
}

func TestAFolderThatIsReplacedIsSeenAtOnce(t *testing.T) {
	dir := site(t)
	f := newFront(t, frontConfig{policy: route("file://" + dir)})
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if status, _ := f.get(t, "/a.txt"); status != 500 {
		t.Errorf("no folder: %d", status)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, body := f.get(t, "/a.txt"); body != "new" {
		t.Errorf("got %q", body)
	}
}

func TestAFolderMustBeOne(t *testing.T) {
	file := filepath.Join(site(t), "a.txt")
	g := New(Config{})
	defer g.Close()
	for _, target := range []string{file, file + ".missing"} {
		if err := g.Load(mustPolicy(t, route("file://"+target))); err == nil {
			t.Errorf("%s: loaded", target)
		}
	}
}

func TestStaticAnswers(t *testing.T) {
	for target, want := range map[string]struct {
		status int
		body   string
	}{
		"static://200": {200, "OK\n"}, "static://204": {204, ""}, "static://404": {404, "not_found"}, "static://503": {503, "service_unavailable"},
		"static://418": {418, `"im_a_teapot"`}, "static://498": {498, `"client_error"`}, "static://505": {505, `"http_version_not_supported"`},
		"static://599": {599, `"server_error"`},
	} {
		f := newFront(t, frontConfig{policy: route(target, "response_headers: {set: {X-A: b}}")})
		resp, body := f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")
		if resp.StatusCode != want.status || !strings.Contains(body, want.body) || want.status < 300 && resp.Header.Get("X-A") != "b" {
			t.Errorf("%s: got %d %q %v", target, resp.StatusCode, body, resp.Header)
		}
	}
}
