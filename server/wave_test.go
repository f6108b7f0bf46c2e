package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/oidc/oidctest"
)

// What waved says to apps and answers them, in its own words: see docs/wave.md.

// A wave is a server with an app that registered itself, as Wave apps do.
type wave struct {
	*testServer
	t   *testing.T
	cfg Config
	idp *oidctest.Provider
	app *rawApp
}

// newWave starts a server with the access keys owner and other, and registers
// the app at /demo with the first.
func newWave(t *testing.T, idp *oidctest.Provider, change ...func(*Config)) *wave {
	t.Helper()
	cfg := testConfig(t)
	for _, c := range append([]func(*Config){withKeys(t, "owner:secret", "other:secret"), withProvider(t, idp)}, change...) {
		c(&cfg)
	}
	w := &wave{t: t, cfg: cfg, idp: idp, app: newRawApp(t)}
	w.testServer = startServer(t, cfg)
	w.register()
	return w
}

func (w *wave) register() {
	w.t.Helper()
	body := fmt.Sprintf(`{"register_app":{"mode":"unicast","route":"/demo","address":%q,"key_id":"app-id","key_secret":"app-secret"}}`, w.app.url)
	w.do("POST", "/", body, "Authorization", basic("owner", "secret"), "Content-Type", "application/json").want(w.t, 200, "")
}

// restart ends the server and starts another with the same settings.
func (w *wave) restart() {
	w.t.Helper()
	must(w.t, w.stop())
	w.testServer = startServer(w.t, w.cfg)
}

// said is the one request that an app saw.
func said(t *testing.T, app *rawApp) string {
	t.Helper()
	seen := app.take()
	if len(seen) != 1 {
		t.Fatalf("%d requests at the app, want 1: %q", len(seen), seen)
	}
	return seen[0]
}

