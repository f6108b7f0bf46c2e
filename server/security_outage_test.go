package server

import (
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/oidc/oidctest"
	"wavegate/server/store/storetest"
)

// A cable leads to the socket of a PostgreSQL server and can be pulled out.
type cable struct {
	t    *testing.T
	from string // where it is plugged in
	to   string

	mu    sync.Mutex // guards the rest
	ln    net.Listener
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

// newCable returns a cable to the database of a URL, plugged in, and the URL of
// its other end.
func newCable(t *testing.T, database string) (*cable, string) {
	t.Helper()
	u, err := url.Parse(database)
	must(t, err)
	dir, err := os.MkdirTemp("", "wg-cable-") // paths of sockets are short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	const socket = ".s.PGSQL.5432"
	c := &cable{t: t, from: filepath.Join(dir, socket), to: filepath.Join(u.Query().Get("host"), socket), conns: map[net.Conn]bool{}}
	c.plug()
	t.Cleanup(func() {
		c.pull()
		c.wg.Wait()
	})
	u.RawQuery = url.Values{"host": {dir}}.Encode()
	return c, u.String()
}

func (c *cable) plug() {
	ln, err := net.Listen("unix", c.from)
	must(c.t, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ln = ln
	c.wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			c.wg.Go(func() { c.carry(in) })
		}
	})
}

func (c *cable) carry(in net.Conn) {
	out, err := net.Dial("unix", c.to)
	if err != nil {
		in.Close()
		return
	}
	c.mu.Lock()
	if c.ln == nil { // pulled meanwhile
		in.Close()
		out.Close()
	}
	c.conns[in], c.conns[out] = true, true
	c.mu.Unlock()
	c.wg.Go(func() { _, _ = io.Copy(out, in); out.Close() })
	_, _ = io.Copy(in, out)
	in.Close()
}

func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ln == nil {
		return
	}
	c.ln.Close()
	c.ln = nil
	for conn := range c.conns {
		conn.Close()
	}
	clear(c.conns)
}

func TestStoreThatIsDownOpensNothing(t *testing.T) {
	t.Parallel()
	cable, database := newCable(t, storetest.Postgres(t))
	idp := newIDP(t)
	ts := guarded(t, socketApp, withUsers(t), withProvider(t, idp), func(c *Config) { c.Store = database })
	ann, leaver, other := newBrowser(t, ts.URL).signInLocal("ann"), newBrowser(t, ts.URL).signInLocal("ann"), newBrowser(t, ts.URL).signInAs("1001", "")
	waiting := newBrowser(t, ts.URL)
	callback := waiting.begin("1002", nil)
	socket := ann.dial("/ws")
	token := ann.token()
	logout := idp.LogoutToken("wavegate", "1001", "", nil)
	cable.pull()
	eventually(t, "readiness tells", func() bool { return ts.do("GET", "/_health/ready", "").StatusCode == 503 })

	ann.xhr("/x").want(t, 200, "") // remembered
	socket.stays("the store is down")
	ts.do("GET", "/x", "", "Authorization", "Bearer "+token).want(t, 200, "")
	down := func(what string, a answer) {
		t.Helper()
		page := strings.HasPrefix(a.Header.Get("Content-Type"), "text/html")
		if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || !page && !strings.Contains(a.body, `"store_unavailable"`) || strings.Contains(a.body, "PGSQL") {
			t.Errorf("%s: %d, Retry-After %q, %.300s", what, a.StatusCode, a.Header.Get("Retry-After"), a.body)
		}
		if line := ts.requestLine(a); line["code"] != "store_unavailable" || line["error"] == nil {
			t.Errorf("%s: the log says %v", what, line)
		}
	}
	unknown := "wavegate=" + rand.Text()
	down("a session that is not remembered", ts.do("GET", "/x", "", "Cookie", unknown))
	down("a page for it", ts.do("GET", "/x", "", "Cookie", unknown, "Accept", "text/html"))
	down("a password", newBrowser(t, ts.URL).signIn("bob", "bob-password", "/"))
	down("a callback", waiting.send("GET", callback, nil))
	down("a list", ann.api("GET", "/v1/auth/sessions", ""))
	down("a page of the portal", ann.send("GET", "/_portal/sessions", nil))
	down("a back-channel logout", backchannel(ts, logout))
	down("a logout", leaver.send("POST", "/_auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin"))
	if waiting.sessionCookie() != "" || leaver.sessionCookie() != "" {
		t.Error("a login went through, or the cookie of who left is still there")
	}

	cable.plug()
	eventually(t, "it works again without a restart", func() bool { return newBrowser(t, ts.URL).signIn("bob", "bob-password", "/").StatusCode == 303 })
	ann.xhr("/x").want(t, 200, "")
	socket.stays("the store is back")
	ts.do("GET", "/x", "", "Cookie", unknown).want(t, 401, "credential_required")
	other.xhr("/x").want(t, 200, "")
	backchannel(ts, logout).want(t, 200, "") // the provider says it again, and is heard
	other.xhr("/x").want(t, 401, "credential_required")
}

