package policy

import (
	"bytes"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the expected messages of testdata/bad")

// TestBadFiles compares every problem of each bad file, with its line, to the
// .txt beside it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no bad files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Parse("policy.yaml", data, nil)
			if err == nil || p != nil {
				t.Fatal("the file was taken")
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("messages differ (-want +got):\n%s", diff)
			}
			if bytes.Contains([]byte(got), []byte("hunter2")) {
				t.Error("a secret is in the message")
			}
		})
	}
}

// TestEveryField compares the route that has everything said.
func TestEveryField(t *testing.T) {
	p, err := Load("testdata/every-field.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := p.Match("app.example.com", "/api/x")
	want := &Route{
		Name: "app.example.com/api", Host: "app.example.com", Path: "/api",
		Target:         &url.URL{Scheme: "https", Host: "10.0.0.5:8443", Path: "/base"},
		Origin:         "testdata/every-field.yaml:3",
		Require:        Require{Scopes: []string{"streams:read"}, Roles: []string{"developer", "operator"}},
		Methods:        []string{"GET", "HEAD", "POST", "PATCH", "DELETE"},
		Identity:       Wave,
		StripPrefix:    true,
		Timeout:        time.Minute,
		IdleTimeout:    10 * time.Minute,
		AllowInPath:    EncodedSlash,
		CORS:           &CORS{Origins: []string{"https://www.example.com"}, Methods: []string{"GET", "HEAD", "POST"}, Headers: []string{"Content-Type"}, Credentials: true, MaxAge: 10 * time.Minute},
		TLS:            UpstreamTLS{CAFile: "/etc/wavegate/upstream-ca.pem", CertFile: "/etc/wavegate/client.pem", KeyFile: "/etc/wavegate/client-key.pem", ServerName: "api.internal"},
		MaxRequestSize: 10 << 30,
		ResponseHeaders: ResponseHeaders{
			Set:    []HeaderField{{"X-Frame-Options", "DENY"}},
			Remove: []string{"Server", "X-Powered-By"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFileThatCannotBeReadSaysWhatToDo holds the message to one line.
func TestFileThatCannotBeReadSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	for path, why := range map[string]string{dir + "/nope.yaml": "no such file or directory", dir: "is a directory"} {
		_, err := Load(path, nil)
		if want := "policy " + path + ": " + why + ": check the path given with --policy"; err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestDefaultsAreTheSameAsThoseOfFlags(t *testing.T) {
	flags, err := ParseUpstream("/x=http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	p := mustParse(t, "upstreams: [{route: /x, url: http://127.0.0.1:1}]")
	flags.Origin = "policy.yaml:1"
	if diff := cmp.Diff(&flags, p.Routes()[0]); diff != "" {
		t.Errorf("(-flags +file):\n%s", diff)
	}
	if flags.Access != Authenticated || !flags.PassHost || flags.AllowUnlisted {
		t.Errorf("got %+v", flags)
	}
}

func TestValuesOfFields(t *testing.T) {
	p := mustParse(t, `
upstreams:
  - route: /a
    url: http://u
    identity_headers: []
    allow_in_path: ["%2F", "%5c", "//", "%25"]
    timeout: 0
    max_request_size: 0
    unlisted: allow
    tokens: true
  - route: /b
    url: file:///srv
    strip_prefix: false
    identity_headers: [remote, forwarded]
    cors: {origins: ["HTTPS://A.example:443", "http://b.example:80", "https://c.example:8443", "app://d"], headers: [x-one]}
    allow_in_path: ['\']
`)
	a, b := p.Routes()[0], p.Routes()[1]
	if a.Identity != 0 || a.Timeout != 0 || a.MaxRequestSize != 0 || !a.AllowUnlisted || !a.Tokens {
		t.Errorf("got %+v", a)
	}
	if want := EncodedSlash | EncodedBackslash | DoubleSlash | EncodedPercent; a.AllowInPath != want || want.String() != "%2f,%5c,//,%25" {
		t.Errorf("got %v, want %v", a.AllowInPath, want)
	}
	if b.StripPrefix || b.Identity != Remote|Forwarded || b.Identity.String() != "remote,forwarded" || b.AllowInPath != EncodedBackslash {
		t.Errorf("got %+v", b)
	}
	want := &CORS{Origins: []string{"https://a.example", "http://b.example", "https://c.example:8443", "app://d"}, Methods: []string{"GET", "HEAD", "POST"}, Headers: []string{"X-One"}}
	if diff := cmp.Diff(want, b.CORS); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.yaml"), nil); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("a missing file: got %v", err)
	}
	if _, err := Load(dir, nil); err == nil {
		t.Error("a folder was taken")
	}
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, append([]byte("upstreams: []\n#"), bytes.Repeat([]byte("x"), maxFileSize)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large, nil); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a large file: got %v", err)
	}
	crlf := filepath.Join(dir, "crlf.yaml")
	if err := os.WriteFile(crlf, []byte("\ufeffupstreams:\r\n  - route: /x\r\n    url: http://u\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := Load(crlf, nil); err != nil || len(p.Routes()) != 1 || p.Routes()[0].Origin != crlf+":2" {
		t.Errorf("byte-order mark and CRLF: got %v, %v", p, err)
	}
}

// TestExtraRoutesAreCopied: a caller's slice does not change a policy.
func TestExtraRoutesAreCopied(t *testing.T) {
	r, err := ParseUpstream("/x=http://u")
	if err != nil {
		t.Fatal(err)
	}
	extra := []Route{r, {Host: "h"}}
	p, err := Load("", extra)
	if err != nil {
		t.Fatal(err)
	}
	extra[0].Access = Public
	if got := p.Match("", "/x"); got.Access != Authenticated {
		t.Errorf("got %v", got.Access)
	}
	if got := p.Match("h", "/"); got == nil || got.Name != "h/" || got.Path != "/" {
		t.Errorf("got %+v; want a name and path filled in", got)
	}
}

// FuzzParse checks that a file is either refused with lines or gives a policy
// that keeps its promises: anonymous callers pass public routes only.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, examples...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	line := regexp.MustCompile(`^policy\.yaml:[1-9][0-9]*: .`)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("policy.yaml", data, nil)
		if err != nil {
			for text := range strings.SplitSeq(err.Error(), "\n") {
				if !line.MatchString(text) {
					t.Errorf("no line in %q", text)
				}
			}
			return
		}
		for _, r := range p.Routes() {
			host := strings.Replace(r.Host, "*", "any", 1)
			if strings.Contains(host, ":") {
				host = "[" + host + "]"
			}
			got := p.Match(host, r.Path)
			if got == nil || got.Host == r.Host && got != r || Reserved(r.Path) || r.Target == nil {
				t.Fatalf("route %+v is matched as %+v", r, got)
			}
			for _, path := range []string{r.Path, r.Path + "/x", "/v1/streams"} {
				ask := Ask{Route: r, Method: "GET", Path: path}
				if p.Decide(nil, ask).Allow && r.Access != Public {
					t.Errorf("nobody passes %s", r.Name)
				}
				p.Explain(nil, ask)
			}
		}
	})
}

// TestLargeFilesAreBounded: large files, made to be slow, are answered before
// the test times out, and with a bounded message.
func TestLargeFilesAreBounded(t *testing.T) {
	repeat := func(head, format string) string {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; b.Len() < maxFileSize/8; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"unknown fields": repeat("", "f%d: 1\n"),
		"unknown scopes": repeat("scopes:\n", "  s%d: {}\n")[:maxFileSize/16] + "\n" + repeat("roles:\n", "  r%[1]d: {scopes: [t%[1]d]}\n"),
		"same routes":    repeat("upstreams:\n", "  - {route: /x, url: http://u, timeout: %d}\n"),
		"conflicts":      repeat("scopes:\n  s:\n    endpoints:\n      - GET /:a/x\n", "      - GET /b%d/:c\n"),
		"good":           repeat("scopes:\n  s:\n    endpoints:\n", "      - GET /b%d/:c\n"),
		"deep path":      "scopes: {s: {endpoints: [GET " + strings.Repeat("/:a", 600) + "]}}\n",
		"nesting":        "upstreams: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("policy.yaml", []byte(text), nil)
			if name == "deep path" || name == "good" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("the file was taken")
			}
			if lines := strings.Count(err.Error(), "\n"); lines > maxProblems {
				t.Errorf("got %d lines", lines)
			}
		})
	}
}
