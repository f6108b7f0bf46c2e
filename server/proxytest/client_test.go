//go:build linux

package proxytest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A client sends literal requests from an address of its own.
type client struct {
	t    *testing.T
	addr string      // where it connects to
	from string      // loopback address it comes from
	tls  *tls.Config // nil: plain HTTP
}

// A request is what a client writes. Lines are whole header lines, sent as they
// stand.
type request struct {
	method, target string
	host           string // "" is app.example.com
	lines          []string
	body           string
}

// An answer is what the client got. Status 0: the connection was closed instead.
type answer struct {
	status int
	header http.Header
	body   string
}

// authorize is the header line of a good access key.
func authorize(id string) string { return basic(id, "secret") }

func basic(id, secret string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// get sends a GET with header lines.
func (c client) get(target string, lines ...string) answer {
	c.t.Helper()
	return c.send(request{method: "GET", target: target, lines: lines})
}

// send writes a request and reads the answer.
func (c client) send(r request) answer {
	c.t.Helper()
	host := r.host
	if host == "" {
		host = "app.example.com"
	}
	lines := append([]string{fmt.Sprintf("%s %s HTTP/1.1", r.method, r.target), "Host: " + host}, r.lines...)
	if !strings.Contains(strings.ToLower("\n"+strings.Join(r.lines, "\n")), "\nconnection:") {
		lines = append(lines, "Connection: close")
	}
	if r.body != "" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(r.body)))
	}
	return c.raw(r.method, strings.Join(lines, "\r\n")+"\r\n\r\n"+r.body)
}

// raw writes bytes and reads one answer.
func (c client) raw(method, request string) answer {
	c.t.Helper()
	conn := c.dial()
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		return answer{header: http.Header{}} // refused before all was sent
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			c.t.Errorf("no answer to %.60q", request)
		}
		return answer{header: http.Header{}}
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return answer{res.StatusCode, res.Header, ""}
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Errorf("answer to %.60q: %v", request, err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func (c client) dial() net.Conn {
	c.t.Helper()
	dialer := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
	conn, err := dialer.DialContext(c.t.Context(), "tcp", c.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.tls == nil {
		return conn
	}
	return tls.Client(conn, c.tls)
}

// want fails the test unless the answer has the status.
func (a answer) want(t *testing.T, what string, status int) answer {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: status %d, want %d; body %.200q", what, a.status, status, a.body)
	}
	return a
}

// refused reports whether the answer lets nobody in.
func (a answer) refused() bool { return a.status == 0 || a.status >= 400 }
