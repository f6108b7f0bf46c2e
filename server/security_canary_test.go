package server

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wavegate/oidc/oidctest"
	"wavegate/server/limit"
)

// A canary collects what must be seen nowhere, and everything that is seen.
type canary struct {
	t       *testing.T
	idp     *oidctest.Provider
	secrets map[string]string // by what they are
	seen    map[string]string // by where it came from
}

// keep takes an answer for something that the world sees, but for cookies on
// their way to the browser and, in what leads to the provider, the ID token.
func (c *canary) keep(what string, a answer) answer {
	c.t.Helper()
	h := a.Header.Clone()
	h.Del("Set-Cookie")
	if location := h.Get("Location"); strings.HasPrefix(location, c.idp.URL) {
		u, err := url.Parse(location)
		must(c.t, err)
		q := u.Query()
		for _, own := range []string{"id_token_hint", "state", "nonce"} {
			q.Del(own)
		}
		h.Set("Location", u.Path+"?"+q.Encode())
	}
	c.seen[fmt.Sprintf("%d %s", len(c.seen), what)] = fmt.Sprint(h) + a.body
	return a
}

// learn takes everything secret out of a browser, a callback and its session.
func (c *canary) learn(ts *testServer, b *browser, callback string) {
	c.t.Helper()
	n := fmt.Sprint(len(c.secrets))
	for pair := range strings.SplitSeq(b.cookies(), "; ") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			c.secrets[n+" cookie "+name] = value
		}
	}
	if u, err := url.Parse(callback); err == nil && callback != "" {
		c.secrets[n+" code"], c.secrets[n+" state"] = u.Query().Get("code"), u.Query().Get("state")
	}
	for i, body := range c.idp.TokenRequests() {
		form, err := url.ParseQuery(body)
		must(c.t, err)
		for _, name := range []string{"code", "code_verifier", "refresh_token"} {
			if v := form.Get(name); v != "" {
				c.secrets[fmt.Sprint("sent ", i, " ", name)] = v
			}
		}
	}
	if s, err := ts.signIn.sessions.Peek(c.t.Context(), b.sessionCookie()); err == nil {
		tokens, err := ts.signIn.sessions.Tokens(s)
		must(c.t, err)
		for name, v := range map[string]string{"id token": tokens.ID, "access token": tokens.Access, "refresh token": tokens.Refresh} {
			if v != "" {
				c.secrets[n+" "+name] = v
			}
		}
		if nonce, _ := oidctest.ReadClaims(tokens.ID)["nonce"].(string); nonce != "" {
			c.secrets[n+" nonce"] = nonce
		}
	}
}

