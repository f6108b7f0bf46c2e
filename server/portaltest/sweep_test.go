package portaltest

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"wavegate/server/manage"
	"wavegate/server/portal/browsertest"
)

// A sight is a page of the portal as the sweep looks at it.
type sight struct {
	pattern string // of the page
	name    string // of its pictures
	path    string // below the portal
	who     string
}

// sights are all pages of the portal, each with something on it.
func (w world) sights(t *testing.T, g *gate) []sight {
	t.Helper()
	atlas, secret := g.as(t, "bob").newClient(t, g.webApp("Atlas"))
	g.signedIn(t, "ada", "/_portal/profile").connect(atlas, secret)
	key, app, hook := w.keys["Video encoder"].ID, w.apps["Starplot"], w.webhooks["/alerts"]
	sent := g.as(t, "ada").deliveries(t, hook)[0].ID
	return slices.Concat([]sight{
		{"/{$}", "portal-overview", "", "ada"},
		{"/keys", "portal-keys", "keys", "ada"},
		{"/keys", "portal-keys-search", "keys?q=nothing+that+is+there", "ada"},
		{"/keys", "portal-keys-all", "keys?all=true", "grace"},
		{"/keys/new", "portal-key-new", "keys/new", "ada"},
		{"/keys/{id}", "portal-key", "keys/" + key, "ada"},
		{"/keys/{id}", "portal-key-grace", "keys/" + w.keys["Old encoder"].ID, "ada"},
		{"/keys/{id}", "portal-key-revoked", "keys/" + w.keys["Contractor"].ID, "ada"},
		{"/keys/{id}", "portal-key-budget", "keys/" + w.keys["CI pipeline"].ID, "ada"},
		{"/keys/{id}/edit", "portal-key-edit", "keys/" + key + "/edit", "ada"},
		{"/keys/{id}/rotate", "portal-key-rotate", "keys/" + key + "/rotate", "ada"},
		{"/keys/{id}/revoke", "portal-key-revoke", "keys/" + key + "/revoke", "ada"},
		{"/apps", "portal-apps", "apps", "ada"},
		{"/apps", "portal-apps-all", "apps?all=true", "grace"},
		{"/apps/new", "portal-app-kinds", "apps/new", "ada"},
		{"/apps/new", "portal-app-new", "apps/new?kind=web", "ada"},
		{"/apps/{id}", "portal-app", "apps/" + app, "ada"},
		{"/apps/{id}", "portal-app-disabled", "apps/" + w.apps["Importer of 2019"], "ada"},
		{"/apps/{id}/try", "portal-app-try", "apps/" + app + "/try", "ada"},
		{"/apps/{id}/edit", "portal-app-edit", "apps/" + app + "/edit", "ada"},
		{"/apps/{id}/rotate", "portal-app-rotate", "apps/" + app + "/rotate", "ada"},
		{"/apps/{id}/remove", "portal-app-remove", "apps/" + app + "/remove", "ada"},
		{"/webhooks", "portal-webhooks", "webhooks", "ada"},
		{"/webhooks/new", "portal-webhook-new", "webhooks/new", "ada"},
		{"/webhooks/{id}", "portal-webhook", "webhooks/" + hook, "ada"},
		{"/webhooks/{id}/edit", "portal-webhook-edit", "webhooks/" + hook + "/edit", "ada"},
		{"/webhooks/{id}/rotate", "portal-webhook-rotate", "webhooks/" + hook + "/rotate", "ada"},
		{"/webhooks/{id}/remove", "portal-webhook-remove", "webhooks/" + hook + "/remove", "ada"},
		{"/webhooks/{id}/deliveries/{did}", "portal-delivery", "webhooks/" + hook + "/deliveries/" + sent, "ada"},
		{"/usage", "portal-usage", "usage", "ada"},
		{"/usage", "portal-usage-key", "usage?key=" + key, "ada"},
		{"/usage", "portal-usage-all", "usage?all=true", "grace"},
		{"/sessions", "portal-sessions", "sessions", "ada"},
		{"/profile", "portal-profile", "profile", "ada"},
		{"/connected", "portal-connected", "connected", "ada"},
		{"/connected/{id}/withdraw", "portal-connected-withdraw", "connected/" + atlas + "/withdraw", "ada"},
	}, g.adminSights(t))
}

