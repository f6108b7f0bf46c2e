package portaltest

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// A site is what stands around a gate: the app that it guards, and a receiver of
// webhooks.
type site struct {
	app  *httptest.Server
	hook *httptest.Server // its URL takes webhooks

	mu      sync.Mutex // guards the rest
	arrived []arrival
	answers map[string]int // status of the receiver by path; 204 where there is none
}

// An arrival is a webhook that came.
type arrival struct {
	header http.Header
	path   string
	body   string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{answers: map[string]int{}, app: httptest.NewServer(http.HandlerFunc(serveApp))}
	s.hook = httptest.NewServer(http.HandlerFunc(s.receive))
	t.Cleanup(s.app.Close)
	t.Cleanup(s.hook.Close)
	return s
}

// serveApp is the app: what is asked for is what is answered. /v1/analytics/slow
// takes a fifth of a second, and /v1/analytics/broken fails.
func serveApp(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/v1/analytics/slow":
		select {
		case <-time.After(200 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	case "/public/form":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, formText, html.EscapeString(r.URL.Query().Encode()))
		return
	case "/v1/analytics/broken":
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" for "+r.Header.Get("Wave-Subject-ID")+"\n")
}

// formText is a page with all that people can be asked, for the tests of how they
// answer. It shows what it was sent.
const formText = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Form</title>
<link rel="icon" href="data:,">
<main>
<h1>Form</h1>
<p id="sent">%s</p>
<form>
<p><label>Name <input name="name" value="before"></label></p>
<p><label for="about">About</label> <textarea id="about" name="about"></textarea></p>
<p><label for="tier">Tier</label> <select id="tier" name="tier"><option value="s">Starter</option><option value="b">Business</option></select></p>
<p><label for="until">Until</label> <input id="until" name="until" type="date"></p>
<p><input id="read" name="scope" type="checkbox" value="read"> <label for="read">streams:read <small>See the streams</small></label></p>
<p><input id="write" name="scope" type="checkbox" value="write" checked> <label for="write">streams:write <small>Change the streams</small></label></p>
<p><button>Send</button></p>
</form>
<ul>
<li>Encoder <a href="?open=encoder">Open</a></li>
<li>Player <a href="?open=player">Open</a></li>
</ul>
</main>
</html>`

// receive takes a webhook.
func (s *site) receive(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrived = append(s.arrived, arrival{r.Header.Clone(), r.URL.Path, string(body)})
	status, told := s.answers[r.URL.Path]
	if !told {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "the receiver was told to answer like this\n")
}

// answer makes the receiver answer with a status at a path from now on: 500 fails.
func (s *site) answer(path string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = status
}

// webhooks returns what has arrived so far.
func (s *site) webhooks() []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]arrival(nil), s.arrived...)
}
