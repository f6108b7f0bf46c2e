package server

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wavegate/oidc/oidctest"
)

// A house is a server with providers in its policy, which tests write anew.
type house struct {
	*testServer
	t      *testing.T
	policy string // the file
	back   string // the redirect URL
}

// newHouse starts a server of one upstream. Its policy is what text makes of the
// redirect URL.
func newHouse(t *testing.T, app http.HandlerFunc, text func(back string) string, change ...func(*Config)) *house {
	t.Helper()
	h := &house{t: t, policy: filepath.Join(t.TempDir(), "policy.yaml")}
	h.testServer = guarded(t, app, append(change, func(c *Config) {
		if c.Listen == "127.0.0.1:0" {
			c.Listen = freeAddress(t)
		}
		h.back = "http://" + c.Listen + "/_auth/callback"
		writeFile(t, h.policy, text(h.back))
		c.PolicyFile = h.policy
	})...)
	return h
}

// rewrite replaces the policy and waits until the server follows it.
func (h *house) rewrite(text string) {
	h.t.Helper()
	n := len(h.lines("reloaded"))
	writeFile(h.t, h.policy, text)
	eventually(h.t, "the policy is read again", func() bool { return len(h.lines("reloaded")) > n })
	if bad := h.lines("reload failed, the old one stays"); len(bad) > 0 {
		h.t.Fatalf("reload: %v", bad)
	}
}

// inPolicy is a provider of the policy, at which it is registered as "gate-" and
// its name. More lines follow; one that says client_secret takes the place of the
// usual secret.
func inPolicy(name string, idp *oidctest.Provider, back string, lines ...string) string {
	idp.AddClient(oidctest.Client{ID: "gate-" + name, Secret: name + "-secret", RedirectURLs: []string{back}})
	all := []string{"  - name: " + name, "issuer: " + idp.URL, "client_id: gate-" + name, "redirect_url: " + back}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "client_secret") }) {
		all = append(all, "client_secret: "+name+"-secret")
	}
	return strings.Join(append(all, lines...), "\n    ") + "\n"
}

// buttons are the ways to sign in that a login page offers: what it says, and
// where that leads.
func buttons(page string) (labels, targets []string) {
	for _, m := range regexp.MustCompile(`href="(/_auth/init[^"]*)">Continue with ([^<]*)<`).FindAllStringSubmatch(page, -1) {
		labels, targets = append(labels, html.UnescapeString(m[2])), append(targets, html.UnescapeString(m[1]))
	}
	return labels, targets
}

func TestProvidersStandSideBySide(t *testing.T) {
	t.Parallel()
	first, second := newIDP(t), newIDP(t)
	h := newHouse(t, whoApp, func(back string) string {
		return "providers:\n" + inPolicy("staff", second, back, `label: "R&D <staff>"`) + inPolicy("guests", first, back) // two clients of the first
	}, withUsers(t), withProvider(t, first))
	page := newBrowser(t, h.URL).open("/reports?year=2026&q=a%20b").want(t, 200, "")
	labels, targets := buttons(page.body)
	if want := []string{"single sign-on", "R&D <staff>", "guests"}; !slices.Equal(labels, want) {
		t.Fatalf("the login page offers %q, want %q", labels, want)
	}
	if strings.LastIndex(page.body, "Continue with") > strings.Index(page.body, `name="password"`) {
		t.Error("no form for local users below the providers")
	}
	for i, want := range []string{"1001", "staff|1001", "guests|1001"} {
		b := newBrowser(t, h.URL)
		begun := b.send("GET", targets[i], nil).want(t, http.StatusFound, "")
		back := b.send("GET", b.consent(begun.Header.Get("Location"), "1001"), nil).want(t, http.StatusSeeOther, "")
		got := b.open(back.Header.Get("Location"))
		if want := "GET /reports?year=2026&q=a%20b subject=" + want + " username=ann method=session"; got.body != want {
			t.Errorf("%s: the app saw %q, want %q", labels[i], got.body, want)
		}
	}
	if a := newBrowser(t, h.URL).send("GET", "/_auth/init?provider=nobody", nil); a.StatusCode != 404 {
		t.Errorf("a provider that there is not: %d", a.StatusCode)
	}
}

