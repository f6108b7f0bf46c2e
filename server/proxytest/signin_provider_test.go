//go:build linux

package proxytest

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"wavegate/oidc/oidctest"
	"wavegate/server"
)

// An entrance is a proxy before which people sign in at an OpenID provider.
type entrance struct {
	name   string
	start  func(t *testing.T, gate, app string, p pair) string // returns its address
	scheme string                                              // what browsers speak to it
	passes bool                                                // everything to wavegate, rather than asking it
}

// A pair are the files of a certificate for app.example.com.
type pair struct{ cert, key, both string }

// entrances are the real proxies with TLS, as the examples have them but for
// that, and the others as they are.
func entrances() []entrance {
	plain := func(start func(*testing.T, string, string) string) func(*testing.T, string, string, pair) string {
		return func(t *testing.T, gate, app string, _ pair) string { return start(t, gate, app) }
	}
	passing := func(conf string, run func(t *testing.T, dir, conf, port string) string) func(*testing.T, string, string, pair) string {
		return func(t *testing.T, gate, _ string, p pair) string {
			dir, port := t.TempDir(), freePort(t)
			return run(t, dir, fmt.Sprintf(conf, nginxFolders(dir), port, freePort(t), p.cert, p.key, gate), port)
		}
	}
	return []entrance{
		{"nginx", startNginxTLS, "https", false},
		{"Caddy", startCaddyTLS, "https", false},
		{"HAProxy", startHAProxyTLS, "https", false},
		{"Traefik by its shape", plain(startTraefik), "http", false},
		{"Envoy by its shape", plain(startEnvoy), "http", false},
		{"nginx that passes everything", passing(nginxInFront, runNginx), "https", true},
		{"Caddy that passes everything", passing(strings.ReplaceAll(caddyInFront, "app.example.com:", ":"), func(t *testing.T, _, conf, port string) string { return runCaddy(t, conf, port) }), "https", true},
	}
}

func startNginxTLS(t *testing.T, gate, app string, p pair) string {
	dir, port := t.TempDir(), freePort(t)
	conf := substituted(
		t, "nginx.conf", exampleGate, gate, exampleApp, app,
		"listen 8080;", "listen 127.0.0.1:"+port+" ssl; ssl_certificate "+p.cert+"; ssl_certificate_key "+p.key+";",
		"http {\n", "http {\n"+nginxFolders(dir),
	)
	return runNginx(t, dir, conf, port)
}

func startCaddyTLS(t *testing.T, gate, app string, p pair) string {
	port := freePort(t)
	conf := substituted(
		t, "Caddyfile", exampleGate, gate, exampleApp, app,
		"\n:8080 {\n", "\n:"+port+" {\n\tbind 127.0.0.1\n\ttls "+p.cert+" "+p.key+"\n",
		"admin off\n", "admin off\n\tauto_https disable_redirects\n", // no port 80
	)
	return runCaddy(t, conf, port)
}

func startHAProxyTLS(t *testing.T, gate, app string, p pair) string {
	port := freePort(t)
	return runHAProxy(t, substituted(t, "haproxy.cfg", exampleGate, gate, exampleApp, app, "bind :8080", "bind 127.0.0.1:"+port+" ssl crt "+p.both), port)
}

// A visit is a browser before an entrance. It keeps cookies as browsers do.
type visit struct {
	stage
	entrance
	browser client
	idp     *oidctest.Provider
	cookies map[string]string
}

