package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"wavegate/server/fault"
	"wavegate/server/policy"
)

func TestBodiesOverTheLimitAre413(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		more   string
		header string
		body   string
		status int
	}{
		{"announced", Config{}, "max_request_size: 10", "Content-Length: 11\r\n", "01234567890", 413},
		{"announced, nothing sent", Config{}, "max_request_size: 10", "Content-Length: 1000000\r\nExpect: 100-continue\r\n", "", 413},
		{"chunked", Config{}, "max_request_size: 10", "Transfer-Encoding: chunked\r\n", "b\r\n01234567890\r\n0\r\n\r\n", 413},
		{"fits", Config{}, "max_request_size: 11", "Content-Length: 11\r\n", "01234567890", 200},
		{"fits chunked", Config{}, "max_request_size: 11", "Transfer-Encoding: chunked\r\n", "b\r\n01234567890\r\n0\r\n\r\n", 200},
		{"the server's limit", Config{MaxRequestSize: 10}, "", "Content-Length: 11\r\n", "01234567890", 413},
		{"the route lifts it", Config{MaxRequestSize: 10}, "max_request_size: 0", "Content-Length: 11\r\n", "01234567890", 200},
		{"broken chunks", Config{}, "", "Transfer-Encoding: chunked\r\n", "zz\r\n", 400},
	} {
		got := make(chan error, 1)
		up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			got <- err
		})
		f := newFront(t, frontConfig{Config: c.config, policy: route(up.URL, c.more)})
		resp, body := f.raw(t, "POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n"+c.header+"\r\n"+c.body)
		if resp.StatusCode != c.status {
			t.Errorf("%s: got %d %s, want %d", c.name, resp.StatusCode, body, c.status)
		}
		if c.status == 200 {
			if err := waitFor(t, got); err != nil {
				t.Errorf("%s: upstream read %v", c.name, err)
			}
		}
	}
}

func TestABodyThatIsMalformedHalfWayIs400(t *testing.T) {
	arrived := make(chan bool, 1)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		io.ReadFull(r.Body, make([]byte, 5))
		arrived <- true
		io.Copy(io.Discard, r.Body)
	})
	f := newFront(t, frontConfig{policy: route(up.URL)})
	c, err := net.Dial("tcp", f.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	waitFor(t, arrived)
	io.WriteString(c, "zz\r\n")
	c.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !strings.Contains(string(body), `"invalid_request"`) {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

// TestFaultsOfTheBodyAreToldFromClientsThatGo is about requests whose context
// has ended: net/http ends it after a malformed body too.
func TestFaultsOfTheBodyAreToldFromClientsThatGo(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		name    string
		chunked bool
		err     error
		status  int
	}{
		{"malformed chunk", true, errors.New("malformed chunked encoding"), 400},
		{"too large", true, &http.MaxBytesError{Limit: 1}, 413},
		{"cut off", true, io.ErrUnexpectedEOF, StatusClientGone},
		{"reset", true, &net.OpError{Op: "read", Err: syscall.ECONNRESET}, StatusClientGone},
		{"HTTP/2 stream reset", false, errors.New("client disconnected"), StatusClientGone},
		{"closed by us", true, http.ErrBodyReadAfterClose, StatusClientGone},
	} {
		body := &requestBody{ReadCloser: io.NopCloser(iotest.ErrReader(c.err)), chunked: c.chunked}
		body.Read(make([]byte, 1))
		p := &proxy{route: &policy.Route{Name: "/"}}
		if e := fault.From(p.faultOf(&exchange{Context: ended, body: body}, context.Canceled)); e.Status != c.status {
			t.Errorf("%s: got %v", c.name, e)
		}
	}
}
