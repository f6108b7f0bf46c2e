//go:build linux

package proxytest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// TestBrokenGate puts in wavegate's place what may stand there by mistake: no
// answer but a whole 2xx lets anybody in.
func TestBrokenGate(t *testing.T) {
	answers := map[string]string{
		"/500":       "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
		"/502":       "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad",
		"/302":       "HTTP/1.1 302 Found\r\nLocation: http://app.example.com/sign-in\r\nContent-Length: 0\r\n\r\n",
		"/404":       "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
		"/101":       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"/early":     "HTTP/1.1 103 Early Hints\r\n\r\n",
		"/cut":       "HTTP/1.1 200 OK\r\nWave-Subject-ID: bo",
		"/nothing":   "",
		"/no-http":   "SSH-2.0-OpenSSH_9.2\r\n",
		"/status-20": "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
	}
	for _, f := range fronts() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := &stage{front: f, app: startApp(t)}
			gate := &brokenGate{}
			s.addr = f.start(t, gate.listen(t), s.app.addr)
			for target, literal := range answers {
				gate.say(literal)
				a := s.from(t, "127.0.0.1").get(target, authorize("boss"))
				if seen := s.app.take(); len(seen) > 0 || a.body != "" && a.status == http.StatusOK {
					t.Errorf("%s: status %d, %d requests at the app: %.200q", target, a.status, len(seen), a.body)
				}
			}
		})
	}
}

// A brokenGate answers every question with the same bytes and hangs up.
type brokenGate struct {
	mu      sync.Mutex // guards literal
	literal string
}

func (g *brokenGate) say(literal string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.literal = literal
}

// listen serves until the end of the test and returns the address.
func (g *brokenGate) listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { g.answer(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		work.Wait()
	})
	return l.Addr().String()
}

func (g *brokenGate) answer(conn net.Conn) {
	defer conn.Close()
	if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	io.WriteString(conn, g.literal)
}
