//go:build linux

package proxytest

import (
	"net/http"
	"strings"
	"testing"
)

// A front is a proxy that asks wavegate about each request.
type front struct {
	name     string
	start    func(t *testing.T, gate, app string) string // returns its address
	listener int                                         // what the handshake of a key gets that may WS and not GET
}

// fronts are the proxies of examples/. Traefik keeps the Upgrade of a handshake
// to itself.
func fronts() []front {
	const upgraded = http.StatusSwitchingProtocols
	return []front{
		{"nginx", startNginx, upgraded},
		{"Caddy", startCaddy, upgraded},
		{"HAProxy", startHAProxy, upgraded},
		{"Traefik by its shape", startTraefik, http.StatusForbidden},
		{"Envoy by its shape", startEnvoy, upgraded},
	}
}

// A stage is one proxy with wavegate beside it and the app behind it.
type stage struct {
	front
	gate *gate
	app  *app
	addr string
}

// from returns a client with an address of its own.
func (s *stage) from(t *testing.T, ip string) client { return client{t: t, addr: s.addr, from: ip} }

// expectRefusal fails the test if the answer lets somebody in, or if anything
// reached the app.
func (s *stage) expectRefusal(t *testing.T, what string, a answer) {
	t.Helper()
	seen := s.app.take()
	if !a.refused() || len(seen) > 0 {
		t.Errorf("%s: status %d, %d requests at the app: %.300q", what, a.status, len(seen), a.body)
	}
}

// expectEntry fails the test unless the answer is the app's, and returns the
// one request that the app saw.
func (s *stage) expectEntry(t *testing.T, what string, a answer) sighting {
	t.Helper()
	a.want(t, what, http.StatusOK)
	seen := s.app.take()
	if len(seen) != 1 {
		t.Errorf("%s: %d requests at the app, want 1", what, len(seen))
		return sighting{Header: http.Header{}}
	}
	return seen[0]
}

// TestForwardAuth runs every scenario through every proxy. The last ones leave
// the stage unusable.
func TestForwardAuth(t *testing.T) {
	scenarios := []struct {
		name string
		run  func(*testing.T, *stage)
	}{
		{"no credential is 401 with a challenge", noCredential},
		{"a good key reaches the app with who it is", goodKey},
		{"a browser gets a page", refusalPage},
		{"a missing scope is 403", missingScope},
		{"a public route is open and anonymous", publicRoute},
		{"forged headers never win", forgedHeaders},
		{"forged questions never win", forgedQuestions},
		{"Connection takes no header away", connectionListed},
		{"path tricks open nothing", pathTricks},
		{"path tricks do not slip past a stricter route", pathTricksWithKey},
		{"what was decided is what is forwarded", forwardedAsDecided},
		{"the host that was decided is the host that the app sees", hostAsDecided},
		{"OPTIONS and other methods do not authorise", methods},
		{"bodies pass", bodies},
		{"WebSockets", webSockets},
		{"upgrades to other protocols do not pass", otherUpgrades},
		{"the client is who the proxy says", clientAddress},
		{"guessing locks out the client that guesses", lockout},
		{"without wavegate nothing is open", withoutGate},
	}
	for _, f := range fronts() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := &stage{front: f, gate: startGate(t), app: startApp(t)}
			s.addr = f.start(t, s.gate.addr, s.app.addr)
			for _, sc := range scenarios {
				t.Run(sc.name, func(t *testing.T) {
					s.app.take()
					sc.run(t, s)
				})
			}
		})
	}
}

func noCredential(t *testing.T, s *stage) {
	for _, target := range []string{"/", "/private", "/private?x=/public", "/admin"} {
		a := s.from(t, "127.0.0.1").get(target)
		s.expectRefusal(t, target, a)
		a.want(t, target, http.StatusUnauthorized)
		if got := a.header.Get("WWW-Authenticate"); got != `Basic realm="wavegate"` {
			t.Errorf("%s: WWW-Authenticate %q", target, got)
		}
	}
	a := s.from(t, "127.0.0.1").send(request{method: "HEAD", target: "/private"})
	s.expectRefusal(t, "HEAD", a.want(t, "HEAD", http.StatusUnauthorized))
	a = s.from(t, "127.0.0.1").get("/private", basic("reader", "wrong"))
	s.expectRefusal(t, "wrong secret", a.want(t, "wrong secret", http.StatusUnauthorized))
}

func goodKey(t *testing.T, s *stage) {
	a := s.from(t, "127.0.0.1").get("/private?a=1&b=%2f", authorize("reader"), "X-Own: kept", "Cookie: theirs=1")
	saw := s.expectEntry(t, "good key", a)
	s.expectIdentity(t, saw, "reader")
	if saw.Target != "/private?a=1&b=%2f" || saw.Host != "app.example.com" {
		t.Errorf("the app saw %s at %s", saw.Target, saw.Host)
	}
	for _, name := range []string{"Authorization", "X-Api-Key"} {
		if got := saw.Header.Values(name); len(got) > 0 {
			t.Errorf("the app saw %s: %q", name, got)
		}
	}
	if saw.Header.Get("X-Own") != "kept" || saw.Header.Get("Cookie") != "theirs=1" {
		t.Errorf("the client's own headers did not arrive: %v", saw.Header)
	}
	for name := range a.header {
		if strings.HasPrefix(name, "Wave-") || strings.HasPrefix(name, "Remote-") {
			t.Errorf("the client got %s", name)
		}
	}
}