// connect lets an app of webApp use the account.
func (p *person) connect(app, secret string) {
	p.t.Helper()
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636, appendix B
	q := url.Values{
		"response_type": {"code"}, "client_id": {app}, "redirect_uri": {p.app.URL + "/callback"}, "scope": {"streams:read"}, "state": {"any"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	code := p.consent(p.url + "/oauth/authorize?" + q.Encode()).Get("code")
	body := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": q["redirect_uri"], "code_verifier": {verifier}}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+"/oauth/token", strings.NewReader(body.Encode()))
	must(p.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(app, secret)
	if resp, text := fetch(p.t, req); resp.StatusCode != http.StatusOK {
		p.t.Errorf("the app's code is answered %s: %s", resp.Status, text)
	}
}

// adminSights are the pages for administrators alone.
func (g *gate) adminSights(t *testing.T) []sight {
	t.Helper()
	user := "users/" + g.userID(t, "ada")
	return []sight{
		{"/{$}", "portal-overview-admin", "", "grace"},
		{"/users", "portal-users", "users", "grace"},
		{"/users/{id}", "portal-user", user, "grace"},
		{"/users/{id}/disable", "portal-user-disable", user + "/disable", "grace"},
		{"/users/{id}/end-sessions", "portal-user-end-sessions", user + "/end-sessions", "grace"},
		{"/access-keys", "portal-access-keys", "access-keys", "grace"},
		{"/access-keys/new", "portal-access-key-new", "access-keys/new", "grace"},
		{"/access-keys/{id}/remove", "portal-access-key-remove", "access-keys/" + base64.RawURLEncoding.EncodeToString([]byte(g.keyID)) + "/remove", "grace"},
		{"/lockouts", "portal-lockouts", "lockouts", "grace"},
		{"/signing-keys", "portal-signing-keys", "signing-keys", "grace"},
		{"/signing-keys/rotate", "portal-signing-keys-rotate", "signing-keys/rotate", "grace"},
		{"/audit", "portal-audit", "audit", "grace"},
		{"/audit/verify", "portal-audit-verify", "audit/verify", "grace"},
		{"/policy", "portal-policy", "policy", "grace"},
		{"/why", "portal-why", "why", "grace"},
		{"/health", "portal-health", "health", "grace"},
	}
}

// userID finds somebody who has signed in.
func (g *gate) userID(t *testing.T, name string) string {
	t.Helper()
	var answer struct {
		Users []struct{ ID, Username string }
	}
	g.as(t, "grace").call(t, "GET", "/v1/auth/users?q="+name, nil, &answer)
	for _, u := range answer.Users {
		if u.Username == name {
			return u.ID
		}
	}
	t.Fatalf("there is no user %s among %v", name, answer.Users)
	return ""
}

// notSwept are pages that show nothing of their own.
var notSwept = []string{
	"/resume", // leads on to the form that waits
}

// looksToSweep are two of the looks, which together have all there is to see, and all of
// them where pictures are taken.
func looksToSweep() []browsertest.Look {
	all := browsertest.Looks()
	if os.Getenv("WAVEGATE_SCREENSHOTS") != "" {
		return all
	}
	return []browsertest.Look{all[0], all[3]}
}

func TestSweepOfAllPages(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	w := g.fill(t)
	sights := w.sights(t, g)
	for _, pattern := range new(manage.Desk).Patterns() {
		if path, shows := strings.CutPrefix(pattern, "GET "); shows && !slices.Contains(notSwept, path) &&
			!slices.ContainsFunc(sights, func(s sight) bool { return s.pattern == path }) {
			t.Errorf("nobody looks at the page %s: it wants a line in sights", path)
		}
	}
	people := map[string]*person{"ada": g.signedIn(t, "ada", "/_portal/"), "grace": g.signedIn(t, "grace", "/_portal/")}
	for _, s := range sights {
		t.Run(s.name, func(t *testing.T) { people[s.who].with(t).sweep(s) })
	}
}

// with is the same person for the steps of another test.
func (p *person) with(t *testing.T) *person {
	now := *p
	now.t = t
	return &now
}

// sweep opens a page and looks at it in each way.
func (p *person) sweep(s sight) {
	p.t.Helper()
	p.page.Navigate(p.t, p.url+"/_portal/"+s.path)
	at := p.loaded()
	if at.Status != 200 || at.Weight > maxWeight {
		p.t.Fatalf("%s is answered %d with %d bytes, want 200 and at most %d", at.Page, at.Status, at.Weight, maxWeight)
	}
	p.t.Logf("%s: %d KB, on the screen after %s", s.name, at.Weight>>10, p.firstPaint())
	for _, look := range looksToSweep() {
		p.page.Show(p.t, look)
		p.check()
		p.page.Screenshot(p.t, "all-"+s.name) // the pictures of the documentation have the names alone
	}
	p.page.Show(p.t, p.look)
}
