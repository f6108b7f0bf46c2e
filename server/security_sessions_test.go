package server

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"wavegate/oidc/oidctest"
	"wavegate/server/session"
	"wavegate/tlsconf"
)

func TestCookiesToTheLetter(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	for scheme, c := range map[string]struct {
		change               func(*Config)
		begin, take, attempt string // regular expressions of whole Set-Cookie lines
		cleared              []string
	}{
		"http": {
			func(*Config) {},
			`^wavegate=[A-Z2-7]{26}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax$`, "wavegate",
			`^wavegate-login-[0-9a-f]{12}=[A-Za-z0-9_-]+; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax$`,
			[]string{"wavegate=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"},
		},
		"https": {
			func(c *Config) { c.TLS = tlsconf.Config{SelfSigned: true} },
			`^__Host-wavegate=[A-Z2-7]{26}; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax$`, "__Host-wavegate",
			`^__Host-wavegate-login-[0-9a-f]{12}=[A-Za-z0-9_-]+; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=Lax$`,
			[]string{"__Host-wavegate=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax", "wavegate=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		},
	} {
		ts := guarded(t, whoApp, withUsers(t), withProvider(t, idp), c.change, func(c *Config) {
			if c.TLS.Enabled() {
				c.SignIn.RedirectURL = strings.Replace(c.SignIn.RedirectURL, "http:", "https:", 1)
				idp.AddClient(oidctest.Client{ID: "wavegate", Secret: "client-secret", RedirectURLs: []string{c.SignIn.RedirectURL}})
			}
		})
		b := newBrowser(t, ts.URL).trustAll()
		idp.Login("1001")
		lines := func(a answer) []string { return a.Header.Values("Set-Cookie") }
		matches := func(what, line, pattern string) {
			if !regexp.MustCompile(pattern).MatchString(line) {
				t.Errorf("%s, %s: %q, want %s", scheme, what, line, pattern)
			}
		}
		begun := b.send("GET", "/_auth/init", nil)
		if got := lines(begun); len(got) != 1 {
			t.Errorf("%s: a login sets %q", scheme, got)
		} else {
			matches("a login begins", got[0], c.attempt)
		}
		callback := b.send("GET", begun.Header.Get("Location"), nil).Header.Get("Location")
		for _, line := range lines(b.send("GET", callback, nil)) {
			if strings.HasPrefix(line, c.take+"=") {
				matches("the callback", line, c.begin)
			} else {
				matches("the callback", line, strings.Replace(c.attempt, "=86400;", "=600;", 1)) // used up: kept for a while
			}
		}
		if got := lines(b.signIn("ann", "ann-password", "/")); len(got) != 1 {
			t.Errorf("%s: a password sets %q", scheme, got)
		} else {
			matches("a password", got[0], c.begin)
		}
		if got := b.open("/x"); !strings.Contains(got.body, "subject=local|ann") {
			t.Errorf("%s: the cookie does not work: %q", scheme, got.body)
		}
		out := b.send("POST", "/_auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin")
		if got := lines(out); strings.Join(got, "\n") != strings.Join(c.cleared, "\n") {
			t.Errorf("%s: the logout sets\n%q, want\n%q", scheme, got, c.cleared)
		}
	}
}

func TestPlainNameAndDoubledCookiesOpenNothing(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t), func(c *Config) {
		c.TLS = tlsconf.Config{SelfSigned: true}
	})
	b := newBrowser(t, ts.URL).trustAll().signInLocal("ann")
	value := b.sessionCookie()
	other := newBrowser(t, ts.URL).trustAll().signInLocal("bob").sessionCookie()
	for line, status := range map[string]int{
		"__Host-wavegate=" + value:                                       200,
		"x=y; __Host-wavegate=" + value + "; z=1":                        200,
		"wavegate=" + value:                                              401, // any page of the domain could plant it
		"__host-wavegate=" + value:                                       401,
		"__Host-wavegate=" + other + "; __Host-wavegate=" + value:        401,
		"__Host-wavegate=" + value + "; __Host-wavegate=" + value:        401,
		"__Host-wavegate=\"" + value + "\"":                              401,
		"__Host-wavegate=" + strings.ToLower(value):                      401,
		"__Host-wavegate=" + value[:25]:                                  401,
		"__Host-wavegate=" + value + "A":                                 401,
		"__Host-wavegate=" + value + "%00":                               401,
		"__Host-wavegate=":                                               401,
		"__Host-wavegate=" + ts.allSessions()[0].ID:                      401, // the public name
		"__Host-wavegate-login-000000000000=" + value:                    401,
		"__Host-wavegate =" + value:                                      401,
		"__Host-wavegate=" + value[:13] + " " + value[13:]:               401,
		"__Host-wavegate=A; __Host-wavegate=" + value:                    401,
		"__Host-wavegate=" + strings.Repeat("A", 26):                     401,
		"__Host-wavegate=" + value[:25] + string(rune(value[25]^1)):      401,
		"a=__Host-wavegate=" + value:                                     401,
		"__Host-wavegate=" + value + ", __Host-wavegate=" + other:        401,
		"wavegate=" + other + "; __Host-wavegate=" + value:               200,
		"__Host-wavegate=" + value + "; wavegate=" + other + "; a=\"b\"": 200,
	} {
		anonymous := newBrowser(t, ts.URL).trustAll()
		if a := anonymous.api("GET", "/x", "", "Cookie", line); a.StatusCode != status || status == 200 && !strings.Contains(a.body, "ann") {
			t.Errorf("%q: %d %s, want %d", line, a.StatusCode, a.body, status)
		}
	}
}