func TestProviderThatIsWrongOrDownSaysWhatToMendAndWorksOnceMended(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		spoil, mend func(*oidctest.Provider)
		status      int
		code        string
		words       []string
	}{
		"down": {
			func(p *oidctest.Provider) { p.Break("*", oidctest.Cut) }, func(p *oidctest.Provider) { p.Mend("*") },
			503, "provider_unreachable",
			[]string{`oidc provider "main"`, "discovery"},
		},
		"500": {
			func(p *oidctest.Provider) { p.Break("*", oidctest.Status(500)) }, func(p *oidctest.Provider) { p.Mend("*") },
			503, "provider_unreachable",
			[]string{"answers 500"},
		},
		"another issuer": {
			func(p *oidctest.Provider) {
				p.AlterMetadata(func(m oidctest.Claims) { m["issuer"] = "https://id.example" })
			}, func(p *oidctest.Provider) { p.AlterMetadata(nil) },
			502, "sign_in_misconfigured",
			[]string{"https://id.example", "set -oidc-provider-url to exactly that"},
		},
		"no provider there": {
			func(p *oidctest.Provider) { p.Break("*", oidctest.Status(404)) }, func(p *oidctest.Provider) { p.Mend("*") },
			502, "sign_in_misconfigured",
			[]string{"answers 404", "-oidc-provider-url"},
		},
		"moved": {
			func(p *oidctest.Provider) { p.Break("*", oidctest.Redirect("https://evil.example/")) }, func(p *oidctest.Provider) { p.Mend("*") },
			502, "sign_in_misconfigured",
			[]string{"redirect", "-oidc-provider-url"},
		},
		"HMAC alone": {
			func(p *oidctest.Provider) {
				p.AlterMetadata(func(m oidctest.Claims) { m["id_token_signing_alg_values_supported"] = []string{"HS256", "none"} })
			}, func(p *oidctest.Provider) { p.AlterMetadata(nil) },
			502, "sign_in_misconfigured",
			[]string{"signs with", "choose RS256"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			idp := newIDP(t)
			c.spoil(idp)
			ts := guarded(t, whoApp, withUsers(t), withProvider(t, idp))
			b := newBrowser(t, ts.URL)
			a := b.send("GET", "/_auth/init?next=/deep", nil)
			ts.refusedPage(what, a, c.status, c.code, c.words...)
			if c.status == 503 && a.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			newBrowser(t, ts.URL).signInLocal("ann").xhr("/x").want(t, 200, "") // nobody else is held up
			ts.do("GET", "/_health/ready", "").want(t, 200, "")
			c.mend(idp)
			eventually(t, "the login works without a restart", func() bool {
				return b.send("GET", "/_auth/init?next=/deep", nil).StatusCode == 302
			})
			b.signInAs("1001", "")
		})
	}
}

func TestWrongClientSecretSaysWhatToMend(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withProvider(t, idp))
	right := oidctest.Client{ID: "wavegate", Secret: "client-secret", RedirectURLs: []string{ts.cfg.SignIn.RedirectURL}}
	wrong := right
	wrong.Secret = "another"
	idp.AddClient(wrong)
	b := newBrowser(t, ts.URL)
	ts.refusedPage("a wrong secret", b.send("GET", b.begin("1001", nil), nil), 502, "sign_in_misconfigured", "invalid_client", "-oidc-client-secret")
	idp.AddClient(right)
	for what, c := range map[string]struct {
		code   string
		status int
		want   string
	}{
		"the person cancelled": {"access_denied", 403, "sign_in_denied"}, "no session there": {"login_required", 403, "sign_in_denied"},
		"it is busy": {"temporarily_unavailable", 503, "provider_unreachable"}, "a wrong scope": {"invalid_scope", 502, "sign_in_misconfigured"}, "an error of its own": {"<script>alert(1)</script>", 502, "sign_in_misconfigured"},
	} {
		idp.Deny(c.code, "zaphod\r\nset-cookie: x=1 \x1b[31m<script>")
		b := newBrowser(t, ts.URL)
		a := b.send("GET", b.begin("1001", nil), nil)
		ts.refusedPage(what, a, c.status, c.want, c.code)
		if a.Header.Get("X") != "" || strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "zaphod") || strings.Contains(ts.log.String(), "\x1b") {
			t.Errorf("%s: what the provider wrote got through: %.300s", what, a.body)
		}
	}
	idp.Deny("", "")
	b.signInAs("1001", "")
}