// line returns the value of a header in literal bytes, whose name is spelt as
// given and which is there once; "" where it is not there in any spelling.
func line(t *testing.T, request, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?im)^(`+regexp.QuoteMeta(name)+`):[ \t]*([^\r]*)\r$`).FindAllStringSubmatch(request, -1)
	if len(found) == 0 {
		return ""
	}
	if len(found) > 1 || found[0][1] != name {
		t.Errorf("%s is said %d times, first as %q", name, len(found), found[0][1])
	}
	return found[0][2]
}

// refresh asks for fresh tokens as h2o_wave's ensure_fresh_token does.
func (w *wave) refresh(id, handle string) *answer {
	w.t.Helper()
	a := wire(w.t, w.Addr(), "GET /_auth/refresh HTTP/1.1\r\nHost: gate\r\nAuthorization: "+basic(id, "secret")+"\r\nWave-Session-ID: "+handle+"\r\nConnection: close\r\n\r\n")
	if a == nil {
		w.t.Fatal("no answer")
	}
	return a
}

// wantTokens fails the test unless an answer of refresh holds these tokens; want
// is the access and the refresh token, no want no tokens and 404.
func (w *wave) wantTokens(what string, a *answer, want ...string) {
	w.t.Helper()
	status := http.StatusOK
	if len(want) == 0 {
		status, want = http.StatusNotFound, []string{"", ""}
	}
	got := []string{a.Header.Get("Wave-Access-Token"), a.Header.Get("Wave-Refresh-Token")}
	if a.StatusCode != status || !cmp.Equal(got, want) {
		w.t.Errorf("%s: %d and %q, want %d and %q", what, a.StatusCode, got, status, want)
	}
}

func TestRegisteredAppIsToldInTheWordsOfWaved(t *testing.T) {
	t.Parallel()
	routed, asked := newRawApp(t), newRawApp(t)
	w := newWave(t, newIDP(t), withPolicyText(t, "upstreams:",
		"  - {route: /routed, url: \""+routed.url+"\"}", "  - {route: /asked, url: \""+asked.url+"\", tokens: true}"))
	b := newBrowser(t, w.URL).signInAs("1001", "")
	tokens := tokensOfSession(t, w.testServer, b)
	forged := []string{"Wave-Client-ID", "Wave-Subject-ID", "Wave-Username", "Wave-Access-Token", "wave-refresh-token", "WAVE-SESSION-ID", "Wave_Access_Token"}
	var lines []string
	for _, name := range forged {
		lines = append(lines, name+": forged")
	}
	ask := func(target, cookies string) string {
		t.Helper()
		a := wire(t, w.Addr(), plainGet(target, "app.test", append(lines, "Cookie: theirs=1; "+cookies)...))
		if a == nil || a.StatusCode != 200 {
			t.Fatalf("%s: %v", target, a)
		}
		for _, app := range []*rawApp{w.app, routed, asked} {
			if seen := app.take(); len(seen) == 1 {
				return seen[0]
			}
		}
		t.Fatalf("%s reached no app", target)
		return ""
	}
	got := ask("/demo/page?q=a%2Fb", b.cookies())
	if !strings.HasPrefix(got, "GET /page?q=a%2Fb HTTP/1.1\r\n") || strings.Contains(got, "forged") || strings.Contains(got, b.sessionCookie()) {
		t.Errorf("the app was sent\n%s", got)
	}
	for name, want := range map[string]string{
		"Wave-Subject-ID": "1001", "Wave-Username": "ann", "Wave-Access-Token": tokens.Access, "Wave-Refresh-Token": tokens.Refresh,
		"Authorization": basic("app-id", "app-secret"), "Cookie": "theirs=1",
	} {
		if is := line(t, got, name); is != want || want == "" {
			t.Errorf("%s is %q, want %q", name, is, want)
		}
	}
	for name, pattern := range map[string]string{"Wave-Client-ID": `^[a-z2-7]{26}$`, "Wave-Session-ID": `^ses_[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{24}$`} {
		if is := line(t, got, name); !regexp.MustCompile(pattern).MatchString(is) {
			t.Errorf("%s is %q, want %s", name, is, pattern)
		}
	}
	again, other := ask("/demo/", b.cookies()), ask("/demo", newBrowser(t, w.URL).signInAs("1001", "").cookies())
	for _, name := range []string{"Wave-Client-ID", "Wave-Session-ID", "Wave-Access-Token"} { // of the browser session, not of the person
		if line(t, again, name) != line(t, got, name) || line(t, other, name) == line(t, got, name) || line(t, other, name) == "" {
			t.Errorf("%s is %q, %q in the same browser and %q in another", name, line(t, got, name), line(t, again, name), line(t, other, name))
		}
	}
	for target, want := range map[string][2]string{"/routed/x": {}, "/asked/x": {tokens.Access, tokens.Refresh}} {
		got := ask(target, b.cookies())
		if is := [2]string{line(t, got, "Wave-Access-Token"), line(t, got, "Wave-Refresh-Token")}; is != want || line(t, got, "Wave-Subject-ID") != "1001" || strings.Contains(got, "forged") {
			t.Errorf("%s: tokens %q, want %q:\n%s", target, is, want, got)
		}
		w.wantTokens("the handle of "+target, w.refresh("owner", line(t, got, "Wave-Session-ID")))
	}
	lines = append(lines, "Authorization: "+basic("other", "secret")) // a program, and no person
	got = ask("/demo/x", "a=1")
	if line(t, got, "Wave-Subject-ID") != "other" || strings.Contains(got, "forged") {
		t.Errorf("for an access key the app was sent\n%s", got)
	}
	for _, name := range []string{"Wave-Access-Token", "Wave-Refresh-Token", "Wave-Session-ID", "Wave-Client-ID"} {
		if is := line(t, got, name); is != "" {
			t.Errorf("for an access key %s is %q", name, is)
		}
	}
}

func TestRefreshGivesTheTokensBack(t *testing.T) {
	t.Parallel()
	w := newWave(t, newIDP(t))
	b := newBrowser(t, w.URL).signInAs("1001", "")
	b.xhr("/demo/x").want(t, 200, "")
	first := said(t, w.app)
	handle, access, refresh := line(t, first, "Wave-Session-ID"), line(t, first, "Wave-Access-Token"), line(t, first, "Wave-Refresh-Token")
	asked := w.idp.Count("/token")
	w.wantTokens("tokens that are good", w.refresh("owner", handle), access, refresh)
	if n := w.idp.Count("/token"); n != asked {
		t.Errorf("the provider was asked %d times although the tokens are good", n-asked)
	}
	w.wantTokens("another key", w.refresh("other", handle))

	w.restart()
	w.wantTokens("after a restart, before the app is back", w.refresh("owner", handle), access, refresh)
	w.wantTokens("another key after a restart", w.refresh("other", handle))
	w.register()
	b.xhr("/demo/x").want(t, 200, "")
	after := said(t, w.app)
	for _, name := range []string{"Wave-Client-ID", "Wave-Subject-ID", "Wave-Username", "Wave-Session-ID", "Wave-Access-Token", "Wave-Refresh-Token"} {
		if got, want := line(t, after, name), line(t, first, name); got != want || want == "" {
			t.Errorf("%s is %q after the restart, want %q", name, got, want)
		}
	}
	b.send("POST", "/_auth/logout", url.Values{})
	w.wantTokens("after the logout", w.refresh("owner", handle))
}

func TestRefreshRenewsTokensThatEnded(t *testing.T) {
	t.Parallel()
	w := newWave(t, newIDP(t, shortTokens))
	b := newBrowser(t, w.URL).signInAs("1001", "")
	b.xhr("/demo/x").want(t, 200, "")
	first := said(t, w.app)
	handle := line(t, first, "Wave-Session-ID")
	fresh := func(what string, old ...string) (string, string) {
		t.Helper()
		a := w.refresh("owner", handle)
		access, refresh := a.Header.Get("Wave-Access-Token"), a.Header.Get("Wave-Refresh-Token")
		if a.StatusCode != 200 || a.body != "" || a.Header.Get("Cache-Control") != "no-store" || access == "" || refresh == "" || access == old[0] || refresh == old[1] {
			t.Fatalf("%s: %d %v %q, no new tokens", what, a.StatusCode, a.Header, a.body)
		}
		return access, refresh
	}
	access, refresh := fresh("about to end", line(t, first, "Wave-Access-Token"), line(t, first, "Wave-Refresh-Token"))
	w.restart()
	access, refresh = fresh("after a restart", access, refresh)

	fresh("a second later", access, refresh)
	w.idp.Revoke("1001")
	eventually(t, "the provider is asked again", func() bool { return w.refresh("owner", handle).StatusCode == http.StatusNotFound })
	b.xhr("/_auth/userinfo").want(t, 401, "credential_required")
	w.wantSessions("the provider ended it", 0)

	b.signInAs("1001", "")
	w.register()
	b.xhr("/demo/x").want(t, 200, "")
	next := said(t, w.app)
	w.idp.Break("/token", oidctest.Status(http.StatusServiceUnavailable))
	asked := w.idp.Count("/token")
	w.wantTokens("the provider is down", w.refresh("owner", line(t, next, "Wave-Session-ID")), line(t, next, "Wave-Access-Token"), line(t, next, "Wave-Refresh-Token"))
	w.wantSessions("the provider is down", 1)
	if w.idp.Count("/token") == asked {
		t.Error("the provider was not asked")
	}
}

func TestWordsOfTheContract(t *testing.T) {
	t.Parallel()
	w := newWave(t, newIDP(t), withUsers(t), func(c *Config) {
		c.SignIn.PostLogoutRedirectURL = "/_auth/signed-out"
		c.PolicyFile = writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"),
			"scopes: {read: {}, write: {}}\nroles: {dev: {scopes: [read], groups: [eng]}}\naccess_keys: {other: {scopes: [write]}}\n")
	})
	ann, local := newBrowser(t, w.URL).signInAs("1001", ""), newBrowser(t, w.URL).signInLocal("ann")
	key := []string{"Authorization", basic("other", "secret")}
	for what, c := range map[string]struct {
		got  answer
		want map[string]any
	}{
		"a person": {ann.api("GET", "/_auth/userinfo", ""), map[string]any{
			"sub": "1001", "preferred_username": "ann", "email": "ann@example.com", "email_verified": true, "groups": []any{"eng"},
			"roles": []any{"dev"}, "scopes": []any{"read"}, "auth_method": "session", "session_id": w.sessionID(ann),
		}},
		"a local user": {local.api("GET", "/_auth/userinfo", ""), map[string]any{
			"sub": "local|ann", "preferred_username": "ann", "auth_method": "session", "session_id": w.sessionID(local),
		}},
		"an access key": {w.do("GET", "/_auth/userinfo", "", key...), map[string]any{
			"sub": "other", "preferred_username": "other", "scopes": []any{"write"}, "auth_method": "access-key", "key_id": "other",
		}},
		"a token": {w.do("GET", "/_auth/userinfo", "", "Authorization", "Bearer "+ann.token()), map[string]any{
			"sub": "1001", "preferred_username": "ann", "email": "ann@example.com", "email_verified": true, "groups": []any{"eng"},
			"roles": []any{"dev"}, "scopes": []any{"read"}, "auth_method": "token", "session_id": w.sessionID(ann),
		}},
	} {
		if diff := cmp.Diff(c.want, c.got.want(t, 200, "").object(t)); diff != "" {
			t.Errorf("userinfo of %s:\n%s", what, diff)
		}
		if got := c.got.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("userinfo of %s: Cache-Control %q", what, got)
		}
	}
	w.do("GET", "/_auth/userinfo", "").want(t, 401, "credential_required")
	w.do("POST", "/_auth/token", "").want(t, 401, "credential_required")
	w.do("GET", "/_auth/token", "", key...).want(t, 405, "method_not_allowed")
	for what, a := range map[string]answer{"a session": ann.api("POST", "/_auth/token", ""), "an access key": w.do("POST", "/_auth/token", "", key...)} {
		given := a.want(t, 200, "").object(t)
		raw, _ := given["access_token"].(string)
		delete(given, "access_token")
		if diff := cmp.Diff(map[string]any{"token_type": "Bearer", "expires_in": 600.0}, given); diff != "" || strings.Count(raw, ".") != 2 || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("the token of %s: %q, %v\n%s", what, raw, a.Header, diff)
		}
	}
	hint := tokensOfSession(t, w.testServer, ann).ID
	out := ann.send("GET", "/_auth/logout", nil, "Sec-Fetch-Site", "none").want(t, http.StatusSeeOther, "")
	to, err := url.Parse(out.Header.Get("Location"))
	want := url.Values{"client_id": {"wavegate"}, "id_token_hint": {hint}, "post_logout_redirect_uri": {w.URL + "/_auth/signed-out"}}
	if err != nil || to.Scheme+"://"+to.Host+to.Path != w.idp.URL+"/end_session" || !cmp.Equal(to.Query(), want) || hint == "" {
		t.Errorf("the logout leads to %s, %v; want %v", to, err, want)
	}
	ann.xhr("/demo/x").want(t, 401, "credential_required")
}

// sessionID is the public name of a browser's session.
func (w *wave) sessionID(b *browser) string {
	w.t.Helper()
	var list struct {
		Sessions []struct {
			ID      string
			Current bool
		}
	}
	if err := json.Unmarshal([]byte(b.api("GET", "/v1/auth/sessions", "").body), &list); err != nil {
		w.t.Fatal(err)
	}
	for _, s := range list.Sessions {
		if s.Current {
			return s.ID
		}
	}
	w.t.Fatalf("no session is the browser's own: %+v", list)
	return ""
}