func TestLogoutEndsTheSessionItsSocketsAndStreamsAndNoOther(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, socketApp, withUsers(t), withProvider(t, idp))
	for how, signIn := range map[string]func(*browser) *browser{
		"password": func(b *browser) *browser { return b.signInLocal("ann") },
		"provider": func(b *browser) *browser { return b.signInAs("1001", "") },
	} {
		b, elsewhere := signIn(newBrowser(t, ts.URL)), signIn(newBrowser(t, ts.URL))
		socket, stream, other := b.dial("/ws"), b.stream("/events"), elsewhere.dial("/ws")
		cookie := "wavegate=" + b.sessionCookie()
		out := b.send("POST", "/_auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin")
		if out.StatusCode != 303 || out.Header.Get("Clear-Site-Data") != `"cache"` || b.sessionCookie() != "" {
			t.Errorf("%s: %d, Clear-Site-Data %q, cookie %q", how, out.StatusCode, out.Header.Get("Clear-Site-Data"), b.sessionCookie())
		}
		if how == "provider" && !strings.HasPrefix(out.Header.Get("Location"), idp.URL+"/end_session?") {
			t.Errorf("the provider does not hear of it: %q", out.Header.Get("Location"))
		}
		socket.ended(how + ": signed out")
		stream.ended(how + ": signed out")
		for _, path := range []string{"/x", "/_auth/userinfo", "/v1/auth/sessions"} {
			ts.do("GET", path, "", "Cookie", cookie).want(t, 401, "credential_required")
		}
		other.stays(how + ": one browser signed out")
		elsewhere.xhr("/x").want(t, 200, "")
	}
	ts.wantSessions("the other browsers'", 2)
}

