package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wavegate/tlsconf"
)

// guardedApp starts a server with one app on a public, a closed and a
// registered route.
func guardedApp(t *testing.T, app *rawApp, change ...func(*Config)) *testServer {
	t.Helper()
	yaml := fmt.Sprintf("upstreams:\n  - {route: /public, url: %[1]q, access: public}\n  - {route: /closed, url: %[1]q}\n  - {route: /families, url: %[1]q, identity_headers: [wave, remote, forwarded]}\n", app.url)
	ts := configured(t, append([]func(*Config){withPolicy(t, yaml)}, change...)...)
	register := fmt.Sprintf(`{"register_app":{"mode":"unicast","route":"/registered","address":%q,"key_id":"app","key_secret":"app-secret"}}`, app.url)
	ts.do("POST", "/", register, "Authorization", basic("id", "secret"), "Content-Type", "application/json").want(t, 200, "")
	return ts
}

func TestIdentityHeadersFromOutsideReachNoAppInAnySpelling(t *testing.T) {
	app := newRawApp(t)
	ts := guardedApp(t, app)
	names := corpus(t, "identity-headers.txt")
	planted := strings.Join(names, ": canary\r\n") + ": canary\r\nPlain: kept\r\n"
	auth := "Authorization: " + basic("id", "secret") + "\r\n"
	for _, place := range []string{"/public", "/closed", "/families", "/registered"} {
		for what, lines := range map[string]string{
			"alone":                  planted + auth + "Connection: close\r\n",
			"twice":                  planted + planted + auth + "Connection: close\r\n",
			"named in Connection":    planted + auth + "Connection: close, " + strings.Join(names, ", ") + "\r\n",
			"some in Connection":     "Connection: wave-subject-id\r\n" + planted + auth + "Connection: Wave_Subject_Id,close\r\n",
			"in declared trailers":   auth + "Connection: close\r\nTransfer-Encoding: chunked\r\nTrailer: " + strings.Join(names, ", ") + "\r\nPlain: kept\r\n",
			"in undeclared trailers": auth + "Connection: close\r\nTransfer-Encoding: chunked\r\nPlain: kept\r\n",
		} {
			body := ""
			if strings.Contains(lines, "chunked") {
				body = "2\r\nhi\r\n0\r\n" + planted + "\r\n"
			}
			if a := wire(t, ts.Addr(), "POST "+place+" HTTP/1.1\r\nHost: app.test\r\n"+lines+"\r\n"+body); a == nil || a.StatusCode != 200 {
				t.Fatalf("%s, %s: %v", place, what, a)
			}
			seen := strings.Join(app.take(), "")
			if strings.Contains(seen, "canary") || !strings.Contains(seen, "\r\nPlain: kept\r\n") {
				t.Errorf("%s, %s: the app saw\n%s", place, what, seen)
			}
			if ours := strings.Count(seen, "\r\nWave-Subject-ID: id\r\n"); (ours == 1) != (place != "/public") || ours > 1 {
				t.Errorf("%s, %s: our own identity is there %d times:\n%s", place, what, ours, seen)
			}
		}
	}
}

func TestIdentityHeadersFromOutsideOverHTTP2(t *testing.T) {
	app := newRawApp(t)
	ts := guardedApp(t, app)
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &h2c}
	defer transport.CloseIdleConnections()
	for _, place := range []string{"/public", "/closed"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", ts.URL+place, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("id", "secret")
		for _, name := range corpus(t, "identity-headers.txt") {
			req.Header[name] = append(req.Header[name], "canary")
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if seen := strings.Join(app.take(), ""); res.ProtoMajor != 2 || res.StatusCode != 200 || strings.Contains(seen, "canary") {
			t.Errorf("%s: %s %d, the app saw\n%s", place, res.Proto, res.StatusCode, seen)
		}
	}
}

func TestTheCredentialReachesNoApp(t *testing.T) {
	app := newRawApp(t)
	ts := guardedApp(t, app)
	encoded := strings.TrimPrefix(basic("id", "secret"), "Basic ")
	for _, place := range []string{"/public", "/closed", "/families", "/registered"} {
		for _, lines := range [][]string{
			{"Authorization: Basic " + encoded},
			{"authorization: bAsIc  " + encoded},
			{"AUTHORIZATION: Basic " + encoded, "Connection: authorization"},
		} {
			a := wire(t, ts.Addr(), plainGet("http://id:secret@app.test"+place, "app.test", lines...))
			seen := strings.Join(app.take(), "")
			if a == nil || a.StatusCode != 200 || seen == "" || strings.Contains(seen, encoded) || strings.Contains(seen, "secret@") {
				t.Errorf("%s, %q: %v, the app saw\n%s", place, lines, a, seen)
			}
			if got, want := strings.Contains(seen, "\r\nAuthorization: "), place == "/registered"; got != want {
				t.Errorf("%s: Authorization %v, want %v (the app's own pair):\n%s", place, got, want, seen)
			}
		}
	}
	for _, lines := range [][]string{ // two credentials: nobody knows which one the app would take
		{"Authorization: " + basic("id", "secret"), "Authorization: " + basic("a", "b")},
		{"Authorization: " + basic("a", "b"), "Authorization: " + basic("id", "secret")},
		{"Authorization: " + basic("id", "secret"), "X-API-Key: the-apps-own"},
	} {
		wire(t, ts.Addr(), plainGet("/public", "app.test", lines...))
		if seen := strings.Join(app.take(), ""); strings.Contains(seen, encoded) {
			t.Errorf("%q: the app saw\n%s", lines, seen)
		}
		if a := wire(t, ts.Addr(), plainGet("/closed", "app.test", lines...)); a.StatusCode != 400 || len(app.take()) > 0 {
			t.Errorf("%q: %d", lines, a.StatusCode)
		}
	}
}

