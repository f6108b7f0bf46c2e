package policy

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseUpstream(t *testing.T) {
	for _, c := range []struct {
		in, host, path string
		target         url.URL
	}{
		{"http://127.0.0.1:3000", "", "/", url.URL{Scheme: "http", Host: "127.0.0.1:3000"}},
		{"/api=http://127.0.0.1:3000/base", "", "/api", url.URL{Scheme: "http", Host: "127.0.0.1:3000", Path: "/base"}},
		{"/api/=HTTPS://up.example", "", "/api", url.URL{Scheme: "https", Host: "up.example"}},
		{"App.example.com=h2c://[::1]:80", "app.example.com", "/", url.URL{Scheme: "h2c", Host: "[::1]:80"}},
		{"app.example.com/api=http://u/a=b", "app.example.com", "/api", url.URL{Scheme: "http", Host: "u", Path: "/a=b"}},
		{"/a=b=http://u", "", "/a=b", url.URL{Scheme: "http", Host: "u"}},
		{"/x=file:///srv/x", "", "/x", url.URL{Scheme: "file", Path: "/srv/x"}},
		{"/x=file://./www", "", "/x", url.URL{Scheme: "file", Path: "./www"}},
		{"/x=file://../www%20a", "", "/x", url.URL{Scheme: "file", Path: "../www a"}},
		{"/h=static://204", "", "/h", url.URL{Scheme: "static", Host: "204"}},
	} {
		got, err := ParseUpstream(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		want := Route{
			Name: c.host + c.path, Host: c.host, Path: c.path, Target: &c.target, Origin: "--upstream " + c.in,
			Identity: Wave, PassHost: true, StripPrefix: c.target.Scheme == "file", Timeout: 60 * time.Second, MaxRequestSize: ServerDefault,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.in, diff)
		}
	}
}

func TestParseUpstreamRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "there is no URL",
		"127.0.0.1:3000":               `write http://127.0.0.1:3000`,
		"/x=/srv/x":                    "write file:///srv/x",
		"app.example.com:80=http://u":  "leave out the port",
		"/_auth/x=http://u":            "reserved",
		"/a/../b=http://u":             "dot segment",
		"/a%2fb=http://u":              "escape",
		"=http://u":                    "a route is a host",
		"http://u?x=1":                 "query",
		"http://u#":                    "", // an empty fragment is none
		"http://me:hunter2@u":          "user or password",
		"me:hunter2@h=http://u":        "leave out the user",
		"/x=http://me:hunter2@u:x/%zz": "invalid port",
		"http://u\n":                   "space or control",
		"/h=static://100":              "status",
		"gopher://u":                   "scheme",
	} {
		_, err := ParseUpstream(in)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", in, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", in, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the password is in the error: %v", in, err)
		}
	}
}

func TestParseUpstreamNamesAllThatIsWrong(t *testing.T) {
	_, err := ParseUpstream("app:80/x=ftp://u")
	for _, want := range []string{"--upstream app:80/x=ftp://u", "leave out the port", `scheme "ftp"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestParseDir(t *testing.T) {
	for _, c := range []struct {
		in, base, path, dir string
	}{
		{"docs@./site", "/", "/docs", "./site"},
		{"/docs/@/srv/a@b", "/gate/", "/gate/docs", "/srv/a@b"},
		{"/@www", "", "/", "www"},
		{"/@www", "/gate", "/gate", "www"},
	} {
		got, err := ParseDir(c.in, Public, c.base)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got.Path != c.path || got.Target.Path != c.dir || got.Name != c.path || got.Access != Public || !got.StripPrefix || got.Origin != "-public-dir "+c.in {
			t.Errorf("%s: got %+v", c.in, got)
		}
	}
	if got, err := ParseDir("x@y", Authenticated, "/"); err != nil || got.Access != Authenticated || got.Origin != "-private-dir x@y" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, in := range []string{"", "docs", "@dir", "docs@", "a/../b@dir", "_auth@dir", "a b?@dir", "d@a\x00b"} {
		if _, err := ParseDir(in, Public, "/"); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}

func TestStaticCode(t *testing.T) {
	r, err := ParseUpstream("static://451")
	if err != nil || r.StaticCode() != 451 {
		t.Errorf("got %d, %v", r.StaticCode(), err)
	}
	r, err = ParseUpstream("http://451")
	if err != nil || r.StaticCode() != 0 || (&Route{}).StaticCode() != 0 {
		t.Errorf("got %d, %v; want 0", r.StaticCode(), err)
	}
}

func TestReserved(t *testing.T) {
	for path, want := range map[string]bool{
		"/_auth": true, "/_auth/login": true, "/_authx": false, "/v1": false, "/v1/auth": true, "/v1/auth/keys": true, "/v1/streams": false,
		"/oauth": true, "/oauth2": false, "/.well-known": false, "/.well-known/openid-configuration": true,
		"/.well-known/acme-challenge/x": false, "/api/v1/keys/apikey/rotate": true, "/": false, "": false,
	} {
		if got := Reserved(path); got != want {
			t.Errorf("Reserved(%q) = %v", path, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "17": 17, "17B": 17, "5M": 5 << 20, "5m": 5 << 20, "5MB": 5 << 20, "5MiB": 5 << 20, "512K": 512 << 10, "1G": 1 << 30,
		"10GB": 10 << 30, "1TiB": 1 << 40, "2 kB": 2048, "8388607T": 8388607 << 40,
	} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "M", "-1", "+1", "1.5G", "5X", "5iB", "5i", "5MM", "5MBB", "0x10", "1e3", " 5", "8388608T", "99999999999999999999", "5m5m", "5_0"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", in, got)
		}
	}
}

// FuzzParseUpstream checks that what is taken is what it seems: its place
// matches, its target holds no secret, and it reads the same twice.
func FuzzParseUpstream(f *testing.F) {
	for _, s := range []string{
		"http://127.0.0.1:3000", "/api=http://u/base", "app.example.com/api=https://u", "/x=file:///srv", "/h=static://204",
		"*.x.org=h2c://u", "[::1]/a=http://[::1]:1", "/a=b=http://c=d", "http://a:b@c", "/..=http://u", "=", "://", "/a\\b=http://u",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseUpstream(s)
		if err != nil {
			return
		}
		if r.Target.User != nil || r.Target.RawQuery != "" {
			t.Errorf("target %v holds a user or query", r.Target)
		}
		if Reserved(r.Path) || !strings.HasPrefix(r.Path, "/") || strings.Contains(r.Path, "//") || strings.Contains(r.Path, "%") {
			t.Errorf("path %q", r.Path)
		}
		p, err := Load("", []Route{r})
		if err != nil {
			t.Fatal(err)
		}
		host := strings.Replace(r.Host, "*", "any", 1)
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		if p.Match(host, r.Path) == nil || p.Match(host+":80", r.Path+"/x") == nil {
			t.Errorf("%q does not match its own place %q", s, r.Name)
		}
	})
}
