package server

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"wavegate/server/limit"
)

func TestForwardedHeadersOfStrangersDecideNothing(t *testing.T) {
	t.Parallel()
	app := newRawApp(t)
	lines := []string{
		"X-Forwarded-For: 198.51.100.66", "X-Forwarded-Proto: https", "X-Forwarded-Host: open.test", "X-Forwarded-Port: 443", "X-Forwarded-Prefix: /x",
		"X-Forwarded-Uri: /public", "X-Forwarded-Method: OPTIONS", "X-Forwarded-Server: x", "X-Forwarded-Ssl: on", "Front-End-Https: on", "X-Original-URL: /public", "X-Original-URI: /public",
		"X-Original-Host: open.test", "X-Original-Method: OPTIONS", "X-Rewrite-URL: /public", "Forwarded: for=198.51.100.66;host=open.test;proto=https", "X-Real-IP: 198.51.100.66", "True-Client-IP: 198.51.100.66",
		"CF-Connecting-IP: 198.51.100.66", "X-Client-IP: 198.51.100.66", "X-Cluster-Client-IP: 198.51.100.66", "Via: 1.1 proxy",
	}
	yaml := "upstreams:\n  - {route: /public, url: " + app.url + ", access: public}\n  - {route: open.test, url: " + app.url + ", access: public}\n  - {route: /, url: " + app.url + "}\n"
	for what, trusted := range map[string][]netip.Prefix{"nobody is trusted": nil, "others are trusted": prefixes("10.0.0.0/8", "198.51.100.0/24")} {
		ts := configured(t, withPolicy(t, yaml), func(c *Config) { c.TrustedProxies = trusted })
		if a := wire(t, ts.Addr(), plainGet("/closed", "app.test", lines...)); a.StatusCode != 401 || len(app.take()) > 0 {
			t.Errorf("%s: %d without a key", what, a.StatusCode)
		}
		wire(t, ts.Addr(), plainGet("/closed", "app.test", append(lines, "Authorization: "+basic("id", "secret"))...))
		seen := strings.Join(app.take(), "")
		for _, want := range []string{"GET /closed HTTP/1.1\r\n", "\r\nX-Forwarded-For: 127.0.0.1\r\n", "\r\nX-Forwarded-Proto: http\r\n", "\r\nX-Forwarded-Host: app.test\r\n", "\r\nX-Real-IP: 127.0.0.1\r\n"} {
			if strings.Count(seen, want) != 1 {
				t.Errorf("%s: want %q once in\n%s", what, want, seen)
			}
		}
		if strings.Contains(seen, "198.51.100.66") || strings.Contains(seen, "open.test") || strings.Contains(seen, "public") {
			t.Errorf("%s: a stranger's word reached the app:\n%s", what, seen)
		}
		for i := range 20 { // and a stranger cannot spread wrong tries over addresses
			wire(t, ts.Addr(), plainGet("/", "app.test", fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", i), "Authorization: "+basic(fmt.Sprint("guess", i), "x")))
		}
		if a := wire(t, ts.Addr(), plainGet("/", "app.test", "X-Forwarded-For: 203.0.113.99", "Authorization: "+basic("other", "x"))); a.StatusCode != 429 {
			t.Errorf("%s: %d after 20 wrong tries, want 429", what, a.StatusCode)
		}
		for _, line := range ts.lines("request") {
			if line["client_ip"] != "127.0.0.1" {
				t.Errorf("%s: client_ip %v in the log", what, line["client_ip"])
			}
		}
	}
}

func TestForwardAuthWithoutAWholeQuestionIs400(t *testing.T) {
	ts := configured(t, func(c *Config) {
		c.TrustedProxies = prefixes("127.0.0.0/8")
		withPolicy(t, "upstreams:\n  - {route: app.test/public, url: \"static://404\", access: public}\n  - {route: app.test, url: \"static://404\"}\n")(c)
	})
	key := "Authorization: " + basic("id", "secret")
	for what, c := range map[string]struct {
		endpoint string
		lines    []string
	}{
		"nginx, URL": {"/_auth/verify", []string{"X-Original-Method: GET", "X-Original-URL: https://app.test/x"}},
		"nginx, URI": {"/_auth/verify", []string{"X-Original-Method: GET", "X-Original-URI: /x", "X-Original-Host: app.test"}},
		"the others": {"/_auth/forward", []string{"X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: app.test", "X-Forwarded-Uri: /x"}},
		"Envoy":      {"/_auth/forward/x", []string{"X-Forwarded-Proto: https"}},
	} {
		ask := func(lines ...string) *answer {
			return wire(t, ts.Addr(), plainGet(c.endpoint, "app.test", append(lines, key, "X-Forwarded-For: 192.0.2.1")...))
		}
		if a := ask(c.lines...); a.StatusCode != 200 || a.Header.Get("Wave-Subject-ID") != "id" {
			t.Fatalf("%s: the whole question: %d", what, a.StatusCode)
		}
		if a := wire(t, ts.Addr(), plainGet(c.endpoint, "app.test", append(c.lines, key)...)); a.StatusCode != 400 {
			t.Errorf("%s: without X-Forwarded-For: %d, want 400", what, a.StatusCode)
		}
		for i, line := range c.lines {
			name, value, _ := strings.Cut(line, ": ")
			others := func(more ...string) []string {
				return append(append(append([]string{}, c.lines[:i]...), c.lines[i+1:]...), more...)
			}
			bad := [][]string{
				others(), others(name + ":"), others(name + ": "), others(line, line), others(line, name+": "+value+"y"), others(strings.ReplaceAll(name, "-", "_") + ": " + value),
				others(name + ": " + value + ", " + value), others(name + ": " + value + " x"), others(name + ": %" + value), others(name + ": \xff" + value), others(name + ": " + value + "#x"),
			}
			for _, lines := range bad {
				if a := ask(lines...); a == nil || a.StatusCode != 400 || a.Header.Get("Wave-Subject-ID") != "" {
					t.Errorf("%s: %q: %v, want 400", what, lines, a)
				}
			}
		}
		for _, spoilt := range []string{"X-Original-URL: https://app.test/public", "X-Original-URI: /public", "X-Forwarded-Uri: /public", "X-Original-Method: GET", "X-Forwarded-Method: GET"} {
			if a := ask(append(c.lines, spoilt)...); a == nil || a.StatusCode != 400 {
				t.Errorf("%s with %s: %v, want 400", what, spoilt, a)
			}
		}
	}
}

func TestForwardAuthOpensNoClosedPath(t *testing.T) {
	ts := configured(t, func(c *Config) {
		c.TrustedProxies = prefixes("127.0.0.0/8")
		withPolicy(t, "upstreams:\n  - {route: app.test/public, url: \"static://404\", access: public}\n  - {route: app.test, url: \"static://404\"}\n")(c)
	})
	opened := 0
	for _, target := range append(closedPaths(t, "public", "secret"), "/public", "/public/x?y") {
		for endpoint, lines := range map[string][]string{
			"/_auth/verify":           {"X-Original-Method: GET", "X-Original-Host: app.test", "X-Original-URI: " + target},
			"/_auth/verify?":          {"X-Original-Method: GET", "X-Original-URL: https://app.test" + target},
			"/_auth/forward":          {"X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: app.test", "X-Forwarded-Uri: " + target},
			"/_auth/forward" + target: {"X-Forwarded-Proto: https"},
		} {
			a := wire(t, ts.Addr(), plainGet(endpoint, "app.test", append(lines, "X-Forwarded-For: 192.0.2.1")...))
			if a == nil || a.StatusCode != 200 {
				if a != nil && (a.StatusCode < 400 || a.StatusCode > 404) {
					t.Errorf("%s, %q: status %d", endpoint, lines, a.StatusCode)
				}
				continue
			}
			opened++
			for _, reading := range readings(target) {
				if !within(reading, "/public") {
					t.Errorf("%s, %q: opened, but it can be read as %q", endpoint, lines, reading)
				}
			}
		}
	}
	if opened < 8 {
		t.Errorf("%d questions were answered with 200: the public path does not work", opened)
	}
}

// series counts the lines of the metrics that are about requests.
func series(t *testing.T, ts *testServer) int {
	t.Helper()
	res, err := http.Get("http://" + ts.MetricsAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "wavegate_") {
			n++
		}
	}
	return n
}

func TestStrangersFillNothingUp(t *testing.T) {
	t.Parallel()
	app := newRawApp(t)
	ts := configured(t, func(c *Config) { c.Upstreams, c.MetricsListen = []string{app.url}, "127.0.0.1:0" })
	ts.lockouts = limit.NewLockouts(limit.LockoutConfig{MaxIPs: 8, MaxUnknown: 8, IPTries: 1 << 30})
	vary := func(i int) {
		for _, lines := range [][]string{
			{fmt.Sprint("Authorization: ", basic(fmt.Sprint("stranger", i), "x"))},
			{fmt.Sprint("Authorization: Bearer stranger", i)},
			{fmt.Sprint("X-API-Key: stranger", i)},
			{fmt.Sprintf("Cookie: __Host-wave=%d; wave-login-%d=1", i, i), fmt.Sprint("User-Agent: ", i), fmt.Sprint("Origin: https://", i)},
			{fmt.Sprint("Authorization: Basic ", strings.Repeat(".", 20<<10), i)},
		} {
			host := fmt.Sprintf("host%d.test", i)
			wire(t, ts.Addr(), plainGet(fmt.Sprint("/", i, "?", i), host, lines...))
			wire(t, ts.Addr(), strings.Replace(plainGet("/", host, lines...), "GET", fmt.Sprint("METHOD", i), 1))
			wire(t, ts.Addr(), plainGet(fmt.Sprint("/_auth/", i), host, lines...))
		}
	}
	vary(0)
	before := series(t, ts)
	for i := range 10 {
		vary(i + 1)
	}
	if after := series(t, ts); after != before {
		t.Errorf("%d metric series became %d", before, after)
	}
	principals := 0
	ts.state.Load().principals.Range(func(any, any) bool { principals++; return true })
	if principals != 0 {
		t.Errorf("%d principals were made for strangers", principals)
	}
	if n := len(ts.gateway.Apps().List()); n != 0 || len(app.take()) > 0 {
		t.Errorf("%d apps are registered, or an app was reached", n)
	}
}

func TestNothingIsParsedBeforeItsSizeIsChecked(t *testing.T) {
	t.Parallel()
	app := newRawApp(t)
	ts := configured(t, func(c *Config) { c.Upstreams, c.MaxRequestSize = []string{app.url}, 1<<20 })
	key := "Authorization: " + basic("id", "secret")
	for what, c := range map[string]struct {
		request string
		status  int
	}{
		"a megabyte of dots":         {plainGet("/", "a", "Authorization: Bearer "+strings.Repeat(".", 1<<20)), 431},
		"20 kB of dots":              {plainGet("/", "a", "Authorization: Bearer "+strings.Repeat(".", 20<<10)), 400},
		"20 kB of base64":            {plainGet("/", "a", "Authorization: Basic "+strings.Repeat("QUFB", 5<<10)), 400},
		"20 kB for X-API-Key":        {plainGet("/", "a", "X-API-Key: "+strings.Repeat("a.", 10<<10)), 400},
		"a megabyte of cookie":       {plainGet("/", "a", "Cookie: __Host-wave="+strings.Repeat("x", 1<<20)), 431},
		"a long path":                {plainGet("/"+strings.Repeat("a", 9<<10), "a", key), 400},
		"a long path of escapes":     {plainGet("/"+strings.Repeat("%25", 3<<10), "a", key), 400},
		"many headers":               {plainGet("/", "a", strings.Repeat("X: y\r\n", 20000)+"Z: z"), 431},
		"a body that is announced":   {"POST / HTTP/1.1\r\nHost: a\r\n" + key + "\r\nContent-Length: 9999999999\r\n\r\n", 413},
		"a registration, no key":     {"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"register_app\":{}  }", 401},
		"a large one, a wrong key":   {"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: " + basic("a", "b") + "\r\nContent-Type: application/json\r\nContent-Length: 80000\r\n\r\n" + largeRegistration(app.url), 401},
		"a packed one, without key":  {"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: " + basic("a", "c") + "\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", 401},
		"a large one, the right key": {"POST / HTTP/1.1\r\nHost: a\r\n" + key + "\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 80000\r\n\r\n" + largeRegistration(app.url), 200},
	} {
		a := wire(t, ts.Addr(), c.request)
		if got := app.take(); a == nil && c.status != 431 || a != nil && a.StatusCode != c.status || (len(got) > 0) != (c.status == 200) {
			t.Errorf("%s: %v, want %d; the app saw %d requests", what, a, c.status, len(got))
		}
	}
	if list := ts.gateway.Apps().List(); len(list) != 0 {
		t.Errorf("registered: %v", list)
	}
}

// largeRegistration is a registration of 80,000 bytes, more than is looked at.
func largeRegistration(address string) string {
	s := fmt.Sprintf(`{"register_app":{"mode":"unicast","route":"/large","address":%q,"key_id":"a","key_secret":"b"}}`, address)
	return s + strings.Repeat(" ", 80000-len(s))
}
