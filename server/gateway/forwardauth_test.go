package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/fault"
)

// question builds a forward-auth request from "METHOD URL" and header lines.
func askRequest(t testing.TB, method, target string, lines ...string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: method, URL: u, Host: "gate.test", Header: http.Header{}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	return r
}

func TestAskFromNginx(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  ForwardAsk // zero: refused
	}{
		{
			"URL",
			[]string{"X-Original-Method: POST", "X-Original-URL: https://App.test:8443/a%2Fb;c?x=1?y"},
			ForwardAsk{Method: "POST", Scheme: "https", HostPort: "App.test:8443", Path: "/a%2Fb;c", Query: "x=1?y"},
		},
		{"URL without a path", []string{"X-Original-Method: GET", "X-Original-URL: http://app.test"}, ForwardAsk{Method: "GET", Scheme: "http", HostPort: "app.test", Path: "/"}},
		{
			"URI and host",
			[]string{"X-Original-Method: GET", "X-Original-URI: /a?b", "X-Original-Host: app.test"},
			ForwardAsk{Method: "GET", Scheme: "https", HostPort: "app.test", Path: "/a", Query: "b"},
		},
		{
			"WebSocket",
			[]string{"X-Original-Method: GET", "X-Original-URI: /live", "X-Original-Host: app.test", "Upgrade: WebSocket"},
			ForwardAsk{Method: "GET", Scheme: "https", HostPort: "app.test", Path: "/live", WebSocket: true},
		},
		{"nothing", nil, ForwardAsk{}},
		{"no method", []string{"X-Original-URL: https://app.test/"}, ForwardAsk{}},
		{"no host", []string{"X-Original-Method: GET", "X-Original-URI: /", "Host: app.test"}, ForwardAsk{}},
		{"lower-case method", []string{"X-Original-Method: get", "X-Original-URL: https://app.test/"}, ForwardAsk{}},
		{"two methods", []string{"X-Original-Method: GET", "X-Original-Method: POST", "X-Original-URL: https://app.test/"}, ForwardAsk{}},
		{"methods in a list", []string{"X-Original-Method: GET, POST", "X-Original-URL: https://app.test/"}, ForwardAsk{}},
		{"two URLs", []string{"X-Original-Method: GET", "X-Original-URL: https://app.test/public", "X-Original-URL: https://app.test/"}, ForwardAsk{}},
		{"URL and URI", []string{"X-Original-Method: GET", "X-Original-URL: https://app.test/public", "X-Original-URI: /admin", "X-Original-Host: app.test"}, ForwardAsk{}},
		{"URL and host", []string{"X-Original-Method: GET", "X-Original-URL: https://app.test/public", "X-Original-Host: app.test"}, ForwardAsk{}},
		{"another family beside it", []string{"X-Original-Method: GET", "X-Original-URL: https://app.test/", "X-Forwarded-Uri: /admin"}, ForwardAsk{}},
		{"another family's method", []string{"X-Original-Method: GET", "X-Original-URL: https://app.test/", "X-Forwarded-Method: GET"}, ForwardAsk{}},
		{"relative URL", []string{"X-Original-Method: GET", "X-Original-URL: /admin"}, ForwardAsk{}},
		{"other scheme", []string{"X-Original-Method: GET", "X-Original-URL: javascript://app.test/"}, ForwardAsk{}},
		{"userinfo", []string{"X-Original-Method: GET", "X-Original-URL: https://app.test@evil.test/"}, ForwardAsk{}},
		{"fragment", []string{"X-Original-Method: GET", "X-Original-URL: https://app.test/a#/public"}, ForwardAsk{}},
		{"fragment in the host", []string{"X-Original-Method: GET", "X-Original-URL: https://app.test#/public"}, ForwardAsk{}},
		{"URI without slash", []string{"X-Original-Method: GET", "X-Original-URI: admin", "X-Original-Host: app.test"}, ForwardAsk{}},
		{"empty URI", []string{"X-Original-Method: GET", "X-Original-URI: ", "X-Original-Host: app.test"}, ForwardAsk{}},
		{"two hosts", []string{"X-Original-Method: GET", "X-Original-URI: /", "X-Original-Host: app.test, evil.test"}, ForwardAsk{}},
	} {
		r := askRequest(t, "GET", "/_auth/verify", c.lines...)
		got, err := AskFromNginx(r, "https", true)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s (%v)", c.name, diff, err)
		}
		if (err != nil) != (c.want == ForwardAsk{}) || err != nil && fault.From(err).Status != 400 {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := AskFromNginx(r, "https", false); fault.From(err).Status != 400 {
			t.Errorf("%s: a stranger asked: %v", c.name, err)
		}
	}
}

