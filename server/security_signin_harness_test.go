package server

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wavegate/oidc/oidctest"
	"wavegate/server/session"
)

// newIDP starts a provider that knows ann (subject 1001) and bob (1002).
func newIDP(t *testing.T, change ...func(*oidctest.Config)) *oidctest.Provider {
	t.Helper()
	cfg := oidctest.Config{Users: map[string]oidctest.Claims{
		"1001": {"preferred_username": "ann", "email": "ann@example.com", "email_verified": true, "groups": []string{"eng"}},
		"1002": {"preferred_username": "bob", "email": "bob@example.com", "email_verified": true, "groups": []string{"ops"}},
	}}
	for _, c := range change {
		c(&cfg)
	}
	return oidctest.New(t, cfg)
}

// withSecond adds a provider of the policy, "second", beside that of the flags,
// and appends more lines to the policy. It comes after withProvider.
func withSecond(t *testing.T, second *oidctest.Provider, lines ...string) func(*Config) {
	return func(c *Config) {
		second.AddClient(oidctest.Client{ID: "gate2", Secret: "second-secret", RedirectURLs: []string{c.SignIn.RedirectURL}, BackchannelURI: "http://" + c.Listen + "/_auth/backchannel-logout"})
		policy := []string{
			"providers:", "  - name: second", "    issuer: " + second.URL, "    client_id: gate2", "    client_secret: second-secret", "    redirect_url: " + c.SignIn.RedirectURL,
		}
		c.PolicyFile = writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), strings.Join(append(policy, lines...), "\n")+"\n")
	}
}

// withPolicyText gives a server a policy beside the upstreams of its flags.
func withPolicyText(t *testing.T, lines ...string) func(*Config) {
	return func(c *Config) {
		c.PolicyFile = writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), strings.Join(lines, "\n")+"\n")
	}
}

// trustAll makes a browser take any certificate.
func (b *browser) trustAll() *browser {
	b.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	return b
}

// begin goes to the provider as far as the callback's address, which it does not
// open. The subject is typed into the provider's form.
func (b *browser) begin(subject string, query url.Values) (callback string) {
	b.t.Helper()
	a := b.send("GET", "/_auth/init?"+query.Encode(), nil)
	if a.StatusCode != http.StatusFound {
		b.t.Fatalf("init: %d %s", a.StatusCode, a.body)
	}
	return b.consent(a.Header.Get("Location"), subject)
}

// consent signs somebody in at the provider and returns the callback's address.
func (b *browser) consent(authorize, subject string) (callback string) {
	b.t.Helper()
	a := b.send("POST", authorize, url.Values{"username": {subject}, "password": {"any"}})
	callback = a.Header.Get("Location")
	if a.StatusCode != http.StatusSeeOther || !strings.Contains(callback, "/_auth/callback?") {
		b.t.Fatalf("the provider answers %d to %q: %s", a.StatusCode, callback, a.body)
	}
	return callback
}

// signInAs signs in at the provider ("" is the first) and fails the test if that
// does not work.
func (b *browser) signInAs(subject, provider string) *browser {
	b.t.Helper()
	a := b.send("GET", b.begin(subject, url.Values{"provider": {provider}}), nil)
	if a.StatusCode != http.StatusSeeOther || b.sessionCookie() == "" {
		b.t.Fatalf("sign-in of %s: %d to %q: %s", subject, a.StatusCode, a.Header.Get("Location"), a.body)
	}
	return b
}

// signInLocal signs a local user in and fails the test if that does not work.
func (b *browser) signInLocal(name string) *browser {
	b.t.Helper()
	if a := b.signIn(name, name+"-password", "/"); a.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("sign-in of %s: %d %s", name, a.StatusCode, a.body)
	}
	return b
}

// cookies returns the Cookie header that the browser would send.
func (b *browser) cookies() string {
	u, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	var pairs []string
	for _, c := range b.client.Jar.Cookies(u) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// plant puts a cookie into the browser.
func (b *browser) plant(name, value string) {
	u, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// allSessions are the sessions in the store.
func (ts *testServer) allSessions() []session.Record {
	ts.t.Helper()
	list, err := ts.signIn.sessions.Sessions(ts.t.Context(), session.Filter{All: true}, "", 1000)
	if err != nil {
		ts.t.Fatal(err)
	}
	return list
}

// wantSessions fails the test unless the store holds n sessions.
func (ts *testServer) wantSessions(what string, n int) {
	ts.t.Helper()
	if got := len(ts.allSessions()); got != n {
		ts.t.Errorf("%s: %d sessions, want %d", what, got, n)
	}
}

// requestLine returns the log line of an answer.
func (ts *testServer) requestLine(a answer) map[string]any {
	ts.t.Helper()
	var found map[string]any
	eventually(ts.t, "the request's log line", func() bool {
		for _, line := range ts.lines("request") {
			if line["request_id"] == a.Header.Get("X-Request-Id") {
				found = line
			}
		}
		return found != nil
	})
	return found
}

// refusedPage fails the test unless an answer is a page of ours that refuses with
// the status, begins no session, and has its reason in the log: the code and, in
// the error, the words.
func (ts *testServer) refusedPage(what string, a answer, status int, code string, words ...string) {
	ts.t.Helper()
	if a.StatusCode != status || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		ts.t.Errorf("%s: %d %s, want a page with %d: %.300s", what, a.StatusCode, a.Header.Get("Content-Type"), status, a.body)
	}
	for _, c := range a.Cookies() {
		if strings.HasSuffix(c.Name, "wavegate") && c.MaxAge >= 0 {
			ts.t.Errorf("%s: it begins a session", what)
		}
	}
	line := ts.requestLine(a)
	if line["code"] != code {
		ts.t.Errorf("%s: code %v in the log, want %s", what, line["code"], code)
	}
	for _, word := range words {
		if cause, _ := line["error"].(string); !strings.Contains(cause, word) {
			ts.t.Errorf("%s: the log says %q, which lacks %q", what, cause, word)
		}
		if word != "" && strings.Contains(a.body, word) {
			ts.t.Errorf("%s: the page says what is for the operator: %q", what, word)
		}
	}
	if id := a.Header.Get("X-Request-Id"); !strings.Contains(a.body, id) {
		ts.t.Errorf("%s: the page does not name the request %s", what, id)
	}
}

// object decodes a JSON answer.
func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%d %q: %v", a.StatusCode, a.body, err)
	}
	return v
}

// api asks an endpoint for programs with the browser's cookie.
func (b *browser) api(method, path, body string, headers ...string) answer {
	b.t.Helper()
	req, err := http.NewRequest(method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res, string(data)}
}

// token gets a session token.
func (b *browser) token() string {
	b.t.Helper()
	raw, _ := b.api("POST", "/_auth/token", "").want(b.t, 200, "").object(b.t)["access_token"].(string)
	if raw == "" {
		b.t.Fatal("no token")
	}
	return raw
}

// sortedKeys are the keys of a table of cases.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// attemptPair is the cookie of a sealed login attempt, as a browser sends it.
func attemptPair(state, sealed string) string {
	h := http.Header{}
	session.SetAttempt(h, nil, false, state, sealed, session.KeepAttempt)
	pair, _, _ := strings.Cut(h.Get("Set-Cookie"), ";")
	return pair
}