func newVisit(t *testing.T, e entrance) *visit {
	t.Helper()
	v := &visit{entrance: e, cookies: map[string]string{}, idp: oidctest.New(t, oidctest.Config{Users: map[string]oidctest.Claims{
		"1001": {"preferred_username": "ann", "email": "ann@example.com", "email_verified": true, "groups": []string{"eng"}},
	}})}
	v.idp.Login("1001")
	v.idp.AddClient(oidctest.Client{ID: "gate", Secret: "client-secret", RedirectURLs: []string{
		v.at("app.example.com/_auth/callback"), v.at("open.example.com/_auth/callback"),
	}})
	v.stage = stage{front: front{name: e.name}, app: startApp(t)}
	policy := policyText + "roles:\n  team: {scopes: [look, live], groups: [eng]}\n"
	if e.passes {
		policy = strings.ReplaceAll(policy, "static://404", "http://"+v.app.addr)
	}
	v.gate = startGate(t, func(c *server.Config) {
		c.PolicyFile = writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), policy)
		c.RequireHTTPS = e.scheme == "https"
		c.SignIn = server.SignIn{
			Issuer: v.idp.URL, ClientID: "gate", ClientSecret: "client-secret", Scopes: []string{"openid", "profile", "email"},
			RedirectURL: v.at("app.example.com/_auth/callback"),
		}
	})
	dir := t.TempDir()
	cert, key, roots := certificate(t, dir)
	both := writeFile(t, filepath.Join(dir, "both.pem"), readText(t, cert)+readText(t, key))
	v.addr = e.start(t, v.gate.addr, v.app.addr, pair{cert, key, both})
	v.browser = client{t: t, addr: v.addr, from: "127.0.0.52"}
	if e.scheme == "https" {
		v.browser.tls = &tls.Config{RootCAs: roots, ServerName: "app.example.com"}
	}
	return v
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// at returns an address before the entrance.
func (v *visit) at(address string) string { return v.scheme + "://" + address }

// navigate asks for a page with the cookies that there are, and keeps what the
// answer sets.
func (v *visit) navigate(t *testing.T, target string, lines ...string) answer {
	t.Helper()
	return v.ask(t, request{method: "GET", target: target, lines: append(lines, "Accept: text/html,*/*;q=0.8", "Sec-Fetch-Mode: navigate")})
}

func (v *visit) ask(t *testing.T, r request) answer {
	t.Helper()
	r.lines = append(slices.Clone(r.lines), v.cookieLines()...)
	c := v.browser
	c.t = t
	a := c.send(r)
	for _, cookie := range (&http.Response{Header: a.header}).Cookies() {
		v.cookies[cookie.Name] = cookie.Value
		if cookie.MaxAge < 0 {
			delete(v.cookies, cookie.Name)
		}
	}
	return a
}

func (v *visit) cookieLines() []string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(v.cookies)) {
		pairs = append(pairs, name+"="+v.cookies[name])
	}
	if pairs == nil {
		return nil
	}
	return []string{"Cookie: " + strings.Join(pairs, "; ")}
}

// away opens an address of the provider and returns where it leads.
func (v *visit) away(t *testing.T, address string) *url.URL {
	t.Helper()
	if !strings.HasPrefix(address, v.idp.URL+"/") {
		t.Fatalf("not at the provider: %q", address)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(must(http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	to, err := res.Location()
	if err != nil {
		t.Fatalf("the provider answers %d: %v", res.StatusCode, err)
	}
	return to
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // what a test wrote itself is wrong
	}
	return v
}

// TestProviderSignInBehindProxies has a person sign in at an OpenID provider
// through every proxy. The real ones end TLS.
func TestProviderSignInBehindProxies(t *testing.T) {
	for _, e := range entrances() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			v := newVisit(t, e)
			t.Run("a login leads back to the deep link on the same host", v.signsIn)
			t.Run("the app is told who it is", v.reachesApp)
			t.Run("WebSockets", v.opensSocket)
			t.Run("a login stays on the host where it began, if that is named", v.staysOnHost)
			t.Run("a login ends on the server and at the provider", v.signsOut)
		})
	}
}

const deepLink = "/private/r%C3%A9sum%C3%A9?a=1&b=%2F&c=x%20y&a=2"

