//go:build linux

package proxytest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// handshake is the lines of a WebSocket handshake (RFC 6455 section 4.1).
func handshake(lines ...string) []string {
	return append([]string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, lines...)
}

// webSockets opens sockets at /live, which the keys watcher and listener may;
// watcher and reader may GET the same path.
func webSockets(t *testing.T, s *stage) {
	s.exchange(t)
	plain := s.from(t, "127.0.0.1")
	s.expectRefusal(t, "no credential", plain.get("/live", handshake()...).want(t, "no credential", http.StatusUnauthorized))
	s.expectRefusal(t, "no scope", plain.get("/live", handshake(authorize("reader"))...).want(t, "no scope", http.StatusForbidden))
	s.expectEntry(t, "GET of the same path", plain.get("/live", authorize("reader")))
	s.expectRefusal(t, "GET with a socket's scope", plain.get("/live", authorize("listener")))
	s.expectRefusal(t, "GET that looks like a socket", plain.get("/live", authorize("listener"), "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
	plain.get("/live", handshake(authorize("listener"))...).want(t, "socket's scope alone", s.listener)
	s.app.take()

	foreign := plain.get("/live", handshake(authorize("watcher"), "Origin: https://evil.example")...)
	s.expectRefusal(t, "another site's page", foreign.want(t, "another site's page", http.StatusForbidden))
	plain.get("/live", handshake(authorize("watcher"), "Origin: http://app.example.com")...).want(t, "its own page", http.StatusSwitchingProtocols)
	s.app.take()
	for _, key := range []string{"reader", "listener"} {
		half := handshake(authorize(key))
		half[0] = "Connection: close"
		a := plain.get("/live", half...)
		for _, saw := range s.app.take() {
			if plainGet := saw.Header.Get("Upgrade") == ""; plainGet != (key == "reader") {
				t.Errorf("without Connection: %s got %d, the app saw %v", key, a.status, saw.Header)
			}
		}
	}
}

// exchange sends a message through a socket and back.
func (s *stage) exchange(t *testing.T) {
	t.Helper()
	header := http.Header{}
	header.Set("Authorization", strings.TrimPrefix(authorize("watcher"), "Authorization: "))
	c, res, err := websocket.Dial(t.Context(), "ws://"+s.addr+"/live", &websocket.DialOptions{Host: "app.example.com", HTTPHeader: header})
	if err != nil {
		t.Fatalf("dial: %v, %v", err, res)
	}
	defer c.CloseNow()
	if err := c.Write(t.Context(), websocket.MessageText, []byte("through")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := c.Read(t.Context()); err != nil || string(message) != "through" {
		t.Errorf("read %q, %v", message, err)
	}
	c.Close(websocket.StatusNormalClosure, "")
	seen := s.app.take()
	if len(seen) != 1 {
		t.Fatalf("%d requests at the app, want 1", len(seen))
	}
	s.expectIdentity(t, seen[0], "watcher")
}

// otherUpgrades offers protocols that would open a tunnel past every rule, h2c
// above all, on a route that is open.
func otherUpgrades(t *testing.T, s *stage) {
	settings := "HTTP2-Settings: AAMAAABkAAQAAP__"
	for _, lines := range [][]string{
		{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", settings},
		{"Connection: Upgrade", "Upgrade: h2c", settings},
		{"Connection: Upgrade", "Upgrade: websocket, h2c"},
		{"Connection: Upgrade", "Upgrade: h2c, websocket"},
		{"Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket", settings},
		{"Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c", settings},
		{"Connection: Upgrade", "Upgrade: TLS/1.0"},
		{"Connection: Upgrade", "Upgrade: connect-udp"},
		{"Connection: upgrade", "Upgrade: H2C", settings},
	} {
		if a := s.from(t, "127.0.0.1").get("/public", lines...); a.status == http.StatusSwitchingProtocols {
			t.Errorf("%q: %+v", lines, a)
		}
		expectNoUpgrade(t, s, strings.Join(lines, "; "))
	}
}

// expectNoUpgrade fails the test if the app was offered anything but
// a WebSocket alone.
func expectNoUpgrade(t *testing.T, s *stage, what string) {
	t.Helper()
	for _, saw := range s.app.take() {
		offers := saw.Header.Values("Upgrade")
		if len(offers) > 0 && (len(offers) > 1 || !strings.EqualFold(offers[0], "websocket")) {
			t.Errorf("%s: the app was offered %q", what, offers)
		}
		if saw.Header.Get("Http2-Settings") != "" && len(offers) > 0 {
			t.Errorf("%s: the app saw HTTP2-Settings", what)
		}
	}
}