// TestSecretsOfSignInAreFoundNowhere walks whole flows, the failing ones too,
// and looks for every secret of theirs in answers, log, metrics and database.
func TestSecretsOfSignInAreFoundNowhere(t *testing.T) {
	t.Parallel()
	idp := newIDP(t, shortTokens)
	c := &canary{t, idp, map[string]string{}, map[string]string{}}
	const clientSecret, wrong, typed = "canary-client-secret-1", "canary-wrong-password", "canary-password-as-name"
	c.secrets["client secret"], c.secrets["wrong password"] = clientSecret, wrong
	c.secrets["ann's password"], c.secrets["new password"] = "ann-password", "canary-new-password"
	ts := guarded(t, socketApp, withUsers(t), withKeys(t, "owner:canary-key-secret"), withProvider(t, idp), func(cfg *Config) {
		cfg.LogLevel, cfg.MetricsListen, cfg.SignIn.ClientSecret = "debug", "127.0.0.1:0", clientSecret
		idp.AddClient(oidctest.Client{ID: "wavegate", Secret: clientSecret, RedirectURLs: []string{cfg.SignIn.RedirectURL}})
		withPolicy(t, "upstreams:\n  - {route: /, url: \""+cfg.Upstreams[0]+"\", tokens: true}\n")(cfg)
	})
	ts.lockouts = limit.NewLockouts(limit.LockoutConfig{KeyTries: 4, IPTries: 500}) // locks are logged

	// A provider's login, renewals, logout.
	b := newBrowser(t, ts.URL)
	callback := b.begin("1001", url.Values{"next": {"/deep?x=1"}})
	c.learn(ts, b, callback)
	c.keep("callback", b.send("GET", callback, nil))
	c.learn(ts, b, callback)
	n := idp.Count("/token")
	eventually(t, "a renewal", func() bool { b.xhr("/x"); return idp.Count("/token") > n })
	c.learn(ts, b, "")
	for _, path := range []string{"/x", "/_portal/profile", "/_portal/sessions", "/_auth/userinfo", "/v1/auth/sessions", "/_auth/login?switch=1", "/_health/ready"} {
		c.keep(path, b.send("GET", path, nil))
	}
	c.secrets["session token"] = b.token()
	c.keep("with the token", ts.do("GET", "/_auth/userinfo", "", "Authorization", "Bearer "+c.secrets["session token"]))
	c.keep("replay", b.send("GET", callback, nil))
	c.keep("replay elsewhere", newBrowser(t, ts.URL).send("GET", callback, nil))
	// The provider refuses, and repeats what it was sent.
	echo := func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		_, secret, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"invalid_scope","error_description":%q}`, string(sent)+" "+secret)
	}
	for what, h := range map[string]http.HandlerFunc{"an echo": echo, "500": oidctest.Status(500), "no connection": oidctest.Cut} {
		idp.Break("/token", h)
		failing := newBrowser(t, ts.URL)
		back := failing.begin("1002", nil)
		c.learn(ts, failing, back)
		c.keep(what, failing.send("GET", back, nil))
		c.keep(what+", again", failing.send("GET", back, nil))
		idp.Mend("/token")
	}
	var waiting string
	eventually(t, "a renewal is due", func() bool {
		idp.Break("/token", echo)
		defer idp.Mend("/token")
		waiting = b.xhr("/x").body
		return len(ts.lines("session could not be renewed, it goes on")) > 0
	})
	c.learn(ts, b, "")
	idp.AlterIDToken(func(claims oidctest.Claims) { claims["nonce"] = "spoilt" })
	spoilt := newBrowser(t, ts.URL)
	back := spoilt.begin("1002", nil)
	c.keep("a bad token "+waiting, spoilt.send("GET", back, nil))
	c.learn(ts, spoilt, back)
	idp.AlterIDToken(nil)
	c.keep("logout", b.send("POST", "/_auth/logout", url.Values{}))
	c.keep("signed out", b.send("GET", "/_auth/signed-out", nil))
	token := idp.LogoutToken("wavegate", "1001", "", nil)
	c.secrets["logout token"] = token
	c.keep("back channel", backchannel(ts, token))
	c.keep("back channel, again", backchannel(ts, token))

	// Local users.
	local := newBrowser(t, ts.URL)
	c.keep("password", local.signIn("ann", "ann-password", "/"))
	c.learn(ts, local, "")
	for i := range 5 {
		c.keep("wrong password", newBrowser(t, ts.URL).signIn("bob", fmt.Sprint(wrong, i), "/"))
		newBrowser(t, ts.URL).signIn(typed, "x", "/")
	}
	form := url.Values{"current_password": {wrong}, "new_password": {"canary-new-password"}, "repeat_password": {"canary-new-password"}}
	c.keep("change, wrong", local.press("/_portal/profile", form))
	form.Set("current_password", "ann-password")
	c.keep("change", local.press("/_portal/profile", form))
	c.learn(ts, local, "")
	c.keep("foreign attempt", local.send("GET", "/_auth/callback?code=x&state=y", nil, "Cookie", attemptPair("y", "AfP_________________________________________________")))

	res, err := http.Get("http://" + ts.MetricsAddr().String() + "/metrics")
	must(t, err)
	defer res.Body.Close()
	metrics, _ := io.ReadAll(res.Body)
	database := func(when string) {
		files, err := filepath.Glob(filepath.Join(ts.cfg.DataDir, "wavegate.db*"))
		must(t, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			must(t, err)
			c.seen[when+" "+filepath.Base(file)] = string(data)
		}
	}
	database("running")
	must(t, ts.stop())
	database("stopped")
	c.seen["metrics"], c.seen["log"] = string(metrics), ts.log.String()
	c.look(typed)
}

// look searches everything seen for every secret.
func (c *canary) look(typed string) {
	c.t.Helper()
	for what, secret := range c.secrets {
		if len(secret) < 8 {
			c.t.Errorf("%s is %q: too short to be looked for", what, secret)
		}
		for where, text := range c.seen {
			if at := strings.Index(text, secret); at >= 0 {
				c.t.Errorf("%s shows the %s: …%q", where, what, text[max(0, at-120):at])
			}
		}
	}
	for where, text := range c.seen {
		if strings.Contains(text, typed) {
			c.t.Errorf("%s shows what was typed as a name", where)
		}
	}
	for _, needed := range []string{"running wavegate.db", "running wavegate.db-wal", "stopped wavegate.db", "log", "metrics"} {
		if c.seen[needed] == "" {
			c.t.Errorf("nothing was seen of %s: the test says little", needed)
		}
	}
	for _, needed := range []string{"lockout", "signed in", "signed out", "signed out by the provider", "password changed", "session could not be renewed, it goes on", "sealed by another secret"} {
		if !strings.Contains(c.seen["log"], needed) {
			c.t.Errorf("the log has no %q: the test says little", needed)
		}
	}
	if !strings.Contains(c.seen["stopped wavegate.db"]+c.seen["running wavegate.db-wal"], "ann@example.com") || len(c.secrets) < 30 || len(c.seen) < 30 {
		c.t.Errorf("%d secrets looked for at %d places: the test says little", len(c.secrets), len(c.seen))
	}
}