func (v *visit) signsIn(t *testing.T) {
	a := v.navigate(t, deepLink).want(t, "without session", http.StatusFound)
	if got, want := a.header.Get("Location"), "/_auth/login?next="+url.QueryEscape(deepLink); got != want {
		t.Fatalf("sent to %q, want %q", got, want)
	}
	page := v.navigate(t, a.header.Get("Location")).want(t, "login page", http.StatusOK)
	begin := "/_auth/init?next=" + url.QueryEscape(deepLink) + "&amp;provider=main"
	if !strings.Contains(page.body, `"`+begin+`"`) {
		t.Fatalf("no way to the provider on the login page, %s: %s", begin, page.body)
	}
	a = v.navigate(t, strings.ReplaceAll(begin, "&amp;", "&")).want(t, "to the provider", http.StatusFound)
	v.wantCookie(t, a, `wavegate-login-[0-9a-f]{12}=[A-Za-z0-9_-]+; Path=/; Max-Age=[0-9]+; HttpOnly;`)
	back := v.away(t, a.header.Get("Location"))
	if got := back.Scheme + "://" + back.Host + back.Path; got != v.at("app.example.com/_auth/callback") {
		t.Fatalf("the provider sends back to %s", got)
	}
	a = v.navigate(t, back.RequestURI()).want(t, "callback", http.StatusSeeOther)
	v.wantCookie(t, a, `wavegate=[A-Z2-7]{26}; Path=/; Max-Age=2592000; HttpOnly;`)
	if got := a.header.Get("Location"); got != deepLink {
		t.Errorf("signed in, and sent to %q, want %q", got, deepLink)
	}
	if seen := v.app.take(); len(seen) > 0 {
		t.Errorf("the app saw %v", seen)
	}
}

// wantCookie fails the test unless an answer sets the cookie, letter by letter,
// in the form for the scheme that the browser sees.
func (v *visit) wantCookie(t *testing.T, a answer, pattern string) {
	t.Helper()
	pattern = "^" + pattern + " SameSite=Lax$"
	if v.scheme == "https" {
		pattern = "^__Host-" + strings.TrimSuffix(pattern[1:], " SameSite=Lax$") + " Secure; SameSite=Lax$"
	}
	if !slices.ContainsFunc(a.header.Values("Set-Cookie"), regexp.MustCompile(pattern).MatchString) {
		t.Errorf("cookies %q, none is %s", a.header.Values("Set-Cookie"), pattern)
	}
}

func (v *visit) reachesApp(t *testing.T) {
	saw := v.expectEntry(t, "with session", v.navigate(t, deepLink, "X-Forwarded-Proto: http", "X-Forwarded-Host: evil.example"))
	if saw.Target != deepLink || saw.Host != "app.example.com" {
		t.Errorf("the app saw %s %s", saw.Host, saw.Target)
	}
	for name, want := range map[string]string{
		"Wave-Subject-ID": "1001", "Wave-Username": "ann", "Wave-Email": "ann@example.com", "Wave-Groups": "eng",
		"Wave-Auth-Method": "session", "Remote-User": "1001", "Wave-Access-Token": "", "Wave-Refresh-Token": "",
	} {
		if got := strings.Join(saw.Header.Values(name), "|"); got != want {
			t.Errorf("the app saw %s: %q, want %q", name, got, want)
		}
	}
	if session := v.cookies["__Host-wavegate"]; v.scheme == "https" && (session == "" || strings.Contains(strings.Join(saw.Header.Values("Cookie"), "|"), session)) {
		t.Errorf("the session's cookie is %q, and the app saw the cookies %q", session, saw.Header.Values("Cookie"))
	}
	stranger := visit{stage: v.stage, entrance: v.entrance, browser: v.browser, cookies: map[string]string{}}
	a := stranger.ask(t, request{method: "GET", target: "/private", lines: []string{"Accept: */*", "Sec-Fetch-Mode: cors"}})
	v.expectRefusal(t, "script", a.want(t, "script", http.StatusUnauthorized))
	if challenge := strings.Join(a.header.Values("WWW-Authenticate"), "|"); challenge != `Bearer realm="wavegate"` {
		t.Errorf("a script is challenged with %q", challenge)
	}
	if v.scheme == "https" { // any page of the domain could have planted the plain name
		stranger.cookies["wavegate"] = v.cookies["__Host-wavegate"]
		v.expectRefusal(t, "plain name", stranger.ask(t, request{method: "GET", target: "/private"}).want(t, "plain name", http.StatusUnauthorized))
	}
}