func TestSubjectThatImitatesAnotherProvidersIsMarked(t *testing.T) {
	t.Parallel()
	first, second := newIDP(t), newIDP(t)
	policy := func(back string) string { return "providers:\n" + inPolicy("staff", second, back) }
	h := newHouse(t, whoApp, policy, withUsers(t), withProvider(t, first))
	subject := func(b *browser) string {
		var who struct {
			Subject string `json:"sub"`
		}
		if err := json.Unmarshal([]byte(b.api("GET", "/_auth/userinfo", "").body), &who); err != nil {
			t.Fatal(err)
		}
		return who.Subject
	}
	for sub, want := range map[string]string{
		"staff|1001": "main|staff|1001", "local|ann": "main|local|ann", "main|1001": "main|main|1001", "main|staff|1001": "main|main|staff|1001",
		"|1001": "|1001", "staff": "staff", "auth0|1001": "auth0|1001", "Staff|1001": "Staff|1001", "guests|1001": "guests|1001",
	} {
		first.SetUser(sub, oidctest.Claims{"preferred_username": "mallory"})
		if got := subject(newBrowser(t, h.URL).signInAs(sub, "main")); got != want {
			t.Errorf("%q of the flags' provider is %q here, want %q", sub, got, want)
		}
	}
	// A provider that comes later takes over the names before which it stands.
	b := newBrowser(t, h.URL).signInAs("guests|1001", "main")
	h.rewrite(policy(h.back) + inPolicy("guests", second, h.back))
	if got := subject(b); got != "main|guests|1001" {
		t.Errorf("the session of before is %q beside the provider guests", got)
	}
	if got := subject(newBrowser(t, h.URL).signInAs("1001", "guests")); got != "guests|1001" {
		t.Errorf("1001 of guests is %q", got)
	}
}

func TestLoginBeginsAndEndsOnAHostThatIsNamed(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	const named = "upstreams:\n  - {route: app.example.com, url: \"static://200\"}\n  - {route: wiki.example.com/docs, url: \"static://200\"}\n"
	h := newHouse(t, whoApp, func(string) string { return named }, withProvider(t, idp), func(c *Config) {
		c.SignIn.RedirectURL = "http://gate.example.com/_auth/callback"
	})
	var registered []string
	for _, host := range []string{"gate.example.com", "app.example.com", "app.example.com:8443", "wiki.example.com"} {
		registered = append(registered, "http://"+host+"/_auth/callback")
	}
	idp.AddClient(oidctest.Client{ID: "wavegate", Secret: "client-secret", RedirectURLs: registered})
	for host, want := range map[string]string{
		"gate.example.com": registered[0], "GATE.example.com": registered[0], "app.example.com": registered[1],
		"app.example.com:8443": registered[2], "wiki.example.com": registered[3],
	} {
		a := h.do("GET", "/_auth/init?next=%2Fx%3Fa%3D1", "", "Host", host).want(t, http.StatusFound, "")
		to, err := url.Parse(a.Header.Get("Location"))
		if err != nil || to.Query().Get("redirect_uri") != want {
			t.Errorf("%s: to %q, %v; want the provider with redirect_uri %s", host, to, err, want)
			continue
		}
		// The way back ends where it began.
		b := newBrowser(t, h.URL)
		callback, err := url.Parse(b.consent(to.String(), "1001"))
		if err != nil || callback.Scheme+"://"+callback.Host+callback.Path != want {
			t.Fatalf("%s: the provider sends back to %q, %v", host, callback, err)
		}
		pair, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
		done := h.do("GET", callback.RequestURI(), "", "Host", callback.Host, "Cookie", pair)
		if done.StatusCode != http.StatusSeeOther || done.Header.Get("Location") != "/x?a=1" {
			t.Errorf("%s: %d to %q: %.300s", host, done.StatusCode, done.Header.Get("Location"), done.body)
		}
	}
	for _, host := range []string{"evil.example", "gate.example.com:81", "gate.example.com.evil.example", "app.example.com.evil.example", "127.0.0.1"} {
		a := h.do("GET", "/_auth/init?next=%2Fx%3Fa%3D1&switch=1", "", "Host", host).want(t, http.StatusFound, "")
		if got, want := a.Header.Get("Location"), "http://gate.example.com/_auth/init?here=1&next=%2Fx%3Fa%3D1&provider=main&switch=1"; got != want {
			t.Errorf("%s: to %q, want %q", host, got, want)
		}
		if got := a.Header.Values("Set-Cookie"); len(got) > 0 {
			t.Errorf("%s: cookies for a host that is not ours: %q", host, got)
		}
		again := h.do("GET", "/_auth/init?here=1", "", "Host", host).want(t, http.StatusFound, "") // a proxy that hides the host
		if to, err := url.Parse(again.Header.Get("Location")); err != nil || to.Query().Get("redirect_uri") != registered[0] {
			t.Errorf("%s: turned round in a circle to %q, %v", host, to, err)
		}
	}
}

