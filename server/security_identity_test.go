package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"wavegate/oidc/oidctest"
)

func TestAccountsAreLinkedByIssuerAndSubjectNeverByEMail(t *testing.T) {
	t.Parallel()
	first, second := newIDP(t), newIDP(t) // the same subjects and addresses at both
	second.SetUser("9", oidctest.Claims{"preferred_username": "ann", "email": "ann@example.com", "email_verified": false})
	second.SetUser("second|1001", oidctest.Claims{"preferred_username": "mallory"})
	first.SetUser("second|1001", oidctest.Claims{"preferred_username": "mallory"})
	first.SetUser("local|ann", oidctest.Claims{"preferred_username": "mallory"})
	ts := guarded(t, whoApp, withUsers(t), withProvider(t, first), withSecond(t, second,
		"roles:", "  dev: {scopes: [], members: [ann@example.com]}", "  theirs: {scopes: [], members: [\"second|1001\"]}", "  locals: {scopes: [], members: [\"local|ann\"]}"))
	type person struct {
		Subject string   `json:"sub"`
		Email   string   `json:"email"`
		Roles   []string `json:"roles"`
	}
	for _, c := range []struct {
		provider, subject string
		want              person
	}{
		{"main", "1001", person{"1001", "ann@example.com", []string{"dev"}}},
		{"second", "1001", person{"second|1001", "ann@example.com", []string{"dev", "theirs"}}},
		{"second", "9", person{"second|9", "", nil}}, // the address is not verified
		{"second", "second|1001", person{"second|second|1001", "", nil}},
		{"main", "second|1001", person{"main|second|1001", "", nil}}, // nobody chooses to be somebody else
		{"main", "local|ann", person{"main|local|ann", "", nil}},
	} {
		b := newBrowser(t, ts.URL).signInAs(c.subject, c.provider)
		var got person
		if err := json.Unmarshal([]byte(b.api("GET", "/_auth/userinfo", "").body), &got); err != nil {
			t.Fatal(err)
		}
		if got.Subject != c.want.Subject || got.Email != c.want.Email || !slices.Equal(got.Roles, c.want.Roles) {
			t.Errorf("%s at %s: %+v, want %+v", c.subject, c.provider, got, c.want)
		}
	}
	users := map[string]bool{}
	for _, s := range ts.allSessions() {
		users[s.UserID] = true
	}
	if len(users) != 6 {
		t.Errorf("%d users, want 6", len(users))
	}
	again := newBrowser(t, ts.URL).signInAs("1001", "main")
	if id := again.api("GET", "/v1/auth/sessions", "").object(t)["sessions"].([]any)[0].(map[string]any)["user_id"]; !users[id.(string)] {
		t.Errorf("the same account became another user: %v", id)
	}
}

func TestUnverifiedAndMalformedEMailsMatchNoRule(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withProvider(t, idp), func(c *Config) {
		c.SignIn.EmailDomains = []string{"corp.example"}
		c.Admins = []string{"a@corp.example"}
		withPolicyText(t, "roles:", "  dev: {scopes: [], members: [a@corp.example]}")(c)
	})
	try := func(claims oidctest.Claims) (answer, *browser) {
		idp.SetUser("1", claims)
		b := newBrowser(t, ts.URL)
		return b.send("GET", b.begin("1", nil), nil), b
	}
	good, b := try(oidctest.Claims{"email": "A@Corp.Example", "email_verified": true})
	if good.StatusCode != 303 || b.api("GET", "/v1/auth/users", "").StatusCode != 200 {
		t.Fatalf("the right address: %d %s", good.StatusCode, good.body)
	}
	for _, email := range []any{
		"a@evil@corp.example", "evil.example@a@corp.example", "a@corp.example@", "@corp.example", "corp.example", "a@", "", " a@corp.example", "a@corp.example ", "a@corp.example\n", "a\x00@corp.example",
		"a@corp.example.evil.example", "a@evilcorp.example", "a@evil.example,a@corp.example", "<a@corp.example>", "\"a@evil\"@corp.example", "a@corp.example.", "a@sub.corp.example", "a@corp\u3002example", "a@corp.examp\u0142e",
		[]string{"a@corp.example"},
		map[string]any{"x": "a@corp.example"},
		7, nil,
	} {
		a, b := try(oidctest.Claims{"email": email, "email_verified": true})
		if a.StatusCode != 403 || b.sessionCookie() != "" {
			t.Errorf("%q: %d", email, a.StatusCode)
		}
	}
	for _, verified := range []any{false, nil, "false", "", "yes", 1, 0, []bool{true}, "TRUE "} {
		a, b := try(oidctest.Claims{"email": "a@corp.example", "email_verified": verified})
		if a.StatusCode != 403 || b.sessionCookie() != "" {
			t.Errorf("email_verified %v: %d", verified, a.StatusCode)
		}
	}
	ts.wantSessions("after all of them", 1)
}

