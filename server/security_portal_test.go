package server

import (
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/portal"
	"wavegate/server/store"
)

// portalCSP is the policy of every page of the portal.
const portalCSP = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; connect-src 'self'"

// onlyAdmins are the rooms of the portal that are for administrators.
var onlyAdmins = []string{"users", "access-keys", "lockouts", "audit", "signing-keys", "policy", "why", "health"}

// portalPages are the addresses of all pages, with id in the place of what their
// patterns leave open.
func (ts *testServer) portalPages(method, id string) []string {
	ts.t.Helper()
	var pages []string
	open := regexp.MustCompile(`\{[a-z_]+\}`)
	for _, pattern := range ts.portal.Patterns() {
		of, path, _ := strings.Cut(pattern, " ")
		if of == method {
			path = open.ReplaceAllString(strings.TrimSuffix(path, "{$}"), id)
			pages = append(pages, "/_portal"+path)
		}
	}
	if len(pages) < 6 {
		ts.t.Fatalf("there are %d pages for %s", len(pages), method)
	}
	return pages
}

func isAdmins(page string) bool {
	room, _, _ := strings.Cut(strings.TrimPrefix(page, "/_portal/"), "/")
	return slices.Contains(onlyAdmins, room)
}

// A form of the portal that a page of another site sends does nothing, whatever it
// is about and however the browser says so.
func TestFormsOfOtherSitesDoNothingInThePortal(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	carl := newBrowser(t, ts.URL).signInLocal("carl")
	before := ts.rowsOfAudit()
	for _, page := range ts.portalPages("POST", "key_1") {
		for _, from := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Origin", "https://evil.example"},
			{"Origin", "null"},
			{"Origin", ts.URL + ".evil.example"},
			{"Sec-Fetch-Site", "cross-site", "Origin", ts.URL},
		} {
			a := carl.send("POST", page, url.Values{"name": {"x"}, "confirm": {"x"}}, from...)
			if a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "another site") || len(a.Cookies()) > 0 {
				t.Errorf("POST %s with %v: %d, cookies %v", page, from, a.StatusCode, a.Cookies())
			}
			if a := newBrowser(t, ts.URL).send("POST", page, url.Values{"name": {"x"}}, from...); a.StatusCode != http.StatusForbidden || len(a.Cookies()) > 0 {
				t.Errorf("POST %s by a stranger with %v: %d, cookies %v", page, from, a.StatusCode, a.Cookies())
			}
		}
	}
	if after := ts.rowsOfAudit(); after != before {
		t.Errorf("%d entries in the audit log, want %d", after, before)
	}
}

// rowsOfAudit counts what was done, without refusals.
func (ts *testServer) rowsOfAudit() (n int) {
	ts.t.Helper()
	list, err := ts.store.Audit(ts.t.Context(), store.AuditFilter{}, 0, 1000)
	must(ts.t, err)
	for _, e := range list {
		if e.Outcome == "ok" {
			n++
		}
	}
	return n
}

// Every page of the portal, also those that refuse, has the whole policy, and
// nobody keeps it.
func TestEveryPageOfThePortalIsStrictAndIsNotKept(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	ann, carl := newBrowser(t, ts.URL).signInLocal("ann"), newBrowser(t, ts.URL).signInLocal("carl")
	for _, page := range append(ts.portalPages("GET", "key_1"), "/_portal/nothing/here") {
		if page == resumePath {
			continue // leads on, see below
		}
		for name, b := range map[string]*browser{"ann": ann, "carl": carl} {
			a := b.send("GET", page, nil)
			want := map[string]string{
				"Content-Security-Policy": portalCSP, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8",
			}
			if strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
				for header, value := range want {
					if got := a.Header.Values(header); !slices.Equal(got, []string{value}) {
						t.Errorf("%s for %s: %s is %q, want %q", page, name, header, got, value)
					}
				}
			} else if got := a.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s for %s: Cache-Control is %q", page, name, got)
			}
			if a.StatusCode >= 500 {
				t.Errorf("%s for %s: %d %.300s", page, name, a.StatusCode, a.body)
			}
		}
	}
	for _, b := range []*browser{ann, newBrowser(t, ts.URL)} {
		if a := b.send("GET", resumePath, nil); a.Header.Get("Cache-Control") != "no-store" || a.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %d, Cache-Control %q", resumePath, a.StatusCode, a.Header.Get("Cache-Control"))
		}
	}
}