func TestProviderAdmitsByDomainAndGroup(t *testing.T) {
	t.Parallel()
	idp := newIDP(t, shortTokens)
	rules := func(back string) string {
		return "providers:\n" + inPolicy("domain", idp, back, "email_domains: [example.com, Corp.Example]") +
			inPolicy("group", idp, back, "groups: [eng, staff]", "label: The staff entrance") +
			inPolicy("both", idp, back, "email_domains: [example.com]", "groups: [eng]")
	}
	h := newHouse(t, socketApp, rules)
	people := map[string]oidctest.Claims{
		"in": {"email": "in@Example.com", "email_verified": true, "groups": []string{"x", "eng"}}, "nowhere": {"preferred_username": "nowhere"},
		"corp": {"email": "c@corp.example", "email_verified": true, "groups": []string{"ENG", "engineering"}}, "sub": {"email": "s@sub.example.com", "email_verified": true, "groups": []string{"staff"}},
	}
	for name, claims := range people {
		idp.SetUser(name, claims)
	}
	for provider, admitted := range map[string][]string{"domain": {"in", "corp"}, "group": {"in", "sub"}, "both": {"in"}} {
		for _, name := range sortedKeys(people) {
			b := newBrowser(t, h.URL)
			a := b.send("GET", b.begin(name, url.Values{"provider": {provider}, "next": {"/x?a=1"}}), nil)
			if slices.Contains(admitted, name) {
				if a.StatusCode != http.StatusSeeOther || b.sessionCookie() == "" {
					t.Errorf("%s at %s: %d", name, provider, a.StatusCode)
				}
				continue
			}
			h.refusedPage(name+" at "+provider, a, http.StatusForbidden, "access_denied")
			for _, want := range []string{"This account may not sign in here.", "/_auth/login?next=%2Fx%3Fa%3D1&amp;switch=1"} {
				if !strings.Contains(a.body, want) {
					t.Errorf("%s at %s: no %q on the page", name, provider, want)
				}
			}
			if strings.Contains(a.body, `"/_auth/logout"`) {
				t.Errorf("%s at %s: the page offers to sign out, and nobody is signed in", name, provider)
			}
			if provider == "group" && !strings.Contains(a.body, "The staff entrance") {
				t.Errorf("%s at %s: the page does not name the provider", name, provider)
			}
		}
	}
	h.wantSessions("of those who are admitted", 5)
}