// shortTokens makes access tokens end so soon that the provider is asked again
// after a second.
func shortTokens(c *oidctest.Config) { c.TokenLife = 11 * time.Second }

func TestGroupsAreReadAgainAndARemovedUserIsOut(t *testing.T) {
	t.Parallel()
	idp := newIDP(t, shortTokens)
	ts := guarded(t, socketApp, withProvider(t, idp), func(c *Config) {
		withPolicy(t, "upstreams:\n  - {route: /eng, url: \""+c.Upstreams[0]+"\", require: {groups: [eng]}}\n  - {route: /, url: \""+c.Upstreams[0]+"\"}\n")(c)
	})
	ann, bob := newBrowser(t, ts.URL).signInAs("1001", ""), newBrowser(t, ts.URL).signInAs("1002", "")
	ann.xhr("/eng/x").want(t, 200, "")
	bob.xhr("/eng/x").want(t, 403, "insufficient_role")
	socket := ann.dial("/ws")
	idp.SetUser("1001", oidctest.Claims{"preferred_username": "ann", "groups": []string{"other"}})
	idp.SetUser("1002", oidctest.Claims{"preferred_username": "bob", "groups": []string{"eng"}})
	eventually(t, "ann loses the group", func() bool { return ann.xhr("/eng/x").StatusCode == 403 })
	eventually(t, "bob gets it", func() bool { return bob.xhr("/eng/x").StatusCode == 200 })
	ann.xhr("/x").want(t, 200, "")
	idp.RemoveUser("1001")
	eventually(t, "ann is out", func() bool { return ann.xhr("/x").StatusCode == 401 })
	socket.ended("the user was removed")
	idp.Revoke("1002")
	eventually(t, "bob is out", func() bool { return bob.xhr("/x").StatusCode == 401 })
	ts.wantSessions("at the end", 0)
}

func TestParallelRenewalsSpendOneRefreshToken(t *testing.T) {
	t.Parallel()
	idp := newIDP(t, shortTokens) // it ends the sign-in when a refresh token comes twice
	ts := guarded(t, whoApp, withProvider(t, idp))
	b := newBrowser(t, ts.URL).signInAs("1001", "")
	cookie := "wavegate=" + b.sessionCookie()
	for range 2 {
		eventually(t, "the renewal is due", func() bool {
			list := ts.allSessions()
			return len(list) == 0 || time.Now().After(list[0].RenewAt) // none: the requests will say so
		})
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() { ts.do("GET", "/x", "", "Cookie", cookie).want(t, 200, "") })
		}
		wg.Wait()
	}
	spent := map[string]bool{}
	for _, body := range idp.TokenRequests() {
		form, err := url.ParseQuery(body)
		if err != nil {
			t.Fatal(err)
		}
		if token := form.Get("refresh_token"); form.Get("grant_type") == "refresh_token" {
			if spent[token] {
				t.Error("a refresh token was sent twice")
			}
			spent[token] = true
		}
	}
	if len(spent) < 2 || len(spent) > 20 {
		t.Errorf("%d refresh tokens were spent for 80 requests in two rounds", len(spent))
	}
	ts.wantSessions("after the race", 1)
}

func TestOnlyTheProvidersNoEndsASession(t *testing.T) {
	t.Parallel()
	says := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	var wg sync.WaitGroup
	for what, c := range map[string]struct {
		answer http.HandlerFunc
		status int
	}{
		"the connection breaks":  {oidctest.Cut, 200},
		"500":                    {oidctest.Status(500), 200},
		"429":                    {oidctest.Status(429), 200},
		"invalid_client":         {says(401, `{"error":"invalid_client"}`), 200},
		"a page":                 {says(200, `<p>sign in`), 200},
		"an answer without end":  {oidctest.Huge, 200},
		"a redirect":             {oidctest.Redirect("/elsewhere"), 200},
		"invalid_grant":          {says(400, `{"error":"invalid_grant"}`), 401},
		"400 without an error":   {says(400, `{}`), 200},
		"server_error":           {says(400, `{"error":"server_error"}`), 200},
		"a token for the client": {says(200, `{"access_token":"x","token_type":"Bearer","id_token":"a.b.c"}`), 200},
	} {
		idp := newIDP(t, shortTokens)
		ts := guarded(t, whoApp, withProvider(t, idp))
		wg.Go(func() {
			b := newBrowser(t, ts.URL).signInAs("1001", "")
			idp.Break("/token", c.answer)
			n := idp.Count("/token")
			var a answer
			eventually(t, what+": the provider is asked", func() bool { a = b.xhr("/x"); return idp.Count("/token") > n })
			if a = b.xhr("/x"); a.StatusCode != c.status {
				t.Errorf("%s: %d, want %d", what, a.StatusCode, c.status)
			}
			if n = idp.Count("/token") - n; n > 2 {
				t.Errorf("%s: the provider was asked %d times for three requests", what, n)
			}
			if ts.log.String() == "" || c.status == 200 && len(ts.lines("session could not be renewed, it goes on")) != 1 {
				t.Errorf("%s: the log does not say that the session goes on", what)
			}
		})
	}
	wg.Wait()
}

