package provider

import (
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// corpusClient has registered what testdata/redirect_uris.txt begins with.
var corpusClient = &Client{Type: Public, RedirectURIs: []string{
	"https://app.example.com/cb", "https://app.example.com/cb?tenant=1", "http://127.0.0.1/cb",
	"http://[::1]:8080/cb", "http://localhost:3000/cb", "com.example.app:/cb",
}}

// corpus returns the lines of testdata/redirect_uris.txt: an address, and whether
// it is one of those that were registered.
func corpus(tb testing.TB, each func(line int, uri string, ok bool)) {
	tb.Helper()
	text, err := os.ReadFile("testdata/redirect_uris.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		verdict, uri, _ := strings.Cut(line, " ")
		if line == "" || verdict == "#" {
			continue
		}
		if strings.HasPrefix(uri, `"`) {
			if uri, err = strconv.Unquote(uri); err != nil {
				tb.Fatalf("line %d: %v", i+1, err)
			}
		}
		if verdict != "ok" && verdict != "no" {
			tb.Fatalf("line %d begins with neither ok nor no", i+1)
		}
		each(i+1, uri, verdict == "ok")
	}
}

func TestRedirectURIsMatchByteByByteOverTheCorpus(t *testing.T) {
	lines := 0
	corpus(t, func(line int, uri string, ok bool) {
		lines++
		if got := corpusClient.Redirects(uri); got != ok {
			t.Errorf("line %d: %q: got %t, want %t", line, uri, got, ok)
		}
	})
	if lines < 150 {
		t.Errorf("%d lines, want all of them", lines)
	}
}

func TestLogoutRedirectURIsAreTheirOwn(t *testing.T) {
	c := &Client{RedirectURIs: []string{"https://a.example/in"}, PostLogoutRedirectURIs: []string{"https://a.example/out", "http://127.0.0.1/out"}}
	for uri, want := range map[string][2]bool{
		"https://a.example/in": {true, false}, "https://a.example/out": {false, true}, "http://127.0.0.1:7/out": {false, true}, "": {},
	} {
		if got := [2]bool{c.Redirects(uri), c.RedirectsLogout(uri)}; got != want {
			t.Errorf("%s: %v, want %v", uri, got, want)
		}
	}
}

func TestOneByteMakesAnotherRedirectURI(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		uri := "https://app.example.com/cb?tenant=1"
		c := &Client{RedirectURIs: []string{uri}}
		at := rapid.IntRange(0, len(uri)-1).Draw(t, "at")
		b := rapid.Byte().Filter(func(b byte) bool { return b != uri[at] }).Draw(t, "byte")
		for _, other := range []string{uri[:at] + string([]byte{b}) + uri[at+1:], uri[:at] + uri[at+1:], uri[:at] + string([]byte{b}) + uri[at:]} {
			if c.Redirects(other) {
				t.Errorf("%q is taken for %q", other, uri)
			}
		}
	})
}

func TestRedirectURIsThatCannotBeRegistered(t *testing.T) {
	long := "https://app.example.com/" + strings.Repeat("a", maxRedirectURI)
	for uri, want := range map[string]string{
		"https://app.example.com/cb": "", "https://app.example.com": "", "https://app.example.com:8443/cb?a=b&c=%20": "", "https://[2001:db8::1]/": "",
		"http://127.0.0.1/cb": "", "http://[::1]:80/": "", "http://localhost:3000": "", "com.example.app:/cb": "", "com.example.app://host/cb": "",
		long[:maxRedirectURI]: "", long: "1 to 2048 bytes", "": "1 to 2048 bytes",
		"https://app.example.com/cb#x": "fragment", "https://app.example.com/cb#": "fragment",
		"https://u@app.example.com/": "user name", "https://@app.example.com/": "user name", "com.example.app://u@host/": "user name",
		"https://*.example.com/": "wildcards", "https://app.example.com/*": "wildcards",
		"https://app.example.com/a b": "a character", "https://app.example.com\\@evil.example": "a character", "https://app.example.com/\n": "a character",
		"https://äpp.example.com/": "a character", "https://app.example.com/\x00": "a character", `https://app.example.com/"`: "a character",
		"https://app.example.com/a/../b": "segment", "https://app.example.com/.": "segment", "https://app.example.com/%2e%2E/b": "segment", "com.example.app:/../cb": "segment",
		"https://app.example.com/?a=%": "percent", "https://app.example.com/%zz": "absolute",
		"/cb": "absolute", "cb": "absolute", "//app.example.com/cb": "absolute", "https:app.example.com": "absolute", "HTTPS://app.example.com/": "absolute",
		"com.example.app:cb": "absolute", "https:/app.example.com": "host", "https:///cb": "host", "https://:80/cb": "host", "https://app..example.com/": "host",
		"https://app.example.com:/": "host", "https://app.example.com:0/": "host", "https://app.example.com:65536/": "host", "https://[::1%25lo]/": "host", "https://a,b/": "host",
		"http://app.example.com/cb": "plain http", "http://127.0.0.2/cb": "plain http", "http://localhost.evil.example/": "plain http", "http://[::ffff:127.0.0.1]/": "plain http",
		"javascript:/alert(1)": "want https", "javascript:alert(1)": "absolute", "data:text/html,x": "absolute", "data:/text": "want https", "file:///etc/passwd": "want https",
		"ftp://app.example.com/": "want https", "myapp:/cb": "want https", "vbscript:/x": "want https", "about:/blank": "want https", "ws://app.example.com/": "want https",
	} {
		got := redirectProblem(uri, Public)
		if want == "" && got != "" || want != "" && !strings.Contains(got, want) {
			t.Errorf("%.80q: got %q, want %q", uri, got, want)
		}
	}
	if got := redirectProblem("com.example.app:/cb", Confidential); !strings.Contains(got, "public clients alone") {
		t.Errorf("a confidential client with a scheme of its own: %q", got)
	}
}

// FuzzRedirectURI: what can be registered is a plain address without anybody else's
// name in it, and means to net/url what it means byte by byte.
func FuzzRedirectURI(f *testing.F) {
	corpus(f, func(_ int, uri string, _ bool) { f.Add(uri) })
	f.Fuzz(func(t *testing.T, uri string) {
		if known := corpusClient.Redirects(uri); known && redirectProblem(uri, Public) != "" {
			t.Errorf("%q is taken, and could not be registered", uri)
		}
		if redirectProblem(uri, Public) != "" {
			return
		}
		u, err := url.Parse(uri)
		if err != nil || u.User != nil || u.Fragment != "" || u.Opaque != "" || strings.ContainsAny(uri, "\\#*\r\n\x00 ") {
			t.Errorf("%q can be registered", uri)
		}
		if u.Scheme == "http" && u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" && u.Hostname() != "localhost" {
			t.Errorf("%q can be registered and is neither https nor this machine", uri)
		}
		if c := (&Client{RedirectURIs: []string{uri}}); !c.Redirects(uri) || c.Redirects(uri+"x") {
			t.Errorf("%q does not match itself alone", uri)
		}
	})
}