// Templates have no script, style or handler in them, which the policy would not
// run anyway, and nothing from elsewhere.
func TestNoTemplateHasInlineScriptOrStyle(t *testing.T) {
	t.Parallel()
	bad := regexp.MustCompile(`(?i)<style|<script(?:>|\s[^>]*>\s*[^<\s])|\sstyle\s*=|\son[a-z]+\s*=|javascript:|srcdoc|<base|<iframe|http-equiv|(?:src|href|action)="?(?:https?:)?//`)
	n := 0
	must(t, fs.WalkDir(portal.Files(), "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		text, err := fs.ReadFile(portal.Files(), path)
		for _, found := range bad.FindAllString(string(text), -1) {
			t.Errorf("%s has %q", path, found)
		}
		return err
	}))
	if n < 20 {
		t.Errorf("%d templates were read", n)
	}
	for _, sample := range []string{`<p style="x">`, `<script>alert(1)</script>`, `<a onclick="x">`, `<img src="//evil">`, `<link href="https://evil">`} {
		if !bad.MatchString(sample) {
			t.Errorf("%s would not be found", sample)
		}
	}
}

// Strangers see nothing of the portal but the way to the login page, and back.
func TestStrangersAreLedToTheLoginPageFromThePortal(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	for _, page := range append(ts.portalPages("GET", "key_1"), "/_portal/nothing/here") {
		for _, method := range []string{"GET", "HEAD"} {
			a := newBrowser(t, ts.URL).send(method, page+"?q=1", nil)
			want := "/_auth/login?" + url.Values{"next": {page + "?q=1"}}.Encode()
			if got := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || got != want || a.body != "" {
				t.Errorf("%s %s: %d to %s, want 303 to %s", method, page, a.StatusCode, got, want)
			}
		}
	}
	for _, page := range ts.portalPages("POST", "key_1") {
		newBrowser(t, ts.URL).press(page, url.Values{"name": {"canary"}}).to(t, toResume).lacks(t, "canary")
	}
}

// Pages are for browsers with a session. Keys and tokens are for the API: whoever
// has one finds nothing more here than a stranger.
func TestNoKeyOrTokenOpensThePortal(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	made := ann.api("POST", "/v1/auth/keys", `{"name":"x"}`, "Content-Type", "application/json", "Sec-Fetch-Site", "same-origin")
	key, token := made.text(t, "api_key.key"), ann.token()
	for name, credential := range map[string][]string{
		"an access key": {"Authorization", basic("root", "secret")}, "an API key": bearer(key), "an API key in its own header": {"X-API-Key", key},
		"a session token": bearer(token), "nonsense": {"Authorization", "Bearer nonsense"},
	} {
		for _, page := range []string{"/_portal/", "/_portal/keys", "/_portal/profile"} {
			a := ts.do("GET", page, "", append(credential, "Accept", "text/html")...)
			if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/_auth/login?") {
				t.Errorf("%s with %s: %d to %q", page, name, a.StatusCode, a.Header.Get("Location"))
			}
		}
		// Beside a session they are not looked at.
		if a := ann.send("GET", "/_portal/profile", nil, credential[0], credential[1]); a.StatusCode != 200 || !strings.Contains(a.body, "local|ann") {
			t.Errorf("ann’s profile with %s: %d", name, a.StatusCode)
		}
	}
}