func TestClocksThatDifferAreNamedAndALittleIsAllowed(t *testing.T) {
	t.Parallel()
	for by, opens := range map[time.Duration]bool{-time.Minute: true, time.Minute: true, -time.Hour: false, time.Hour: false} {
		idp := newIDP(t, func(c *oidctest.Config) { c.Now = func() time.Time { return time.Now().Add(by) } })
		ts := guarded(t, whoApp, withProvider(t, idp))
		b := newBrowser(t, ts.URL)
		a := b.send("GET", b.begin("1001", nil), nil)
		if opens && a.StatusCode != http.StatusSeeOther {
			t.Errorf("%v: %d %.300s", by, a.StatusCode, ts.log.String())
		}
		if !opens {
			ts.refusedPage(by.String(), a, 502, "sign_in_untrusted", "the clocks differ", "compare the clocks")
		}
	}
}

func TestHalfConfiguredSignInDoesNotStart(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	policy := func(lines ...string) func(*Config) { return withPolicyText(t, lines...) }
	for what, c := range map[string]struct {
		change func(*Config)
		words  string
	}{
		"no issuer":                       {func(c *Config) { c.SignIn.Issuer = "" }, "-oidc-provider-url is missing"},
		"no client":                       {func(c *Config) { c.SignIn.ClientID = "" }, "-oidc-client-id is missing"},
		"no secret":                       {func(c *Config) { c.SignIn.ClientSecret = "" }, "-oidc-client-secret is missing"},
		"no redirect URL":                 {func(c *Config) { c.SignIn.RedirectURL = "" }, "-oidc-redirect-url is missing"},
		"another path":                    {func(c *Config) { c.SignIn.RedirectURL = "https://gate.example/_auth/other" }, "must end in /_auth/callback"},
		"another base":                    {func(c *Config) { c.BaseURL = "/gate/" }, "must end in /gate/_auth/callback"},
		"a relative one":                  {func(c *Config) { c.SignIn.RedirectURL = "/_auth/callback" }, "absolute"},
		"a query":                         {func(c *Config) { c.SignIn.RedirectURL += "?x=1" }, "absolute"},
		"plain http elsewhere":            {func(c *Config) { c.SignIn.Issuer = "http://id.example" }, "https"},
		"a parameter of ours":             {func(c *Config) { c.SignIn.AuthURLParams = []string{"state:x"} }, "state"},
		"a wildcard domain":               {func(c *Config) { c.SignIn.EmailDomains = []string{"*.example.com"} }, "--oidc-email-domains"},
		"a wildcard admin":                {func(c *Config) { c.Admins = []string{"*@example.com"} }, "--admins"},
		"a negative lifetime":             {func(c *Config) { c.SignIn.Lifetime = -1 }, "-session-expiry"},
		"a secret file that is not there": {policy("providers:", "  - {name: x, issuer: \"https://id.example\", client_id: a, client_secret_file: /nowhere/secret, redirect_url: \"https://gate.example/_auth/callback\"}"), "client_secret_file"},
		"a provider without a secret":     {policy("providers:", "  - {name: x, issuer: \"https://id.example\", client_id: a}"), "client_secret"},
		"no redirect URL in the policy":   {policy("providers:", "  - {name: x, issuer: \"https://id.example\", client_id: a, client_secret: b}"), "--public-url"},
		"an unusable group rule":          {policy("roles:", "  x: {scopes: [], groups: [\"eng*\"]}"), "eng*"},
		"an unusable member":              {policy("roles:", "  x: {scopes: [], members: [\"*@example.com\"]}"), "*@example.com"},
		"users that are not there":        {func(c *Config) { withUsers(t)(c); c.Users.Path += ".none" }, "no such file"},
		"a store that cannot be":          {func(c *Config) { c.Store = "redis://x" }, "--store"},
	} {
		cfg := testConfig(t)
		cfg.Upstreams = []string{"static://200"}
		withProvider(t, idp)(&cfg)
		cfg.SignIn.ClientSecret = "half-a-canary"
		c.change(&cfg)
		s, err := New(cfg, io.Discard)
		if err == nil {
			s.close()
			t.Errorf("%s: it starts", what)
			continue
		}
		if !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), cfg.SignIn.ClientSecret) && cfg.SignIn.ClientSecret != "" {
			t.Errorf("%s: %q lacks %q", what, err, c.words)
		}
	}
}
