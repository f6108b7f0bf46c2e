//go:build linux

package proxytest

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"wavegate/server"
)

// The questions of Traefik and Envoy, as those two document them and as their
// releases of 2026 send them: the bytes of the request, less Authorization.
const (
	traefikShape = `GET /_auth/forward HTTP/1.1
Host: 127.0.0.1:10101
User-Agent: curl/8.14.1
Accept: */*
Accept-Encoding: gzip
X-Forwarded-For: 192.0.2.7
X-Forwarded-Host: app.example.com
X-Forwarded-Method: METHOD
X-Forwarded-Port: 80
X-Forwarded-Proto: http
X-Forwarded-Server: edge-1
X-Forwarded-Uri: TARGET
X-Real-Ip: 192.0.2.7
`
	envoyShape = `METHOD /_auth/forwardTARGET HTTP/1.1
host: app.example.com
content-length: 0
x-envoy-internal: true
x-forwarded-for: 203.0.113.9,192.0.2.7
x-forwarded-proto: http
user-agent: curl/8.14.1
accept: */*
x-envoy-expected-rq-timeout-ms: 10000
`
)

// shapeOf writes a question of a proxy, with further lines.
func shapeOf(shape, method, target string, lines ...string) string {
	text := strings.NewReplacer("METHOD", method, "TARGET", target).Replace(shape) + strings.Join(append(lines, "Connection: close"), "\n") + "\n\n"
	return strings.ReplaceAll(text, "\n", "\r\n")
}

// TestRequestShapes sends what Traefik and Envoy send.
func TestRequestShapes(t *testing.T) {
	g := startGate(t)
	proxy := client{t: t, addr: g.addr, from: "127.0.0.1"}
	for name, shape := range map[string]string{"Traefik": traefikShape, "Envoy": envoyShape} {
		ask := func(method, target string, lines ...string) answer {
			asked := method
			if shape == traefikShape {
				asked = "GET"
			}
			return proxy.raw(asked, shapeOf(shape, method, target, lines...))
		}
		t.Run(name, func(t *testing.T) {
			ask("GET", "/private").want(t, "no credential", 401)
			ask("GET", "/public/x?y").want(t, "public", 200)
			ask("GET", "/admin", authorize("reader")).want(t, "scope", 403)
			ask("DELETE", "/private?x=/public#", authorize("reader")).want(t, "fragment", 400)
			ask("GET", "/public/../admin", authorize("boss")).want(t, "dots", 400)
			ask("GET", "/%2e%2e/admin", authorize("boss")).want(t, "encoded dots", 400)
			for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS"} {
				a := ask(method, "/private?a=b", authorize("reader")).want(t, method, 200)
				if a.body != "" || a.header.Get("Wave-Subject-ID") != "reader" || a.header.Get("Remote-User") != "reader" {
					t.Errorf("%s: %+v", method, a)
				}
				if got := g.lastRequest("/private")["client_ip"]; got != "192.0.2.7" {
					t.Errorf("the client is %v", got)
				}
			}
		})
	}
}

// TestQuestionsNameTheClient wants X-Forwarded-For in every question: without
// it every client is the proxy, and one that guesses locks out all.
func TestQuestionsNameTheClient(t *testing.T) {
	g := startGate(t)
	proxy := client{t: t, addr: g.addr, from: "127.0.0.1"}
	nginx := "GET /_auth/verify HTTP/1.0\nHost: wavegate\nX-Original-URL: http://app.example.com/private\nX-Original-Method: GET\nX-Forwarded-For: 192.0.2.7\n"
	for name, shape := range map[string]string{"nginx": nginx, "Traefik": traefikShape, "Envoy": strings.Replace(envoyShape, "203.0.113.9,", "", 1)} {
		proxy.raw("GET", shapeOf(shape, "GET", "/private", authorize("reader"))).want(t, name, 200)
		for what, value := range map[string]string{"missing": "", "empty": "X-Forwarded-For: \n", "a word": "X-Forwarded-For: unknown\n"} {
			changed := strings.NewReplacer("X-Forwarded-For: 192.0.2.7\n", value, "x-forwarded-for: 192.0.2.7\n", value).Replace(shape)
			proxy.raw("GET", shapeOf(changed, "GET", "/private", authorize("reader"))).want(t, name+", "+what, 400)
		}
	}
}

// TestExamplePolicy answers by examples/forward-auth.yaml.
func TestExamplePolicy(t *testing.T) {
	g := startGate(t, func(c *server.Config) {
		c.PolicyFile = writeFile(t, filepath.Join(t.TempDir(), "forward-auth.yaml"), readExample(t, "forward-auth.yaml"))
	})
	proxy := client{t: t, addr: g.addr, from: "127.0.0.1"}
	for _, tt := range []struct {
		method, url, key string
		want             int
	}{
		{"GET", "http://www.example.com/x", "", 200},
		{"GET", "http://app.example.com/x", "", 401},
		{"GET", "http://app.example.com/x", "reader", 200},
		{"GET", "http://app.example.com/admin/x", "reader", 403},
		{"POST", "http://app.example.com/hooks", "reader", 200},
		{"GET", "http://app.example.com/hooks", "reader", 405},
		{"GET", "http://elsewhere.example.com/", "", 401},
		{"GET", "http://elsewhere.example.com/", "reader", 200},
	} {
		lines := []string{"GET /_auth/verify HTTP/1.1", "Host: wavegate", "X-Original-URL: " + tt.url, "X-Original-Method: " + tt.method, "X-Forwarded-For: 192.0.2.7", "Connection: close"}
		if tt.key != "" {
			lines = append(lines, authorize(tt.key))
		}
		a := proxy.raw(http.MethodGet, strings.Join(lines, "\r\n")+"\r\n\r\n")
		a.want(t, tt.method+" "+tt.url+" "+tt.key, tt.want)
	}
}
