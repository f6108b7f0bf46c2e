package gateway

import (
	"net/http"
	"strings"
	"testing"
)

func TestPreflightsAreAnsweredHereAndNeverForwarded(t *testing.T) {
	up := newRawUpstream(t)
	f := newFront(t, frontConfig{policy: route(up.url, "cors: {origins: [https://a.example], methods: [GET, PUT], headers: [X-Custom], credentials: true, max_age: 10m}")})
	for _, c := range []struct {
		origin string
		want   map[string]string
	}{
		{"https://a.example", map[string]string{
			"Access-Control-Allow-Origin": "https://a.example", "Access-Control-Allow-Credentials": "true", "Access-Control-Allow-Methods": "GET, HEAD, PUT",
			"Access-Control-Allow-Headers": "X-Custom", "Access-Control-Max-Age": "600",
		}},
		{"https://evil.example", nil},
		{"https://a.example.evil.example", nil},
		{"http://a.example", nil},
		{"null", nil},
	} {
		resp, body := f.raw(t, "OPTIONS /x HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nOrigin: "+c.origin+"\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-custom\r\n\r\n")
		if resp.StatusCode != 204 || body != "" {
			t.Errorf("%s: got %d %q", c.origin, resp.StatusCode, body)
		}
		for name := range resp.Header {
			if strings.HasPrefix(name, "Access-Control-") && c.want[name] != resp.Header.Get(name) {
				t.Errorf("%s: %s is %q, want %q", c.origin, name, resp.Header.Get(name), c.want[name])
			}
		}
		if c.want != nil && resp.Header.Get("Access-Control-Allow-Origin") == "" {
			t.Errorf("%s: not allowed: %v", c.origin, resp.Header)
		}
		if vary := strings.Join(resp.Header["Vary"], ", "); vary != "Origin, Access-Control-Request-Method, Access-Control-Request-Headers" {
			t.Errorf("%s: Vary %q", c.origin, vary)
		}
	}
	select {
	case head := <-up.seen:
		t.Errorf("forwarded: %s", head)
	default:
	}
}

func TestOptionsIsARequestLikeAnyOther(t *testing.T) {
	const preflight = "OPTIONS / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n"
	for _, c := range []struct{ more, request string }{
		{"", preflight},
		{"cors: {origins: [https://a.example]}", strings.ReplaceAll(preflight, "Access-Control-Request-Method: PUT\r\n", "")},
		{"cors: {origins: [https://a.example]}", strings.ReplaceAll(preflight, "Origin: https://a.example\r\n", "")},
	} {
		up := newRawUpstream(t)
		f := newFront(t, frontConfig{policy: route(up.url, c.more)})
		f.raw(t, c.request)
		if head := up.head(t); !strings.HasPrefix(head, "OPTIONS / ") {
			t.Errorf("%q: forwarded as %q", c.more, head)
		}
	}
}

func TestTheUpstreamsOwnCORSHeadersAreReplaced(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Access-Control-Expose-Headers", "*")
		w.Header().Set("Vary", "Accept")
		if r.URL.Path == "/hints" {
			w.WriteHeader(http.StatusEarlyHints)
		}
	})
	f := newFront(t, frontConfig{policy: route(up.URL, "cors: {origins: [https://a.example]}")})
	for _, path := range []string{"/", "/hints"} {
		for origin, want := range map[string]string{"https://a.example": "https://a.example", "https://evil.example": ""} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", f.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Origin", origin)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			h := resp.Header
			if got := strings.Join(h["Access-Control-Allow-Origin"], "|"); got != want {
				t.Errorf("%s %s: allowed %q", path, origin, got)
			}
			if h["Access-Control-Allow-Credentials"] != nil || h["Access-Control-Expose-Headers"] != nil {
				t.Errorf("%s %s: the upstream's headers passed: %v", path, origin, h)
			}
			if !hasToken(h["Vary"], "Origin") || !hasToken(h["Vary"], "Accept") {
				t.Errorf("%s %s: Vary %v", path, origin, h["Vary"])
			}
		}
	}
}

func TestErrorsCarryCORSHeaders(t *testing.T) {
	f := newFront(t, frontConfig{policy: route("http://"+deadAddress(t), `cors: {origins: ["*"]}`)})
	resp, _ := f.raw(t, "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\nOrigin: https://a.example\r\n\r\n")
	if resp.StatusCode != 502 || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
}