func TestWhoIsAdmittedNoMoreIsOutAtTheNextRenewal(t *testing.T) {
	t.Parallel()
	idp := newIDP(t, shortTokens)
	h := newHouse(t, socketApp, func(back string) string {
		return "providers:\n" + inPolicy("domain", idp, back, "email_domains: [example.com]") + inPolicy("group", idp, back, "groups: [eng]")
	})
	left, stays := newBrowser(t, h.URL).signInAs("1001", "group"), newBrowser(t, h.URL).signInAs("1001", "domain")
	moved := newBrowser(t, h.URL).signInAs("1002", "domain")
	sockets := []open{left.dial("/ws"), moved.dial("/ws")}
	idp.SetUser("1001", oidctest.Claims{"email": "ann@example.com", "email_verified": true, "groups": []string{"ops"}})
	idp.SetUser("1002", oidctest.Claims{"email": "bob@elsewhere.example", "email_verified": true})
	eventually(t, "who left the group is out", func() bool { return left.xhr("/x").StatusCode == 401 })
	eventually(t, "who moved away is out", func() bool { return moved.xhr("/x").StatusCode == 401 })
	for _, s := range sockets {
		s.ended("not admitted any more")
	}
	eventually(t, "ann is asked about again", func() bool { return stays.xhr("/x").StatusCode == 200 && idp.Count("/token") >= 6 })
	h.wantSessions("at the end", 1)
}

func TestSkippedLoginPageIsThereAgainWhenThereIsAChoice(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	idp.Login("1001")
	idp.AlterMetadata(func(c oidctest.Claims) { delete(c, "end_session_endpoint") }) // a logout stays here
	one := func(back string) string { return "providers:\n" + inPolicy("staff", idp, back) }
	users := filepath.Join(t.TempDir(), "users")
	h := newHouse(t, whoApp, one, func(c *Config) {
		c.SignIn.SkipLogin = true
		c.Users.Path = users // nobody yet
	})
	b := newBrowser(t, h.URL)
	a := b.send("GET", "/reports?year=2026", nil).want(t, http.StatusFound, "")
	if got := a.Header.Get("Location"); got != "/_auth/init?next=%2Freports%3Fyear%3D2026" {
		t.Errorf("sent to %q", got)
	}
	if got := b.open("/reports?year=2026"); got.body != "GET /reports?year=2026 subject=staff|1001 username=ann method=session" {
		t.Errorf("the app saw %d %q", got.StatusCode, got.body)
	}
	b.send("POST", "/_auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin").want(t, http.StatusSeeOther, "")
	if page := b.open("/_auth/signed-out"); page.StatusCode != 200 || page.Request.URL.Path != "/_auth/signed-out" || b.sessionCookie() != "" {
		t.Errorf("the page after the logout leads to %s and signs in again", page.Request.URL)
	}
	toLogin := func(what string) {
		t.Helper()
		a := newBrowser(t, h.URL).send("GET", "/x", nil)
		if got := a.Header.Get("Location"); a.StatusCode != http.StatusFound || got != "/_auth/login?next=%2Fx" {
			t.Errorf("%s: %d to %q", what, a.StatusCode, got)
		}
	}
	h.rewrite(one(h.back) + inPolicy("guests", idp, h.back))
	toLogin("two providers")
	h.rewrite(one(h.back))
	if a := newBrowser(t, h.URL).send("GET", "/x", nil); !strings.HasPrefix(a.Header.Get("Location"), "/_auth/init?") {
		t.Errorf("one provider again: %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	writeFile(t, users, keychainLine(t, "ann", "ann-password"))
	eventually(t, "the users are read", func() bool { return h.signIn.users.Len() == 1 })
	toLogin("a local user")
}

// TestForeignProviderGivesNothingByItsWord: with trust: subject, what a provider
// says of addresses and groups opens no route and makes nobody an administrator.
func TestForeignProviderGivesNothingByItsWord(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	for trust, want := range map[string]int{"claims": 200, "subject": 403} {
		h := newHouse(t, whoApp, func(back string) string {
			return "upstreams:\n  - {route: /ops, url: \"static://200\", require: {groups: [eng]}}\n" +
				"providers:\n" + inPolicy("staff", idp, back, "trust: "+trust, "email_domains: [example.com]")
		}, func(c *Config) { c.Admins = []string{"ann@example.com"} })
		b := newBrowser(t, h.URL).signInAs("1001", "staff")
		for _, path := range []string{"/ops", "/v1/auth/users"} {
			if got := b.send("GET", path, nil); got.StatusCode != want {
				t.Errorf("trust: %s: %s: %d, want %d", trust, path, got.StatusCode, want)
			}
		}
	}
}