// Somebody who is no administrator gets nothing of the rooms of administrators,
// and nothing of what is somebody else's: it looks as if it were not there.
func TestNobodySeesInThePortalWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	bob := newBrowser(t, ts.URL).signInLocal("bob")
	made := bob.api("POST", "/v1/auth/keys", `{"name":"bobs-canary"}`, "Content-Type", "application/json", "Sec-Fetch-Site", "same-origin")
	client := bob.api("POST", clientsPath, `{"name":"bobs-canary","redirect_uris":["https://app.example/cb"]}`, "Content-Type", "application/json", "Sec-Fetch-Site", "same-origin")
	ids := []string{made.text(t, "api_key.id"), client.text(t, "client.client_id"), bob.api("GET", "/v1/auth/sessions", "").text(t, "sessions.0.id"), "key_0000000000"}
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	for _, id := range ids {
		for _, page := range ts.portalPages("GET", id) {
			refused := isAdmins(page) || strings.Contains(page, id)
			if page == resumePath || !refused {
				continue
			}
			a := ann.send("GET", page, nil).lacks(t, "bobs-canary", "local|bob")
			if a.StatusCode != http.StatusForbidden && a.StatusCode != http.StatusNotFound {
				t.Errorf("GET %s: %d", page, a.StatusCode)
			}
			if strings.Contains(page, id) && !isAdmins(page) && a.StatusCode != http.StatusNotFound {
				t.Errorf("GET %s: %d, want 404", page, a.StatusCode)
			}
		}
		before := ts.rowsOfAudit()
		for _, page := range ts.portalPages("POST", id) {
			if !isAdmins(page) && !strings.Contains(page, id) {
				continue
			}
			a := ann.press(page, url.Values{"confirm": {"bobs-canary"}, "name": {"taken"}, "grace_period_hours": {"0"}})
			if a.lacks(t, "bobs-canary"); a.StatusCode != http.StatusForbidden && a.StatusCode != http.StatusNotFound {
				t.Errorf("POST %s: %d to %q", page, a.StatusCode, a.Header.Get("Location"))
			}
		}
		if after := ts.rowsOfAudit(); after != before {
			t.Errorf("%s: %d things were done", id, after-before)
		}
	}
	ann.press("/_portal/sessions", url.Values{"id": {ids[2]}}) // somebody else's session
	bob.send("GET", "/_portal/keys", nil).has(t, 200, "bobs-canary")
	for _, all := range []string{"keys", "apps", "webhooks", "usage"} {
		if a := ann.send("GET", "/_portal/"+all+"?all=true", nil).lacks(t, "bobs-canary"); a.StatusCode >= 500 {
			t.Errorf("%s of everybody: %d", all, a.StatusCode)
		}
	}
}

// Somebody who may do nothing with the API has a portal about themselves.
func TestSomebodyWithoutPermissionsHasAPortal(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	dora := newBrowser(t, ts.URL).signInLocal("dora")
	for _, page := range []string{"", "profile", "sessions", "connected"} {
		a := dora.send("GET", "/_portal/"+page, nil).has(t, 200, "dora", `href="/_portal/profile"`)
		a.lacks(t, `href="/_portal/keys"`, `href="/_portal/apps"`, `href="/_portal/users"`)
	}
	dora.send("GET", "/_portal/keys", nil).has(t, http.StatusForbidden, "not for you to do")
}

func TestHeadOfThePortalHasNoBody(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	get, head := ann.send("GET", "/_portal/profile", nil), ann.send("HEAD", "/_portal/profile", nil)
	if head.StatusCode != 200 || head.body != "" || head.Header.Get("Content-Security-Policy") != portalCSP || head.ContentLength < 1000 {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %d (GET: %d)", head.StatusCode, len(head.body), head.ContentLength, get.ContentLength)
	}
}