// dial opens a WebSocket with the cookies that there are.
func (v *visit) dial(t *testing.T) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: v.browser.tls}
	t.Cleanup(transport.CloseIdleConnections)
	header := http.Header{"Origin": {v.at("app.example.com")}}
	for _, line := range v.cookieLines() {
		header.Set("Cookie", strings.TrimPrefix(line, "Cookie: "))
	}
	return websocket.Dial(t.Context(), v.at(v.addr)+"/live", &websocket.DialOptions{Host: "app.example.com", HTTPHeader: header, HTTPClient: &http.Client{Transport: transport}})
}

func (v *visit) opensSocket(t *testing.T) {
	c, res, err := v.dial(t)
	if err != nil {
		t.Fatalf("with session: %v, %v", res, err)
	}
	defer c.CloseNow()
	err = c.Write(t.Context(), websocket.MessageText, []byte("through"))
	if _, message, readErr := c.Read(t.Context()); err != nil || readErr != nil || string(message) != "through" {
		t.Errorf("%q, %v, %v", message, err, readErr)
	}
	stranger := visit{stage: v.stage, entrance: v.entrance, browser: v.browser}
	if c, res, err := stranger.dial(t); err == nil || res == nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without session: %v, %v", res, err)
		if err == nil {
			c.CloseNow()
		}
	}
	v.app.take()
}

func (v *visit) staysOnHost(t *testing.T) {
	for host, want := range map[string]string{
		"open.example.com":  v.idp.URL + "/authorize?", // a route is for it
		"other.example.com": v.at("app.example.com/_auth/init?"),
	} {
		a := v.ask(t, request{method: "GET", host: host, target: "/_auth/init?next=%2Fx%3Fa%3D1", lines: []string{"Accept: text/html", "Sec-Fetch-Mode: navigate"}})
		to, err := url.Parse(a.want(t, host, http.StatusFound).header.Get("Location"))
		if err != nil || !strings.HasPrefix(to.String(), want) {
			t.Errorf("%s leads to %q, %v; want %s", host, to, err, want)
			continue
		}
		q := to.Query()
		if back := q.Get("redirect_uri"); host == "open.example.com" && back != v.at("open.example.com/_auth/callback") {
			t.Errorf("%s: the provider is to send back to %q", host, back)
		}
		if host == "other.example.com" && q.Get("next") != "/x?a=1" {
			t.Errorf("%s: the target was lost: %s", host, to)
		}
	}
}

func (v *visit) signsOut(t *testing.T) {
	before := maps.Clone(v.cookies)
	var open *websocket.Conn
	if v.passes { // others keep the socket to themselves, and the docs say so
		c, res, err := v.dial(t)
		if err != nil {
			t.Fatalf("%v, %v", res, err)
		}
		defer c.CloseNow()
		open = c
	}
	link := v.navigate(t, "/_auth/logout", "Sec-Fetch-Site: cross-site").want(t, "link of another site", http.StatusOK)
	if !strings.Contains(link.body, `action="/_auth/logout"`) {
		t.Errorf("no question: %.500q", link.body)
	}
	a := v.ask(t, request{method: "POST", target: "/_auth/logout", lines: []string{
		"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin", "Origin: " + v.at("app.example.com"), "Content-Type: application/x-www-form-urlencoded",
	}, body: "x=1"}).want(t, "logout", http.StatusSeeOther)
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), v.idp.URL+"/end_session?") || to.Query().Get("id_token_hint") == "" {
		t.Errorf("logout leads to %q, %v", to, err)
	}
	if a.header.Get("Clear-Site-Data") != `"cache"` {
		t.Errorf("logout lost headers: %v", a.header)
	}
	for name := range v.cookies {
		if strings.HasSuffix(name, "wavegate") {
			t.Errorf("the browser keeps %s", name)
		}
	}
	if open != nil {
		if _, _, err := open.Read(t.Context()); err == nil {
			t.Error("the socket says something after the logout")
		}
	}
	v.app.take()
	v.cookies = before // somebody who kept the cookie
	v.expectRefusal(t, "kept cookie", v.ask(t, request{method: "GET", target: "/private"}).want(t, "kept cookie", http.StatusUnauthorized))
}
