package server

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnswersCarryRequestIDAndExtraHeaders(t *testing.T) {
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Frame-Options", "from the app")
		w.Header().Set("X-Request-Id", "from the app")
		hello(w, r)
	}, func(c *Config) {
		c.HeadersFile = writeFile(t, filepath.Join(t.TempDir(), "headers"), "X-Frame-Options: DENY\nX-Extra: 1")
	})
	answers := map[string]answer{
		"proxied":   ts.get("/x"),
		"refused":   ts.do("GET", "/x", ""),
		"page":      ts.do("GET", "/x", "", "Accept", "text/html"),
		"health":    ts.do("GET", "/_health/live", ""),
		"own 404":   ts.do("GET", "/_auth/nothing", ""),
		"bad path":  ts.do("GET", "/a/%2e%2e/b", ""),
		"head":      ts.do("HEAD", "/x", ""),
		"jwks":      ts.do("GET", "/oauth/jwks", ""),
		"bad host":  ts.do("GET", "/x", "", "Host", "a b"),
		"not found": ts.do("OPTIONS", "/_health/live", ""),
	}
	for name, a := range answers {
		t.Run(name, func(t *testing.T) {
			if got := a.Header.Values("X-Frame-Options"); len(got) != 1 || got[0] != "DENY" {
				t.Errorf("X-Frame-Options %q, want the operator's alone", got)
			}
			if got := a.Header.Values("X-Request-Id"); len(got) != 1 || len(got[0]) != 32 {
				t.Errorf("X-Request-Id %q", got)
			}
			if a.Header.Get("X-Extra") != "1" {
				t.Error("the extra header is missing")
			}
		})
	}
}

func TestErrorsAreJSONForProgramsAndPagesForPeople(t *testing.T) {
	ts := guarded(t, hello)
	a := ts.do("GET", "/", "").want(t, 401, "credential_required")
	if a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", a.Header)
	}
	if got := a.Header.Get("WWW-Authenticate"); got != `Basic realm="wavegate"` {
		t.Errorf("WWW-Authenticate %q", got)
	}
	page := ts.do("GET", "/", "", "Accept", "text/html,*/*").want(t, 401, "")
	if !strings.Contains(page.body, page.Header.Get("X-Request-Id")) || !strings.Contains(page.body, "<!doctype html>") {
		t.Errorf("the page lacks its request id: %q", page.body)
	}
	if page.Header.Get("Content-Security-Policy") == "" || page.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("headers %v", page.Header)
	}
	for _, fetch := range [][]string{{"Sec-Fetch-Mode", "cors", "Accept", "text/html"}, {"Accept", "*/*"}} {
		ts.do("GET", "/", "", fetch...).want(t, 401, "credential_required")
	}
	ts.do("POST", "/", "{}", "Accept", "text/html").want(t, 401, "credential_required")
	if head := ts.do("HEAD", "/", ""); head.StatusCode != 401 || head.body != "" {
		t.Errorf("HEAD: %d %q", head.StatusCode, head.body)
	}
}

func TestOneLogLineARequest(t *testing.T) {
	ts := guarded(t, hello)
	ts.get("/a/b?token=canary", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "User-Agent", "tester")
	ts.do("GET", "/c", "")
	eventually(t, "two lines", func() bool { return len(ts.lines("request")) == 2 })
	got := ts.lines("request")[0]
	want := map[string]any{
		"method": "GET", "path": "/a/b", "status": 200.0, "client_ip": "127.0.0.1", "principal": "id", "auth_method": "access-key",
		"trace_id": "0af7651916cd43dd8448eb211c80319c", "user_agent": "tester", "route": "/", "proto": "HTTP/1.1",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s = %v, want %v", k, got[k], v)
		}
	}
	if ts.lines("request")[1]["code"] != "credential_required" {
		t.Errorf("second line %v", ts.lines("request")[1])
	}
	if strings.Contains(ts.log.String(), "canary") {
		t.Error("the query is in the log")
	}
}

func TestTraceparentIsPassedOn(t *testing.T) {
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Traceparent")) })
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if got := ts.get("/", "Traceparent", parent).body; got != parent {
		t.Errorf("the app saw %q", got)
	}
	for _, bad := range []string{"", "00-00-00-00", "00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"} {
		if traceID(bad) != "" {
			t.Errorf("traceID(%q) is not empty", bad)
		}
	}
}

func TestTheAppSeesOurRequestID(t *testing.T) {
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Values("X-Request-Id")) })
	a := ts.get("/", "X-Request-Id", "the-clients", "X_Request_Id", "too")
	if a.body != "["+a.Header.Get("X-Request-Id")+"]" {
		t.Errorf("the app saw %s, the client %s", a.body, a.Header.Get("X-Request-Id"))
	}
}