func TestAHundredParallelLoginsOfTwoUsersAreNotMixedUp(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) {
		claims := oidctest.ReadClaims(r.Header.Get("Wave-Assertion"))
		fmt.Fprintf(w, "%s %s %s %v %s", r.Header.Get("Wave-Subject-ID"), r.Header.Get("Wave-Username"), r.Header.Get("Wave-Email"), claims["sub"], r.Header.Get("Wave-Client-ID"))
	}, withProvider(t, idp), withUsers(t))
	var wg sync.WaitGroup
	var mu sync.Mutex
	cookies, clients := map[string]bool{}, map[string]bool{}
	for i := range 100 {
		wg.Go(func() {
			b := newBrowser(t, ts.URL)
			subject, name := "1001", "ann"
			if i%2 == 1 {
				subject, name = "1002", "bob"
			}
			if a := b.send("GET", b.begin(subject, nil), nil); a.StatusCode != 303 {
				t.Errorf("%d: %d %.200s", i, a.StatusCode, a.body)
				return
			}
			want := subject + " " + name + " " + name + "@example.com " + subject + " "
			for range 3 {
				a := b.xhr("/x")
				client, ok := strings.CutPrefix(a.body, want)
				if !ok {
					t.Errorf("%d: the app saw %q, want %q", i, a.body, want)
				}
				mu.Lock()
				cookies[b.sessionCookie()], clients[client] = true, true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(cookies) != 100 || len(clients) != 100 {
		t.Errorf("%d cookies and %d client IDs for 100 browsers", len(cookies), len(clients))
	}
	ts.wantSessions("at the end", 100)
}

// socketApp is an app with a WebSocket at /ws that says nothing, a stream of
// events at /events that stays open, and an answer everywhere else.
func socketApp(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/ws"):
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		_, _, _ = c.Read(r.Context())
	case strings.HasSuffix(r.URL.Path, "/events"):
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: hello\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		whoApp(w, r)
	}
}

// An open is a connection that a browser holds: a socket, or a stream.
type open struct {
	t    *testing.T
	done chan struct{} // closed when it has ended
}

// ended fails the test unless the connection ends in time.
func (o open) ended(why string) {
	o.t.Helper()
	select {
	case <-o.done:
	case <-time.After(20 * time.Second):
		o.t.Errorf("%s, and the connection stays open", why)
	}
}

// stays fails the test if the connection has ended.
func (o open) stays(why string) {
	o.t.Helper()
	select {
	case <-o.done:
		o.t.Errorf("%s, and another connection ended", why)
	default:
	}
}

// dial opens a WebSocket with the browser's cookies.
func (b *browser) dial(path string) open {
	b.t.Helper()
	ws, _, err := websocket.Dial(b.t.Context(), b.base+path, &websocket.DialOptions{HTTPClient: b.client})
	if err != nil {
		b.t.Fatal(err)
	}
	o := open{b.t, make(chan struct{})}
	go func() {
		defer close(o.done)
		defer ws.CloseNow()
		_, _, _ = ws.Read(b.t.Context())
	}()
	b.t.Cleanup(func() { ws.CloseNow(); <-o.done })
	return o
}

// stream opens a stream of events with the browser's cookies.
func (b *browser) stream(path string) open {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", b.base+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	client := *b.client
	client.Timeout = 0
	res, err := client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	if res.StatusCode != 200 {
		b.t.Fatalf("stream: %d", res.StatusCode)
	}
	o := open{b.t, make(chan struct{})}
	go func() {
		defer close(o.done)
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
	}()
	b.t.Cleanup(func() { cancel(); <-o.done })
	return o
}
