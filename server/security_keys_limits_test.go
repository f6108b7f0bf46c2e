package server

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
)

func TestASocketCountsUntilItEnds(t *testing.T) {
	t.Parallel()
	a := attack(t)
	k := a.mint("ci", `"scopes":["things:read"],"rate_limit_tier":"narrow"`) // one at a time
	a.things(k.Key, "192.0.2.1").want(t, 200, "")
	ws, _, err := websocket.Dial(t.Context(), a.URL+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + k.Key}}})
	must(t, err)
	for range 3 {
		got := a.things(k.Key, "192.0.2.1").want(t, 429, "rate_limit_exceeded")
		if got.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if _, res, err := websocket.Dial(t.Context(), a.URL+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"X-Api-Key": {k.Key}}}); err == nil || res.StatusCode != 429 {
		t.Errorf("a second socket: %v", err)
	}
	ws.CloseNow()
	eventually(t, "the socket is counted off", func() bool { return a.things(k.Key, "192.0.2.1").StatusCode == 200 })
	stream := a.events(bearer(k.Key)...)
	a.things(k.Key, "192.0.2.1").want(t, 429, "rate_limit_exceeded")
	stream.stays("another request was refused")
	a.by("ci", "DELETE", "/v1/auth/keys/"+k.ID, "").want(t, 204, "")
	stream.ended("the key was revoked")
}

// TestBandwidthCountsWhileItFlowsAndEndsTheStream: in answers, in bodies, and in
// sockets in both directions. The tier has 64 KB a month.
func TestBandwidthCountsWhileItFlowsAndEndsTheStream(t *testing.T) {
	t.Parallel()
	block := bytes.Repeat([]byte("x"), 4<<10)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ws":
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			for r.URL.RawQuery == "down" && c.Write(r.Context(), websocket.MessageBinary, block) == nil {
			}
			for err == nil {
				_, _, err = c.Read(r.Context())
			}
		case "/events":
			for {
				if _, err := w.Write(block); err != nil || http.NewResponseController(w).Flush() != nil || r.Context().Err() != nil {
					return
				}
			}
		default:
			_, _ = io.Copy(io.Discard, r.Body)
		}
	}))
	t.Cleanup(app.Close)
	const most = 1 << 30 // bytes: far beyond the tier's, what sockets buffer on the way, and what flows while a busy store is asked
	a := attackIn(t, app.URL, "")
	socket := func(key, query string) *websocket.Conn {
		ws, _, err := websocket.Dial(t.Context(), a.URL+"/ws?"+query, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + key}}})
		must(t, err)
		return ws
	}
	for what, flow := range map[string]func(key string) (int64, error){
		"an answer": func(key string) (int64, error) {
			req, err := http.NewRequestWithContext(t.Context(), "GET", a.URL+"/events", http.NoBody)
			must(t, err)
			req.Header.Set("Authorization", "Bearer "+key)
			transport := &http.Transport{DisableKeepAlives: true}
			res, err := transport.RoundTrip(req)
			must(t, err)
			defer res.Body.Close()
			return io.Copy(io.Discard, io.LimitReader(res.Body, most))
		},
		"a socket's answers": func(key string) (n int64, err error) {
			ws := socket(key, "down")
			defer ws.CloseNow()
			for n < most && err == nil {
				var p []byte
				_, p, err = ws.Read(t.Context())
				n += int64(len(p))
			}
			return n, err
		},
		"a socket's questions": func(key string) (n int64, err error) {
			ws := socket(key, "up")
			defer ws.CloseNow()
			for ; n < most && err == nil; n += int64(len(block)) {
				err = ws.Write(t.Context(), websocket.MessageBinary, block)
			}
			return n, err
		},
	} {
		k := a.mint("ci", `"scopes":["things:read"],"rate_limit_tier":"drops"`)
		if n, err := flow(k.Key); n >= most {
			t.Errorf("%s: %d bytes flowed of 64 KB, and then %v", what, n, err)
		}
		eventually(t, what+": the month is spent", func() bool { return a.things(k.Key, "192.0.2.1").StatusCode == 429 })
		got := a.things(k.Key, "192.0.2.1").want(t, 429, "rate_limit_exceeded")
		if got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", what)
		}
	}
	other := a.mint("ci", `"scopes":["things:read"]`)
	a.things(other.Key, "192.0.2.1").want(t, 200, "")
	k := a.mint("ci", `"scopes":["*"],"rate_limit_tier":"drops"`)
	status := 0
	for range 200 { // bodies count too
		got := a.do("POST", "/things", string(block), bearer(k.Key)...)
		if status = got.StatusCode; status != 200 {
			break
		}
	}
	if status != 429 {
		t.Errorf("after 800 KB of bodies: %d, want 429", status)
	}
}

// TestLimitsOfAKeyHoldHoweverItIsSent: no scheme, path or endpoint buys more.
func TestLimitsOfAKeyHoldHoweverItIsSent(t *testing.T) {
	t.Parallel()
	a := attack(t)
	k := a.mint("ci", `"scopes":["*"],"ops_limit":4`)
	for i, headers := range [][]string{bearer(k.Key), {"Authorization", k.Key}, {"X-API-Key", k.Key}, {"Authorization", "bearer  " + k.Key}} {
		if got := a.do("GET", fmt.Sprint("/things/", i), "", headers...); got.StatusCode != 200 {
			t.Errorf("%d: %d %s", i, got.StatusCode, got.body)
		}
	}
	for _, ask := range [][]string{{"/things", ""}, {"/_auth/verify", "nginx"}, {"/_auth/forward", "traefik"}} {
		headers := append(bearer(k.Key), "X-Forwarded-For", "192.0.2.1")
		switch ask[1] {
		case "nginx":
			headers = append(headers, "X-Original-Method", "GET", "X-Original-URL", "http://a/things")
		case "traefik":
			headers = append(headers, "X-Forwarded-Method", "GET", "X-Forwarded-Proto", "http", "X-Forwarded-Host", "a", "X-Forwarded-Uri", "/things")
		}
		if got := a.do("GET", ask[0], "", headers...); got.StatusCode != 402 && got.StatusCode != 403 {
			t.Errorf("%s: %d %s", ask[0], got.StatusCode, got.body)
		}
	}
	a.do("GET", "/v1/auth/status", "", bearer(k.Key)...).want(t, 200, "") // what is left can still be asked
	a.do("PATCH", "/v1/auth/keys/"+k.ID, `{"ops_limit":1000}`, bearer(k.Key)...).want(t, 403, "insufficient_scope")
}
