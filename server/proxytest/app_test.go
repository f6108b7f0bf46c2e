//go:build linux

package proxytest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// A sighting is a request that reached the app.
type sighting struct {
	Method, Target, Host string
	Header               http.Header
	Body                 string
}

// An app is what the proxies guard. It notes every request.
type app struct {
	addr string

	mu   sync.Mutex // guards seen
	seen []sighting
}

func startApp(t *testing.T) *app {
	t.Helper()
	a := &app{}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	a.addr = s.Listener.Addr().String()
	return a
}

// ServeHTTP echoes a WebSocket at /live and says what it saw elsewhere.
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	a.seen = append(a.seen, sighting{r.Method, r.RequestURI, r.Host, r.Header.Clone(), string(body)})
	a.mu.Unlock()
	if r.URL.Path == "/live" && r.Header.Get("Upgrade") != "" {
		echo(w, r)
		return
	}
	fmt.Fprintf(w, "the app saw %s %s", r.Method, r.RequestURI)
}

// echo sends one message back.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	kind, message, err := c.Read(r.Context())
	if err != nil {
		return
	}
	if c.Write(r.Context(), kind, message) == nil {
		c.Close(websocket.StatusNormalClosure, "")
	}
}

// take returns what reached the app since the last call.
func (a *app) take() []sighting {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.seen
	a.seen = nil
	return seen
}