func TestNothingButACredentialAuthorises(t *testing.T) {
	app := newRawApp(t)
	ts := configured(t, func(c *Config) { c.Upstreams = []string{app.url} })
	refused := func(what, request string) {
		t.Helper()
		a := wire(t, ts.Addr(), request)
		if got := app.take(); a == nil || a.StatusCode < 400 || a.StatusCode > 405 || len(got) > 0 {
			t.Errorf("%s: %v, the app saw %q", what, a, got)
		}
	}
	for _, agent := range []string{
		"kube-probe/1.30", "ELB-HealthChecker/2.0", "GoogleHC/1.0", "Prometheus/2.53", "Amazon-Route53-Health-Check-Service", "GoogleStackdriverMonitoring-UptimeChecks",
		"AlwaysOn", "Edge Health Probe", "UptimeRobot/2.0", "curl/8", "Googlebot/2.1", "wavegate", "H2O Wave", "",
	} {
		refused("User-Agent "+agent, plainGet("/", "app.test", "User-Agent: "+agent))
	}
	for _, target := range []string{
		"/health", "/healthz", "/livez", "/readyz", "/ping", "/status", "/metrics", "/_health", "/_health/", "/_health/x", "/health/live", "/-/ready", "/actuator/health",
		"/app.js", "/x.css", "/favicon.ico", "/robots.txt", "/a.png", "/x/y.woff2", "/secret.map", "/page;.css", "/page.css/", "/api/x.json", "/..x", "/.env", "/.well-known/x",
		"/.well-known/acme-challenge/token", "/index.html", "/assets/x", "/static/x", "/public/x", "/_next/static/x", "/socket.io/", "/login", "/_auth", "/_auth/", "/_auth/x.js", "/oauth", "/oauth/x",
	} {
		refused(target, plainGet(target, "app.test"))
		refused("probe of "+target, plainGet(target, "localhost", "User-Agent: kube-probe/1.30", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1"))
	}
	for _, method := range []string{"OPTIONS", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "GETX", "options", "PRI", "X"} {
		for _, lines := range [][]string{
			nil,
			{"Origin: https://app.test", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"},
			{"X-HTTP-Method-Override: OPTIONS", "X-Method-Override: OPTIONS"},
			{"Upgrade: websocket", "Connection: Upgrade"},
		} {
			refused(method, method+" / HTTP/1.1\r\nHost: app.test\r\n"+strings.Join(append(lines, ""), "\r\n")+"\r\n")
		}
	}
	for _, line := range []string{
		"Referer: http://app.test/login", "Sec-Fetch-Site: same-origin", "X-Requested-With: XMLHttpRequest", "Cookie: __Host-wave=1; session=1; wave=admin",
		"X-Api-Version: 1", "Wave-Subject-ID: id", "Wave-Assertion: x.y.z", "X-Original-URL: /_health/live", "X-Forwarded-Uri: /_health/live", "Authorization_: " + basic("id", "secret"),
		"Proxy-Authorization: " + basic("id", "secret"), "X-Authorization: " + basic("id", "secret"),
	} {
		refused(line, plainGet("/", "app.test", line))
	}
	refused("the key in the URL", plainGet("/?access_key_id=id&access_key_secret=secret&token=secret&api_key=secret", "app.test"))
	refused("the key as the URL's user", plainGet("http://id:secret@app.test/", "app.test"))
	if a := wire(t, ts.Addr(), plainGet("/", "app.test", "Authorization: "+basic("id", "secret"))); a.StatusCode != 200 || len(app.take()) != 1 {
		t.Error("the key does not open either: the test says nothing")
	}
}

func TestAnswersToPreflightsReachNoAppAndOpenNothing(t *testing.T) {
	app := newRawApp(t)
	ts := configured(t, withPolicy(t, "upstreams:\n  - {route: /, url: "+app.url+", cors: {origins: [\"https://site.test\"]}}\n"))
	for origin, allowed := range map[string]string{
		"https://site.test": "https://site.test", "https://evil.test": "", "https://site.test.evil.example": "", "null": "", "http://site.test": "", "https://SITE.test:444": "",
	} {
		a := wire(t, ts.Addr(), "OPTIONS /x HTTP/1.1\r\nHost: app.test\r\nOrigin: "+origin+"\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n\r\n")
		if got := a.Header.Get("Access-Control-Allow-Origin"); got != allowed || len(app.take()) > 0 {
			t.Errorf("%s: %d, allowed %q, want %q", origin, a.StatusCode, got, allowed)
		}
		if a := wire(t, ts.Addr(), plainGet("/x", "app.test", "Origin: "+origin)); a.StatusCode != 401 || len(app.take()) > 0 {
			t.Errorf("%s: %d after the preflight", origin, a.StatusCode)
		}
	}
}

func TestInternalErrorsDeny(t *testing.T) {
	app := newRawApp(t)
	ts := configured(t, func(c *Config) {
		c.Upstreams, c.TrustedProxies = []string{app.url}, prefixes("127.0.0.0/8")
	})
	requests := map[string][]string{
		"/x":             nil,
		"/_auth/verify":  {"X-Original-Method", "GET", "X-Original-URL", "https://app.test/x", "X-Forwarded-For", "192.0.2.1"},
		"/_auth/forward": {"X-Forwarded-Method", "GET", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "app.test", "X-Forwarded-Uri", "/x", "X-Forwarded-For", "192.0.2.1"},
	}
	for path, headers := range requests {
		ts.get(path, headers...).want(t, 200, "")
	}
	app.take()
	denied := func(what string, status int) {
		t.Helper()
		for path, headers := range requests {
			a := ts.get(path, headers...)
			if a.StatusCode != status || a.Header.Get("Wave-Subject-ID") != "" || a.Header.Get("Wave-Assertion") != "" || len(app.take()) > 0 {
				t.Errorf("%s, %s: %d %v, want %d", what, path, a.StatusCode, a.Header, status)
			}
		}
	}
	good := ts.state.Load()
	ts.state.Store(nil) // every decision panics from here on
	denied("no policy", 500)
	ts.state.Store(good)

	r := httptest.NewRequest("GET", "/x", nil) // the check of the key breaks off
	r.Header.Set("Authorization", basic("id", "not remembered"))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("broken"))
	w := httptest.NewRecorder()
	ts.ServeHTTP(w, r.WithContext(ctx))
	if w.Code != 503 || len(app.take()) > 0 {
		t.Errorf("a check that broke off: %d", w.Code)
	}
	for path, headers := range requests {
		ts.get(path, headers...).want(t, 200, "")
	}
}

func TestSmugglingShapesAreRefusedOverTLS(t *testing.T) {
	app := newRawApp(t)
	ts := configured(t, func(c *Config) { c.Upstreams, c.TLS = []string{app.url}, tlsconf.Config{SelfSigned: true} })
	auth := "Host: a\r\nAuthorization: " + basic("id", "secret") + "\r\n"
	for _, shape := range []string{
		"POST / HTTP/1.1\r\n" + auth + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\n" + auth + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\n" + auth + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\n" + auth + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\n" + auth + "Content-Length: 0\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.0\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\n" + auth + "\r\n",
		"GET / HTTP/1.1\r\n" + auth + "X: a\nY: b\r\n\r\n",
		"GET / HTTP/1.1\r\n" + auth + "X: a\rY: b\r\n\r\n",
		"GET / HTTP/1.1\r\n" + auth + "X: a\r\n folded: b\r\n\r\n",
		"GET / HTTP/1.1\r\n" + auth + "X: a\r\n\tfolded: b\r\n\r\n",
		"GET / HTTP/1.1\r\n" + auth + "X : a\r\n\r\n",
		"GET / HTTP/1.1\r\n" + auth + ": a\r\n\r\n",
		"GET / HTTP/1.1\r\n" + auth + "X: a\x00\r\n\r\n",
		"GET /a b HTTP/1.1\r\n" + auth + "\r\n",
		"GET / HTTP/1.1\r\r\n" + auth + "\r\n",
		"GET / HTTP/1.1 \r\n" + auth + "\r\n",
		"GET / HTTP/2.0\r\n" + auth + "\r\n",
		"GET  / HTTP/1.1\r\n" + auth + "\r\n",
		" GET / HTTP/1.1\r\n" + auth + "\r\n",
	} {
		c, err := tls.Dial("tcp", ts.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, shape)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil && (res.StatusCode < 400 || !res.Close) {
			t.Errorf("%q: %d, close %v", shape, res.StatusCode, res.Close)
		}
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			t.Errorf("%q: no answer", shape)
		}
		c.Close()
		if got := app.take(); len(got) > 0 {
			t.Errorf("%q: the app saw %q", shape, got)
		}
	}
}