func TestAskFromForwarded(t *testing.T) {
	base := []string{"X-Forwarded-Method: PUT", "X-Forwarded-Proto: https", "X-Forwarded-Host: app.test", "X-Forwarded-Uri: /a/%62?x=y"}
	without := func(name string, more ...string) []string {
		var out []string
		for _, line := range base {
			if !strings.HasPrefix(line, name+": ") {
				out = append(out, line)
			}
		}
		return append(out, more...)
	}
	const at = "/gate/_auth/forward"
	good := ForwardAsk{Method: "PUT", Scheme: "https", HostPort: "app.test", Path: "/a/%62", Query: "x=y"}
	for _, c := range []struct {
		name, method, target string
		lines                []string
		want                 ForwardAsk
	}{
		{"Traefik, Caddy, HAProxy", "GET", at, base, good},
		{"Traefik's word for WebSockets", "GET", at, without("X-Forwarded-Proto", "X-Forwarded-Proto: wss"), good},
		{"no method", "GET", at, without("X-Forwarded-Method"), ForwardAsk{}},
		{"no scheme", "GET", at, without("X-Forwarded-Proto"), ForwardAsk{}},
		{"no host", "GET", at, without("X-Forwarded-Host"), ForwardAsk{}},
		{"no URI", "GET", at, without("X-Forwarded-Uri"), ForwardAsk{}},
		{"two URIs", "GET", at, without("", "X-Forwarded-Uri: /public"), ForwardAsk{}},
		{"two hosts", "GET", at, without("", "X-Forwarded-Host: evil.test"), ForwardAsk{}},
		{"absolute URI", "GET", at, without("X-Forwarded-Uri", "X-Forwarded-Uri: http://app.test/"), ForwardAsk{}},
		{"schemes in a list", "GET", at, without("X-Forwarded-Proto", "X-Forwarded-Proto: https, http"), ForwardAsk{}},
		{"nginx's family beside it", "GET", at, without("", "X-Original-URL: https://app.test/public"), ForwardAsk{}},
		{"nginx's method beside it", "GET", at, without("", "X-Original-Method: GET"), ForwardAsk{}},
		{
			"Envoy", "DELETE", at + "/a/%62?x=y",
			[]string{"X-Forwarded-Proto: https", "Host: app.test:8443"},
			ForwardAsk{Method: "DELETE", Scheme: "https", HostPort: "app.test:8443", Path: "/a/%62", Query: "x=y"},
		},
		{"Envoy at the root", "GET", at + "/", []string{"X-Forwarded-Proto: http"}, ForwardAsk{Method: "GET", Scheme: "http", HostPort: "gate.test", Path: "/"}},
		{"Envoy without scheme", "GET", at + "/a", nil, ForwardAsk{}},
		{"Envoy with another URI", "GET", at + "/a", []string{"X-Forwarded-Proto: https", "X-Forwarded-Uri: /public"}, ForwardAsk{}},
		{"Envoy with another method", "POST", at + "/a", []string{"X-Forwarded-Proto: https", "X-Forwarded-Method: GET"}, ForwardAsk{}},
		{"beside the endpoint", "GET", at + "ed/a", []string{"X-Forwarded-Proto: https"}, ForwardAsk{}},
		{"another endpoint", "GET", "/other", base, ForwardAsk{}},
	} {
		r := askRequest(t, c.method, c.target, c.lines...)
		got, err := AskFromForwarded(r, at, true)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s (%v)", c.name, diff, err)
		}
		if (err != nil) != (c.want == ForwardAsk{}) || err != nil && fault.From(err).Status != 400 {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := AskFromForwarded(r, at, false); fault.From(err).Status != 400 {
			t.Errorf("%s: a stranger asked: %v", c.name, err)
		}
	}
}

func FuzzForwardAsk(f *testing.F) {
	f.Add("GET", "https://app.test/a?b", "/a", "app.test", "https")
	f.Add("POST", "http://a@b/", "//x", "a b", "wss")
	f.Add("get", "x", "a#b?c", "[::1]:80", "")
	f.Fuzz(func(t *testing.T, method, whole, uri, host, proto string) {
		at := &url.URL{Path: "/f"}
		for _, h := range []http.Header{
			{originalMethod: {method}, originalURL: {whole}},
			{originalMethod: {method}, originalURI: {uri}, originalHost: {host}},
			{forwardedVerb: {method}, forwardedURI: {uri}, forwardedHost: {host}, forwardedProto: {proto}},
		} {
			r := &http.Request{Method: "GET", URL: at, Header: h}
			for i := range 2 {
				var ask ForwardAsk
				var err error
				if i == 0 {
					ask, err = AskFromNginx(r, "http", true)
				} else {
					ask, err = AskFromForwarded(r, "/f", true)
				}
				if err != nil {
					continue
				}
				if ask.Path == "" || ask.Path[0] != '/' || strings.ContainsAny(ask.Path, "?#") || ask.Scheme != "http" && ask.Scheme != "https" || !isMethod(ask.Method) {
					t.Errorf("got %+v", ask)
				}
				if clean, err := CleanHost(ask.HostPort); err != nil || clean == "" {
					t.Errorf("host %q", ask.HostPort)
				}
			}
		}
	})
}
