package signintest

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// An app is what people want to use. It does its worst to be remembered by the
// browser: every page may be cached for ten minutes.
type app struct {
	url string

	mu   sync.Mutex // guards seen
	seen map[string]int
}

func startApp(t *testing.T) *app {
	t.Helper()
	a := &app{seen: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/", a.page)
	mux.HandleFunc("/api/now", a.answer)
	mux.HandleFunc("/live", a.live)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// pageText has the person, the address as it arrived, and below /watch an open
// socket.
const pageText = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Reports</title>
<link rel="icon" href="data:,">
<h1>Reports</h1>
<p>For <b id="who">%s</b> at <code id="at">%s</code></p>
<p><button id="ask">What time is it?</button> <output id="answer"></output></p>
<p><a id="logout" href="/_auth/logout">Sign out</a></p>
<p id="socket"></p>
<script>
document.getElementById("ask").addEventListener("click", async () => {
	const r = await fetch("/api/now");
	document.getElementById("answer").textContent = [r.status, r.headers.get("Content-Type"), r.headers.get("WWW-Authenticate"), await r.text()].join(" ");
});
function connect() {
	const say = text => { document.getElementById("socket").textContent = text; };
	const socket = new WebSocket(location.origin.replace("http", "ws") + "/live");
	let opened = false;
	socket.onmessage = event => { opened = true; say("open for " + event.data); };
	socket.onclose = () => { window.closedAt = Date.now(); say(opened ? "closed" : "refused"); };
}
if (location.pathname.startsWith("/watch")) connect();
</script>
</html>
`

func (a *app) page(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.seen[r.URL.Path]++
	a.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=600")
	fmt.Fprintf(w, pageText, html.EscapeString(r.Header.Get("Wave-Username")), html.EscapeString(r.RequestURI))
}

func (*app) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintf(w, `{"for":%q}`, r.Header.Get("Wave-Username"))
}

// live says who is there, and then listens until the socket ends.
func (*app) live(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // wavegate has looked at the Origin
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	if c.Write(r.Context(), websocket.MessageText, []byte(r.Header.Get("Wave-Username"))) != nil {
		return
	}
	for {
		if _, _, err := c.Read(r.Context()); err != nil {
			return
		}
	}
}

// pages is how often the app was asked for a page.
func (a *app) pages(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen[path]
}