func TestLogoutFromAnotherSiteAsksAndEndsNothing(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t))
	b := newBrowser(t, ts.URL).signInLocal("ann")
	for what, headers := range map[string][]string{
		"a link of another site":    {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		"a link of a sister site":   {"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		"a picture":                 {"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"},
		"a frame":                   {"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		"a look ahead":              {"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Purpose", "prefetch;prerender"},
		"an older look ahead":       {"Purpose", "prefetch"},
		"a link on plain http":      {"Referer", "http://evil.example/page"},
		"a Referer that is no URL":  {"Referer", "http://[bad"},
		"a host that begins alike":  {"Referer", ts.URL + ".evil.example/"},
		"our host as the user part": {"Referer", strings.Replace(ts.URL, "http://", "http://gate@evil.example:", 1)},
	} {
		a := b.send("GET", "/_auth/logout", nil, headers...)
		if a.StatusCode != 200 || len(a.Header["Set-Cookie"]) > 0 || !strings.Contains(a.body, `action="/_auth/logout"`) || !strings.Contains(a.body, `method="post"`) {
			t.Errorf("%s: %d, cookies %q, want a page that asks", what, a.StatusCode, a.Header["Set-Cookie"])
		}
	}
	for what, headers := range map[string][]string{
		"cross-site": {"Sec-Fetch-Site", "cross-site"}, "same-site": {"Sec-Fetch-Site", "same-site"},
		"Origin": {"Origin", "https://evil.example"}, "no origin": {"Origin", "null"},
	} {
		a := b.send("POST", "/_auth/logout", url.Values{}, headers...)
		if a.StatusCode != 403 || len(a.Header["Set-Cookie"]) > 0 {
			t.Errorf("POST, %s: %d, cookies %q", what, a.StatusCode, a.Header["Set-Cookie"])
		}
	}
	b.xhr("/x").want(t, 200, "")
	if a := b.send("GET", "/_auth/logout", nil, "Referer", ts.URL+"/_portal/sessions"); a.StatusCode != 303 || b.sessionCookie() != "" {
		t.Errorf("a link of our own page: %d", a.StatusCode)
	}
}

// backchannel posts a logout token.
func backchannel(ts *testServer, token string) answer {
	return ts.do("POST", "/_auth/backchannel-logout", url.Values{"logout_token": {token}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func TestBackChannelLogoutChecksEverything(t *testing.T) {
	t.Parallel()
	idp, second := newIDP(t), newIDP(t)
	ts := guarded(t, socketApp, withUsers(t), withProvider(t, idp), withSecond(t, second))
	ann, other, theirs := newBrowser(t, ts.URL).signInAs("1001", ""), newBrowser(t, ts.URL).signInAs("1001", ""), newBrowser(t, ts.URL).signInAs("1001", "second")
	local := newBrowser(t, ts.URL).signInLocal("ann")
	sid := ts.allSessions()[3].SID // the oldest is ann's
	now := time.Now().Unix()
	set := func(name string, value any) func(h, c oidctest.Claims) {
		return func(_, c oidctest.Claims) {
			c[name] = value
			if value == nil {
				delete(c, name)
			}
		}
	}
	head := func(name string, value any) func(h, c oidctest.Claims) {
		return func(h, _ oidctest.Claims) { h[name] = value }
	}
	bad := map[string]string{"nothing": "", "text": "x", "dots": strings.Repeat(".", 60<<10), "an ID token": idTokenOf(t, ts, ann)}
	for what, alter := range map[string]func(h, c oidctest.Claims){
		"no iss": set("iss", nil), "another iss": set("iss", "https://evil.example"), "the other provider's iss": set("iss", second.URL),
		"no aud": set("aud", nil), "another aud": set("aud", "gate2"), "no iat": set("iat", nil), "an old iat": set("iat", now-3600), "a coming iat": set("iat", now+3600),
		"no exp": set("exp", nil), "an old exp": set("exp", now-600), "no jti": set("jti", nil), "no events": set("events", nil), "another event": set("events", map[string]any{"https://evil.example/event": map[string]any{}}),
		"an event that is no object": set("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": "x"}), "a nonce": set("nonce", "x"),
		"neither sub nor sid": func(_, c oidctest.Claims) { delete(c, "sub"); delete(c, "sid") }, "type at+jwt": head("typ", "at+jwt"), "an unknown kid": head("kid", "none"),
	} {
		bad[what] = idp.LogoutToken("wavegate", "1001", sid, alter)
	}
	good := idp.LogoutToken("wavegate", "1001", sid, nil)
	bad["cut"], bad["changed"] = good[:len(good)-4], good[:len(good)-8]+"AAAAAAAA"
	for _, alg := range []string{"none", "HS256"} {
		idp.SignWith(alg)
		bad["alg "+alg] = idp.LogoutToken("wavegate", "1001", sid, nil)
	}
	idp.SignWith("ES256")
	bad["another client's"] = second.LogoutToken("wavegate", "1001", sid, nil)
	for _, what := range sortedKeys(bad) {
		a := backchannel(ts, bad[what])
		if a.want(t, 400, "invalid_request"); a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.Header.Get("Cache-Control"))
		}
	}
	ts.wantSessions("after bad tokens", 4)

	socket, kept := ann.dial("/ws"), other.dial("/ws")
	backchannel(ts, good).want(t, 200, "") // by sid: that one session
	socket.ended("the provider signed ann out")
	ann.xhr("/x").want(t, 401, "credential_required")
	other.xhr("/x").want(t, 200, "")
	kept.stays("one session was ended by its sid")
	backchannel(ts, good).want(t, 400, "invalid_request") // a second time
	backchannel(ts, idp.LogoutToken("wavegate", "1001", "", nil)).want(t, 200, "")
	kept.ended("the provider signed the account out")
	other.xhr("/x").want(t, 401, "credential_required")
	theirs.xhr("/x").want(t, 200, "") // the same subject elsewhere is somebody else
	local.xhr("/x").want(t, 200, "")
	if a := ts.do("GET", "/_auth/backchannel-logout?logout_token="+good, ""); a.StatusCode != 405 {
		t.Errorf("GET: %d", a.StatusCode)
	}
	if a := ts.do("POST", "/_auth/backchannel-logout?logout_token="+second.LogoutToken("gate2", "1001", "", nil), "", "Content-Type", "application/x-www-form-urlencoded"); a.StatusCode != 400 {
		t.Errorf("a token in the address: %d", a.StatusCode)
	}
	theirs.xhr("/x").want(t, 200, "")
}

// idTokenOf returns the ID token of the session of a browser.
func idTokenOf(t *testing.T, ts *testServer, b *browser) string {
	t.Helper()
	return tokensOfSession(t, ts, b).ID
}

func tokensOfSession(t *testing.T, ts *testServer, b *browser) session.Tokens {
	t.Helper()
	s, err := ts.signIn.sessions.Peek(t.Context(), b.sessionCookie())
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := ts.signIn.sessions.Tokens(s)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestScriptsGet401AndNeitherRedirectNorPrompt(t *testing.T) {
	t.Parallel()
	ts := guarded(t, whoApp, withUsers(t), func(c *Config) { c.TrustedProxies = prefixes("127.0.0.0/8") })
	b := newBrowser(t, ts.URL).signInLocal("ann")
	ended := "wavegate=" + b.sessionCookie()
	b.send("POST", "/_auth/logout", url.Values{})
	for what, headers := range map[string][]string{
		"fetch":           {"Accept", "*/*", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"},
		"fetch for html":  {"Accept", "text/html", "Sec-Fetch-Mode", "same-origin", "Sec-Fetch-Dest", "empty"},
		"XMLHttpRequest":  {"Accept", "application/json", "X-Requested-With", "XMLHttpRequest"},
		"a picture":       {"Accept", "image/avif,*/*", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"},
		"a stream":        {"Accept", "text/event-stream", "Sec-Fetch-Mode", "cors"},
		"a WebSocket":     {"Sec-Fetch-Mode", "websocket", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
		"an ended cookie": {"Accept", "*/*", "Sec-Fetch-Mode", "cors", "Cookie", ended},
	} {
		for _, path := range []string{"/x", "/_auth/userinfo", "/v1/auth/sessions"} {
			for _, method := range []string{"GET", "POST", "HEAD"} {
				if path != "/x" && method == "POST" {
					continue
				}
				a := ts.do(method, path, "", headers...)
				if a.StatusCode != 401 || a.Header.Get("Location") != "" || a.Header.Get("WWW-Authenticate") != `Bearer realm="wavegate"` {
					t.Errorf("%s, %s %s: %d, Location %q, WWW-Authenticate %q", what, method, path, a.StatusCode, a.Header.Get("Location"), a.Header.Values("WWW-Authenticate"))
				}
				if method != "HEAD" {
					a.want(t, 401, "credential_required")
				}
			}
		}
		forwarded := append([]string{"X-Forwarded-For", "192.0.2.1", "X-Forwarded-Proto", "http", "X-Forwarded-Host", "app.test", "X-Forwarded-Uri", "/x", "X-Forwarded-Method", "GET"}, headers...)
		if a := ts.do("GET", "/_auth/forward", "", forwarded...); a.StatusCode != 401 || a.Header.Get("Location") != "" {
			t.Errorf("%s, forward: %d to %q", what, a.StatusCode, a.Header.Get("Location"))
		}
	}
	// A form that is sent after the end of a session: a page that says so. It is
	// not led to the login, which could not bring what was typed back.
	a := ts.do("POST", "/x", "typed=much", "Cookie", ended, "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "same-origin", "Content-Type", "application/x-www-form-urlencoded")
	if a.StatusCode != 401 || a.Header.Get("Location") != "" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || !strings.Contains(a.body, "/_auth/login") {
		t.Errorf("a form: %d to %q: %.300s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	if a := ts.do("POST", "/x", "{}", "Cookie", ended, "Content-Type", "application/json"); a.StatusCode != 401 {
		t.Errorf("JSON: %d", a.StatusCode)
	}
	if a := ts.do("GET", "/_auth/verify", "", "Accept", "text/html", "X-Forwarded-For", "192.0.2.1", "X-Original-Method", "GET", "X-Original-URL", "http://app.test/x"); a.StatusCode != 401 || a.Header.Get("Location") != "" || a.body != "" {
		t.Errorf("verify: %d to %q %q", a.StatusCode, a.Header.Get("Location"), a.body)
	}
}
