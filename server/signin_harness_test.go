package server

import (
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wavegate/keychain"
	"wavegate/oidc/oidctest"
)

// A browser is a client that keeps cookies and asks for pages as a person's
// browser does. It follows no redirect by itself.
type browser struct {
	t      *testing.T
	base   string
	client *http.Client
}

func newBrowser(t *testing.T, base string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, base, &http.Client{
		Jar: jar, Transport: transport, Timeout: 2 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// send sends a request; a target that begins with a slash is on the server.
// Headers are name, value pairs.
func (b *browser) send(method, target string, form url.Values, headers ...string) answer {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.base + target
	}
	req, err := http.NewRequest(method, target, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml")
	req.Header.Set("User-Agent", "Mozilla/5.0 (test)")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res, string(body)}
}

// open asks for a page, and follows redirects until there is one.
func (b *browser) open(target string) answer {
	b.t.Helper()
	a := b.send("GET", target, nil)
	for range 20 {
		next, err := a.Location()
		if err != nil {
			return a
		}
		a = b.send("GET", next.String(), nil)
	}
	b.t.Fatalf("%s: redirects without end, last to %s", target, a.Header.Get("Location"))
	return a
}

// xhr asks as a script in a page does.
func (b *browser) xhr(target string) answer {
	b.t.Helper()
	return b.send("GET", target, nil, "Accept", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-origin")
}

// signIn fills in the form for local users, and returns the answer to it.
func (b *browser) signIn(name, password, next string) answer {
	b.t.Helper()
	return b.send("POST", "/_auth/login", url.Values{"username": {name}, "password": {password}, "next": {next}},
		"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate")
}

// sessionCookie returns the value of the session's cookie, or "".
func (b *browser) sessionCookie() string {
	u, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == "wavegate" || c.Name == "__Host-wavegate" {
			return c.Value
		}
	}
	return ""
}

// withUsers gives a server the local users ann and bob, whose passwords are
// their names and "-password".
func withUsers(t *testing.T) func(*Config) {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".wave-users")
	writeFile(t, path, keychainLine(t, "ann", "ann-password")+keychainLine(t, "bob", "bob-password"))
	return func(c *Config) {
		c.Users = keychain.Config{Kind: keychain.LocalUsers, Path: path, Required: true}
	}
}

// whoApp answers with the identity that it was handed.
func whoApp(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, r.Method+" "+r.URL.RequestURI()+" subject="+r.Header.Get("Wave-Subject-ID")+
		" username="+r.Header.Get("Wave-Username")+" method="+r.Header.Get("Wave-Auth-Method"))
}

// withProvider gives a server the provider of the flags. The server listens on an
// address of its own, so that the redirect URL is known before it starts.
func withProvider(t *testing.T, idp *oidctest.Provider) func(*Config) {
	t.Helper()
	return func(c *Config) {
		c.Listen = freeAddress(t)
		redirect := "http://" + c.Listen + "/_auth/callback"
		idp.AddClient(oidctest.Client{ID: "wavegate", Secret: "client-secret", RedirectURLs: []string{redirect}, BackchannelURI: "http://" + c.Listen + "/_auth/backchannel-logout"})
		c.SignIn.Issuer, c.SignIn.ClientID, c.SignIn.ClientSecret = idp.URL, "wavegate", "client-secret"
		c.SignIn.RedirectURL = redirect
	}
}

// freeAddress returns a loopback address on which nobody listens now.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
