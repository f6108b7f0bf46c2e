package server

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A deadlineConn keeps the write deadline that was set last.
type deadlineConn struct {
	net.Conn
	deadline time.Time
	set      int
}

func (c *deadlineConn) Write(p []byte) (int, error) { return len(p), nil }

func (c *deadlineConn) SetWriteDeadline(t time.Time) error {
	c.deadline, c.set = t, c.set+1
	return nil
}

// Whatever is written, also by net/http itself after a long idle time, finds a
// deadline that leaves the client stallTimeout; and few of them are set.
func TestEveryWriteHasItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := &deadlineConn{}
		c := newStrictConn(raw, slog.New(slog.DiscardHandler))
		for _, idle := range []time.Duration{0, 0, time.Second, deadlineSlack, 2 * time.Minute, 0, time.Hour} {
			time.Sleep(idle)
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := c.SetWriteDeadline(time.Time{}); err != nil { // as net/http does after an answer
				t.Fatal(err)
			}
			if left := time.Until(raw.deadline); left < stallTimeout || left > stallTimeout+deadlineSlack {
				t.Errorf("after %v idle a write has %v, want %v at least", idle, left, stallTimeout)
			}
		}
		if raw.set != 4 {
			t.Errorf("%d deadlines were set, want 4", raw.set)
		}
		c.relax()
		time.Sleep(time.Hour)
		if _, err := c.Write([]byte("x")); err != nil || raw.set != 4 {
			t.Errorf("a hijacked connection had its deadline set (%v)", err)
		}
	})
}

// A pipeListener hands out one connection.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error   { close(l.done); return nil }
func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// A pipeConn is a pipe with an address.
type pipeConn struct{ net.Conn }

func (pipeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

// stalled sends a request whose body stops half way. It returns the answer, how
// long it took, and how long until the connection was closed.
func stalled(t *testing.T, path string) (answer string, after, closed time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(testConfig(t), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		s.table = append(s.table, route{"POST", "/_auth/read", func(ex *exchange, r *http.Request) error {
			_, err := io.ReadAll(r.Body)
			return err
		}})
		ln := pipeListener{make(chan net.Conn, 1), make(chan struct{})}
		srv := s.httpServer(t.Context(), s)
		go srv.Serve(strictListener{ln, s.log})
		defer srv.Close()
		client, server := net.Pipe()
		defer client.Close()
		ln.conns <- pipeConn{server}
		start := time.Now()
		fmt.Fprintf(client, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc", path)
		br := bufio.NewReader(client)
		line, _ := br.ReadString('\n')
		answer, after = strings.TrimSpace(line), time.Since(start)
		io.Copy(io.Discard, br)
		closed = time.Since(start)
	})
	return answer, after, closed
}

func TestASlowBodyDoesNotKeepItsAnswerOrItsConnection(t *testing.T) {
	answer, after, closed := stalled(t, "/x") // nobody wants the body: there is no such route
	if !strings.Contains(answer, " 404 ") || after > time.Second || closed > 2*unreadTimeout {
		t.Errorf("refused: %q after %v, closed after %v", answer, after, closed)
	}
	answer, after, closed = stalled(t, "/_auth/read")
	if !strings.Contains(answer, " 500 ") || after > 2*stallTimeout || closed > 2*stallTimeout {
		t.Errorf("waited for: %q after %v, closed after %v", answer, after, closed)
	}
}

// A connection goes on after a body that nobody read, if it comes at once.
func TestAnUnreadBodyLeavesTheConnectionUsable(t *testing.T) {
	ts := guarded(t, hello)
	conn, err := net.Dial("tcp", ts.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	br := bufio.NewReader(conn)
	for i, body := range []string{"abc", strings.Repeat("x", 100<<10), "", "abc"} {
		fmt.Fprintf(conn, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		fmt.Fprint(conn, "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
		for range 2 {
			res, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatalf("round %d: %v", i, err)
			}
			io.Copy(io.Discard, res.Body)
			if res.StatusCode != 401 {
				t.Errorf("round %d: %d", i, res.StatusCode)
			}
		}
	}
	fmt.Fprint(conn, "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	got, err := io.ReadAll(br) // the server closes: it will not ask for that body
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 401 ") {
		t.Errorf("Expect: %q, %v", got, err)
	}
}
