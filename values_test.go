package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{"720h": 720 * time.Hour, "30m": 30 * time.Minute, "0.5h": 30 * time.Minute, "1800s": 30 * time.Minute} {
		if got, err := parseDuration(in); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for in, hint := range map[string]string{
		"1800": "write 1800s", "2d": "write 48h", "0s": "above zero", "-1m": "above zero", "": "30m", "half an hour": "30m", "d": "30m",
	} {
		if _, err := parseDuration(in); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("parseDuration(%q): got %v, want a hint at %q", in, err, hint)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "192.168.1.7": "192.168.1.7/32", "::1": "::1/128", "fd00::/8": "fd00::/8", "::ffff:1.2.3.4": "1.2.3.4/32",
	} {
		if got, err := parsePrefix(in); err != nil || got != netip.MustParsePrefix(want) {
			t.Errorf("parsePrefix(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
	for in, hint := range map[string]string{
		"10.0.0.1/8": "write 10.0.0.0/8", "10.0.0.0/33": "neither", "localhost": "neither", "": "neither", "fe80::1%eth0": "neither", "::ffff:10.0.0.0/104": "leave ::ffff: out",
	} {
		if _, err := parsePrefix(in); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("parsePrefix(%q): got %v, want a hint at %q", in, err, hint)
		}
	}
}

func TestCheckers(t *testing.T) {
	tests := []struct {
		name  string
		check func(string) error
		good  []string
		bad   map[string]string // value: hint
	}{
		{
			"address", checkAddress,
			[]string{":80", "127.0.0.1:0", "[::1]:8080", "example.com:443", "unix:/run/gate.sock"},
			map[string]string{"80": "write :80", "http://x:80": "is a URL", "http://me:hunter2@x": "is a URL"},
		},
		{
			"url", checkURL,
			[]string{"https://gate.example.com", "http://localhost:10101/_auth/callback", "https://a/b?c=d"},
			map[string]string{
				"gate.example.com": "not a URL", "ftp://a": "not a URL", "https://": "not a URL", "https://a b": "not a URL",
				"https://me:hunter2@a": "leave them out", "https://a/#b": "fragment", "https://me:hunter2@a:b": "not a URL",
			},
		},
		{
			"origin", checkOrigin,
			[]string{"*", "http://foo.com", "https://foo.com:8443"},
			map[string]string{"foo.com": "not an origin", "https://foo.com/": "not an origin", "https://foo.com/a": "not an origin", "https://me:hunter2@foo.com": "not an origin"},
		},
		{
			"target", checkTarget,
			[]string{"/", "/goodbye?a=b", "https://www.example.com/", "http://localhost:10101/"},
			map[string]string{
				"goodbye": "neither a URL nor a path", "//evil.example": "no plain path", `/\evil.example`: "no plain path", "/a#b": "no plain path",
				"/a\tb": "no plain path", "javascript:alert(1)": "neither", "https://me:hunter2@a": "neither", "/ä": "no plain path",
			},
		},
		{"pair", checkPair, []string{"a:b", "a:b:c"}, map[string]string{"a": "KEY:VALUE", ":b": "KEY:VALUE", "a:": "KEY:VALUE"}},
	}
	for _, tt := range tests {
		for _, v := range tt.good {
			if err := tt.check(v); err != nil {
				t.Errorf("%s %q: %v", tt.name, v, err)
			}
		}
		for v, hint := range tt.bad {
			err := tt.check(v)
			if err == nil || !strings.Contains(err.Error(), hint) {
				t.Errorf("%s %q: got %v, want a hint at %q", tt.name, v, err, hint)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: the password is in the error: %v", tt.name, err)
			}
		}
	}
}

func TestParseBasePath(t *testing.T) {
	for in, want := range map[string]string{"/": "/", "": "/", "/foo": "/foo/", "/foo/": "/foo/", "foo/bar": "/foo/bar/"} {
		if got, err := parseBasePath(in); err != nil || got != want {
			t.Errorf("parseBasePath(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"/a//b", "/../a", "/a/./b", "/a?b", "/a#b", "/a%2fb", `/a\b`, "/a b", "http://a/", "/ä"} {
		if got, err := parseBasePath(in); err == nil {
			t.Errorf("parseBasePath(%q) = %q, want an error", in, got)
		}
	}
}

func TestRedactHidesUserAndPassword(t *testing.T) {
	for in, want := range map[string]string{
		"https://a.example/b":                   "https://a.example/b",
		"https://me:hunter2@a.example":          "https://********@a.example",
		"/api=http://me:hun@ter2@a:1":           "/api=http://********@a:1",
		"http://me:hunter2@a http://you:x@b":    "http://********@b",
		"/docs/@./files":                        "/docs/@./files",
		"https://me:hun/ter2@a":                 "https://********@a",
		"plain":                                 "plain",
		"postgres://me:hunter2@db/x?a=b":        "postgres://********@db/x?a=b",
		"postgres://db/x?password=hun&a=b":      "postgres://db/x?password=********&a=b",
		"postgres://db/x?a=b&SSLPassword=hun":   "postgres://db/x?a=b&SSLPassword=********",
		"host=db password='hun ter' user=me":    "host=db password=******** user=me",
		"/reset?forgot_password=yes":            "/reset?forgot_password=yes",
		"@://":                                  "@://",
		"http://a.example/?next=someone@b.test": "http://********@b.test",
	} {
		if got := redact(in); got != want {
			t.Errorf("redact(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{
		"lisen": "listen", "add-user": "create-user", "user-file": "users-file", "database": "store", "admin": "admins", "lst-users": "list-users", "port": "listen", "p": "listen", "v": "version", "tls-cert": "tls-cert-file", "cert-file": "tls-cert-file",
		"key-file": "access-keychain", "Policy": "policy", "upstreams": "upstream", "access_key_id": "access-key-id", "acces-keychian": "access-keychain",
		"foo": "", "zzzzzz": "", "x": "",
	} {
		if got := options().nearest(word); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
