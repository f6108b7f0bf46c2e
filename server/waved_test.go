package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The faults that were seen in waved by running it. What has a test elsewhere
// is named in docs/security.md.

func TestWavedFaultADotInThePathSkipsLogin(t *testing.T) {
	ts := guarded(t, hello)
	for _, path := range []string{"/app.js", "/static/x.css", "/favicon.ico", "/robots.txt", "/.well-known/x", "/index.html", "/health", "/_auth/x.js"} {
		if a := ts.do("GET", path, ""); a.StatusCode != 401 && a.StatusCode != 404 {
			t.Errorf("%s: %d without a key", path, a.StatusCode)
		}
	}
}

func TestNoMethodUserAgentOrHealthPathAuthorises(t *testing.T) {
	ts := guarded(t, hello)
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get"} {
		if a := ts.do(method, "/x", ""); a.StatusCode != 401 {
			t.Errorf("%s: %d without a key", method, a.StatusCode)
		}
	}
	for _, agent := range []string{"kube-probe/1.30", "ELB-HealthChecker/2.0", "GoogleHC/1.0", "Prometheus/2"} {
		ts.do("GET", "/healthz", "", "User-Agent", agent).want(t, 401, "credential_required")
	}
	ts.do("OPTIONS", "/x", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "GET").want(t, 401, "credential_required")
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
	cfg := testConfig(t)
	cfg.TLS.CertFile = "cert.pem"
	if _, err := New(cfg, &lockedBuffer{}); err == nil || !strings.Contains(err.Error(), "--tls-key-file") {
		t.Errorf("error %v", err)
	}
}