// refusalPage navigates as a browser does.
func refusalPage(t *testing.T, s *stage) {
	a := s.from(t, "127.0.0.1").get("/private", "Accept: text/html,*/*;q=0.8", "Sec-Fetch-Mode: navigate")
	s.expectRefusal(t, "page", a.want(t, "page", http.StatusUnauthorized))
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") || !strings.Contains(a.body, "</html>") {
		t.Errorf("%s: %.100q", a.header.Get("Content-Type"), a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Security-Policy") == "" {
		t.Errorf("the page lost headers: %v", a.header)
	}
}

func missingScope(t *testing.T, s *stage) {
	c := s.from(t, "127.0.0.1")
	s.expectRefusal(t, "reader", c.get("/admin", authorize("reader")).want(t, "reader", http.StatusForbidden))
	s.expectRefusal(t, "reader, below", c.get("/admin/x?y", authorize("reader")).want(t, "reader, below", http.StatusForbidden))
	s.expectIdentity(t, s.expectEntry(t, "boss", c.get("/admin", authorize("boss"))), "boss")
}

func publicRoute(t *testing.T, s *stage) {
	for _, lines := range [][]string{nil, {authorize("reader")}, {basic("reader", "wrong")}} {
		saw := s.expectEntry(t, "public", s.from(t, "127.0.0.1").get("/public/x", lines...))
		s.expectIdentity(t, saw, "")
	}
	s.expectRefusal(t, "/publicly", s.from(t, "127.0.0.1").get("/publicly"))
}

func methods(t *testing.T, s *stage) {
	c := s.from(t, "127.0.0.1")
	preflight := []string{"Origin: https://evil.example", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"}
	s.expectRefusal(t, "OPTIONS", c.send(request{method: "OPTIONS", target: "/private"}))
	s.expectRefusal(t, "preflight", c.send(request{method: "OPTIONS", target: "/private", lines: preflight}))
	if c.send(request{method: "OPTIONS", target: "*"}); len(s.app.take()) > 0 { // Caddy answers it itself
		t.Error("OPTIONS * reached the app")
	}
	for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "X"} {
		s.expectRefusal(t, method, c.send(request{method: method, target: "/private"}))
	}
	s.expectRefusal(t, "CONNECT", c.send(request{method: "CONNECT", target: "app.example.com:80"}))
	for _, claim := range []string{"X-HTTP-Method-Override: GET", "User-Agent: kube-probe/1.30", "User-Agent: ELB-HealthChecker/2.0"} {
		s.expectRefusal(t, claim, c.get("/private", claim))
	}
}

func bodies(t *testing.T, s *stage) {
	c := s.from(t, "127.0.0.1")
	body := strings.Repeat("0123456789abcdef", 20<<10)
	post := request{method: "POST", target: "/private", lines: []string{authorize("reader")}, body: body}
	if saw := s.expectEntry(t, "POST", c.send(post)); saw.Body != body || saw.Method != "POST" {
		t.Errorf("the app saw %s with %d bytes, want %d", saw.Method, len(saw.Body), len(body))
	}
	chunked := "PUT /private HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n" + authorize("reader") +
		"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
	if saw := s.expectEntry(t, "chunked", c.raw("PUT", chunked)); saw.Body != "hello world" {
		t.Errorf("the app saw %q", saw.Body)
	}
	small := request{method: "POST", target: "/private", body: "x"}
	s.expectRefusal(t, "POST without credential", c.send(small).want(t, "POST without credential", http.StatusUnauthorized))
}

func clientAddress(t *testing.T, s *stage) {
	for i, lines := range [][]string{
		nil,
		{"X-Forwarded-For: 192.0.2.66"},
		{"X-Forwarded-For: 192.0.2.66, 127.0.0.1", "X-Real-IP: 192.0.2.66"},
		{"Forwarded: for=192.0.2.66", "X_Forwarded_For: 192.0.2.66", "True-Client-IP: 192.0.2.66"},
		{"Connection: close, X-Forwarded-For"},
	} {
		target := "/who/" + string(rune('a'+i))
		s.expectEntry(t, target, s.from(t, "127.0.0.21").get(target, append(lines, authorize("reader"))...))
		if got := s.gate.lastRequest(target)["client_ip"]; got != "127.0.0.21" {
			t.Errorf("%q: wavegate's log says the client is %v", lines, got)
		}
	}
}

func lockout(t *testing.T, s *stage) {
	guesser, other := s.from(t, "127.0.0.31"), s.from(t, "127.0.0.32")
	for i := range 20 {
		a := guesser.get("/private", basic("NOSUCHKEY"+string(rune('A'+i)), "guess"), "X-Forwarded-For: 192.0.2."+string(rune('0'+i%10)))
		s.expectRefusal(t, "guess", a.want(t, "guess", http.StatusUnauthorized))
	}
	a := guesser.get("/private", authorize("reader"))
	s.expectRefusal(t, "locked out", a.want(t, "locked out", http.StatusTooManyRequests))
	if a.header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %v", a.header)
	}
	s.expectEntry(t, "another client", other.get("/private", authorize("reader")))
}

func withoutGate(t *testing.T, s *stage) {
	s.gate.stop()
	t.Run("all at once", func(t *testing.T) { // HAProxy tries for seconds
		for _, target := range []string{"/private", "/public", "/admin"} {
			t.Run(target, func(t *testing.T) {
				t.Parallel()
				if a := s.from(t, "127.0.0.1").get(target, authorize("boss")); a.status < 500 {
					t.Errorf("status %d, want 5xx: %.200q", a.status, a.body)
				}
			})
		}
	})
	if seen := s.app.take(); len(seen) > 0 {
		t.Errorf("%d requests at the app", len(seen))
	}
}