// What is no page is none, however it is spelt, and no spelling leads anywhere.
func TestThePortalTakesNoOtherSpellings(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	cookie := "Cookie: " + ann.cookies()
	for target, want := range map[string]int{
		"/_portal/nothing": 404, "/_portal/keys/": 404, "/_portal/resume/": 404, "/_portal/keys/a/b/c": 404, "/_portal/keys;a=b": 404,
		"/_portal//keys": 400, "/_portal/keys//": 400, "/_portal/%2fkeys": 400, "/_portal/keys%2fnew": 400, "/_portal/x%5c..%5ckeys": 400,
		"/_portal/%00": 400, "/_portal/..%2f": 400, "/_portal/%2e%2e/": 400,
	} {
		a := wire(t, ts.Addr(), plainGet(target, "gate.test", cookie))
		if a == nil {
			t.Errorf("%s: no answer", target)
		} else if a.StatusCode != want || a.Header.Get("Location") != "" {
			t.Errorf("%s: %d to %q, want %d", target, a.StatusCode, a.Header.Get("Location"), want)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
		if a := ann.send(method, "/_portal/keys", nil); a.StatusCode != http.StatusMethodNotAllowed && a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", method, a.StatusCode)
		}
	}
	ann.send("GET", "/_portal", nil).to(t, "/_portal/")
	ann.send("GET", "/_auth/account?x=1", nil).to(t, "/_portal/profile") // an old link
}

// One page is one request: at the rate of whoever asks, in the log and in what is
// counted, whatever calls of the API it takes.
func TestAPageOfThePortalIsOneRequest(t *testing.T) {
	t.Parallel()
	ts := portalServer(t, withPolicyText(t,
		"tiers: {few: {requests_per_minute: 5}}", "roles: {developer: {tier: few, members: ['local|ann']}}", "defaults: {tier: few}"))
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	var limited bool
	pages := 0
	for range 8 {
		a := ann.send("GET", "/_portal/profile", nil)
		if a.StatusCode == http.StatusTooManyRequests {
			limited = true
			break
		}
		a.has(t, 200, "local|ann")
		pages++
		ts.requestLine(a)
	}
	if !limited || pages != 5 {
		t.Errorf("%d pages were shown, want 5; then limited: %v", pages, limited)
	}
	eventually(t, "the log lines", func() bool { return len(ts.portalLines()) >= 6 })
	for _, line := range ts.lines("request") {
		if path, _ := line["path"].(string); strings.HasPrefix(path, "/v1/auth/") || strings.HasPrefix(path, "/_auth/userinfo") {
			t.Errorf("a call of a page has a line of its own: %v", line)
		}
	}
	if got := len(ts.portalLines()); got != 6 {
		t.Errorf("%d lines, want 6", got)
	}
}

func (ts *testServer) portalLines() (list []map[string]any) {
	for _, line := range ts.lines("request") {
		if path, _ := line["path"].(string); strings.HasPrefix(path, "/_portal/") {
			list = append(list, line)
		}
	}
	return list
}

// Below another base URL, behind a proxy that ends TLS, all addresses are those that
// the browser knows, and cookies are for https.
func TestThePortalBelowABaseURLBehindAProxy(t *testing.T) {
	t.Parallel()
	ts := portalServer(t, func(c *Config) { c.BaseURL = "/gate/" })
	b := newBrowser(t, ts.URL)
	https := []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "gate.example.com", "X-Forwarded-For", "192.0.2.7"}
	from := append([]string{"Origin", "https://gate.example.com"}, https...)
	b.send("GET", "/gate/_portal/keys", nil, https...).to(t, "/gate/_auth/login?next=%2Fgate%2F_portal%2Fkeys")
	if a := b.send("POST", "/gate/_portal/keys/new", url.Values{"name": {"x"}}, from...); a.Header.Get("Location") != "/gate/_auth/login?next=%2Fgate%2F_portal%2Fresume" {
		t.Errorf("%d to %q", a.StatusCode, a.Header.Get("Location"))
	} else if c := a.Cookies(); len(c) != 1 || !c[0].Secure || c[0].Path != "/gate/_portal/" {
		t.Errorf("cookies %v", c)
	}
	a := b.send("POST", "/gate/_auth/login", url.Values{"username": {"ann"}, "password": {"ann-password"}, "next": {"/gate/_portal/"}}, from...)
	session := a.to(t, "/gate/_portal/").Cookies()[0]
	if session.Name != "__Host-wavegate" {
		t.Fatalf("the cookie is %s", session.Name)
	}
	page := ts.do("GET", "/gate/_portal/keys", "", append(https, "Cookie", session.Name+"="+session.Value, "Accept", "text/html")...).has(t, 200,
		`href="/gate/_portal/"`, `href="/gate/_portal/keys"`, "https://gate.example.com/gate/v1/auth/keys", `src="/gate/_auth/assets/`)
	page.lacks(t, `href="/_portal`, ts.URL)
	ts.do("GET", "/_portal/keys", "", https...).want(t, 404, "")
}