func TestMethodOverridesDoNotReachTheApp(t *testing.T) {
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, len(r.Header), r.Header) })
	a := ts.get("/", "X-HTTP-Method-Override", "DELETE", "X-HTTP-Method", "DELETE", "X-Method-Override", "DELETE", "x_http_method_override", "DELETE")
	if strings.Contains(a.body, "DELETE") {
		t.Errorf("the app saw %s", a.body)
	}
}

func TestSmugglingShapesAreRefused(t *testing.T) {
	reached := make(chan string, 16)
	ts := guarded(t, func(_ http.ResponseWriter, r *http.Request) { reached <- r.URL.Path })
	auth := "Authorization: " + basic("id", "secret") + "\r\n"
	shapes := map[string]string{
		"CL and TE":          "POST / HTTP/1.1\r\nHost: a\r\n" + auth + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n" + auth + "\r\n",
		"two CL":             "POST / HTTP/1.1\r\nHost: a\r\n" + auth + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
		"TE not chunked":     "POST / HTTP/1.1\r\nHost: a\r\n" + auth + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"bare LF":            "GET / HTTP/1.1\nHost: a\n" + strings.TrimSuffix(auth, "\r\n") + "\n\n",
		"TE with a space":    "POST / HTTP/1.1\r\nHost: a\r\n" + auth + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"bare CR":            "GET / HTTP/1.1\r\nHost: a\r\n" + auth + "X: a\rb\r\n\r\n",
		"obsolete fold":      "GET / HTTP/1.1\r\nHost: a\r\n" + auth + "X: a\r\n b\r\n\r\n",
		"two Host":           "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n" + auth + "\r\n",
		"no Host":            "GET / HTTP/1.1\r\n" + auth + "\r\n",
		"NUL in a header":    "GET / HTTP/1.1\r\nHost: a\r\n" + auth + "X: a\x00b\r\n\r\n",
		"chunk size garbage": "POST /chunks HTTP/1.1\r\nHost: a\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
		"connect":            "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
		"options star":       "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			got := ts.raw(shape)
			status := strings.Fields(got + " - -")[1]
			if status < "400" || status > "599" || strings.Count(got, "HTTP/1.1 ") != 1 {
				t.Errorf("answer %q", got)
			}
			select {
			case p := <-reached:
				// Chunks come after the header: the app may have begun.
				if p != "/chunks" {
					t.Errorf("the app was reached at %s", p)
				}
			default:
			}
		})
	}
}

func TestHeaderNamesAreSpelledAsDocumented(t *testing.T) {
	ts := guarded(t, hello)
	got := ts.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if !strings.Contains(got, "\r\nWWW-Authenticate: Basic realm=\"wavegate\"\r\n") {
		t.Errorf("answer %q", got)
	}
}

func TestHeadIsServed(t *testing.T) {
	ts := guarded(t, hello)
	a := ts.do("HEAD", "/x", "", "Authorization", basic("id", "secret"))
	if a.StatusCode != 200 || a.body != "" {
		t.Errorf("HEAD: %d %q", a.StatusCode, a.body)
	}
}

func TestBodyOverTheLimit(t *testing.T) {
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		hello(w, r)
	}, func(c *Config) { c.MaxRequestSize = 1000 })
	auth := []string{"Authorization", basic("id", "secret")}
	ts.do("POST", "/", strings.Repeat("x", 1001), auth...).want(t, 413, "too_large")
	ts.do("POST", "/", strings.Repeat("x", 1000), auth...).want(t, 200, "")
}

func TestPanicBecomesAnErrorWithoutItsText(t *testing.T) {
	ts := guarded(t, hello)
	ts.table = append(ts.table, route{"GET", "/_auth/panic", func(*exchange, *http.Request) error { panic("canary") }})
	a := ts.do("GET", "/_auth/panic", "").want(t, 500, "internal")
	if strings.Contains(a.body, "canary") {
		t.Errorf("the panic's text reached the client: %q", a.body)
	}
	if len(ts.lines("panic")) != 1 || len(ts.lines("request")) != 1 {
		t.Errorf("log %s", ts.log)
	}
}

func TestRequireHTTPS(t *testing.T) {
	ts := guarded(t, hello, func(c *Config) {
		c.RequireHTTPS = true
		c.TrustedProxies = prefixes("127.0.0.0/8")
	})
	ts.get("/").want(t, 403, "https_required")
	ts.get("/", "X-Forwarded-Proto", "https", "X-Forwarded-For", "192.0.2.1").want(t, 200, "")
	ts.do("GET", "/_health/live", "").want(t, 200, "")
}