// Where nothing is routed at the root, people find the portal there; programs and
// every other address do not.
func TestTheRootLeadsToThePortalOnlyWhereNothingIsThere(t *testing.T) {
	t.Parallel()
	ts := portalServer(t)
	b := newBrowser(t, ts.URL)
	b.send("GET", "/", nil).to(t, "/_portal/")
	b.send("HEAD", "/", nil).to(t, "/_portal/")
	for what, a := range map[string]answer{
		"a program": ts.do("GET", "/", ""), "JSON": ts.do("GET", "/", "", "Accept", "application/json"), "another path": b.send("GET", "/elsewhere", nil), "a form": b.press("/", url.Values{}),
	} {
		if a.StatusCode == http.StatusFound || a.StatusCode == http.StatusSeeOther {
			t.Errorf("%s is led to %s", what, a.Header.Get("Location"))
		}
	}
	routed := portalServer(t, withPolicyText(t, "upstreams: [{route: /, url: 'static://204', access: public}]"))
	newBrowser(t, routed.URL).send("GET", "/", nil).want(t, http.StatusNoContent, "")
	nobody := guarded(t, hello, func(c *Config) {
		c.Upstreams = nil
		withPolicyText(t, "upstreams: [{route: /app, url: 'static://204'}]")(c)
	})
	nobody.do("GET", "/", "", "Accept", "text/html").want(t, http.StatusNotFound, "")
	nobody.do("GET", "/_portal/", "", "Accept", "text/html").want(t, http.StatusNotFound, "")
}

// No route of a policy and no app takes the place of the portal.
func TestNoRouteTakesThePlaceOfThePortal(t *testing.T) {
	t.Parallel()
	for _, route := range []string{"/_portal", "/_portal/keys"} {
		cfg := portalConfig(t, withPolicyText(t, "upstreams: [{route: "+route+", url: 'static://204'}]"))
		if _, err := New(cfg, &lockedBuffer{}); err == nil || !strings.Contains(err.Error(), "_portal") {
			t.Errorf("%s: %v", route, err)
		}
	}
	ts := portalServer(t, withPolicyText(t, "upstreams: [{route: /, url: 'static://204', access: public}]"))
	newBrowser(t, ts.URL).send("GET", "/_portal/keys", nil).to(t, "/_auth/login?next=%2F_portal%2Fkeys")
}

// Pages of the portal are no usage, nor what they ask of the API: those that move would be
// most of what they show.
func TestPagesOfThePortalAreNotCounted(t *testing.T) {
	t.Parallel()
	cfg := portalConfig(t)
	ts := startServer(t, cfg)
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	for range 3 {
		ann.send("GET", "/_portal/profile", nil).has(t, 200)
	}
	must(t, ts.stop()) // which writes what was counted
	ts = startServer(t, cfg)
	a := ts.do("GET", used+"?by=route&all=true", "", "Authorization", basic("root", "secret")).want(t, 200, "")
	rows, _ := a.object(t)["rows"].([]any)
	counts := map[string]any{}
	for _, row := range rows {
		counts[mapOf(row)["route"].(string)] = mapOf(row)["requests"]
	}
	if diff := cmp.Diff(map[string]any{"own": 1.0}, counts); diff != "" { // the login
		t.Errorf("requests by route (-want +got):\n%s", diff)
	}
}
