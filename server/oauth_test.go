package server

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestTheIssuerIsTheAddressThatIsKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ listen, base, public, want string }{
		{":10101", "/", "", "http://localhost:10101"},
		{"0.0.0.0:80", "/gate/", "", "http://localhost:80/gate"},
		{"[::1]:8080", "/", "", "http://[::1]:8080"},
		{":10101", "/gate/", "https://gate.example.com/", "https://gate.example.com/gate"},
		{"unix:/run/gate.sock", "/", "https://gate.example.com", "https://gate.example.com"},
		// What no client could reach is no issuer.
		{"127.0.0.1:0", "/", "", ""},
		{"unix:/run/gate.sock", "/", "", ""},
		{"unix:/run/80", "/", "", ""},
		{"unix:80", "/", "", ""},
	} {
		if got := (Config{Listen: c.listen, BaseURL: c.base, PublicURL: c.public}).oauthPrefix(); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestAnApprovalWithoutItsSessionLeadsBackToTheQuestion(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.makeClient("all", `{"name":"site","scopes":["streams:read"],"redirect_uris":["`+appRedirect+`"],"pkce":"optional"}`)
	ann := newBrowser(t, m.URL).signInLocal("ann")
	q := url.Values{"response_type": {"code"}, "client_id": {made.ID}, "redirect_uri": {appRedirect}, "scope": {"streams:read"}}
	found := hiddenRequest.FindStringSubmatch(ann.send("GET", "/oauth/authorize?"+q.Encode(), nil).body)
	if found == nil {
		t.Fatal("no consent page")
	}
	form := url.Values{"request": {found[1]}, "decision": {"allow"}}
	for _, c := range []struct {
		b      *browser
		status int
		title  string
	}{
		{newBrowser(t, m.URL), http.StatusUnauthorized, "You were signed out meanwhile"},
		{newBrowser(t, m.URL).signInLocal("ann"), http.StatusBadRequest, "You signed in again meanwhile"},
	} {
		a := c.b.send("POST", decisionPath, form, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate")
		if a.StatusCode != c.status || !strings.Contains(a.body, c.title) || !strings.Contains(a.body, `href="/oauth/authorize?client_id=`+made.ID) {
			t.Errorf("%s: %d %s", c.title, a.StatusCode, a.body)
		}
	}
}

func TestASignInThatAFormNeedsLeadsBackToItsPage(t *testing.T) {
	t.Parallel()
	b := newBrowser(t, issue(t).URL)
	a := b.send("POST", deviceCodePath, url.Values{"user_code": {"bbbb bbbb"}}, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate")
	if want := loginPath + "?next=" + url.QueryEscape(devicePath+"?user_code=BBBBBBBB"); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != want {
		t.Errorf("a device's code: %d to %s, want %s", a.StatusCode, a.Header.Get("Location"), want)
	}
}

func TestATokenThatIsOursIsNoGuess(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.makeClient("all", `{"name":"service","scopes":["streams:read"]}`)
	form := ownGrant()
	form.Set("resource", "http://gate.test/elsewhere")
	other, ended, good := issuedIn(t, m.tokenFor(made, form)).Access, m.own(made), m.own(made)
	m.do("POST", "/oauth/revoke", url.Values{"token": {ended}}.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Authorization", basic(made.ID, made.Secret))
	for range 30 { // more than lock out an address
		m.do("GET", "/v1/streams", "", by(other)...).want(t, 401, "invalid_token")
		m.do("GET", "/v1/streams", "", by(ended)...).want(t, 401, "invalid_token")
		m.do("GET", "/oauth/userinfo", "", by(ended)...).want(t, 401, "invalid_token")
	}
	m.do("GET", "/v1/streams", "", by(good)...).want(t, 200, "")
}

func TestAnotherTierOfAClientCountsForTheTokensThatItHas(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string][2]*managed{"one process": {}, "two": sqlitePair(t)} {
		if pair[0] == nil {
			one := issue(t)
			pair = [2]*managed{one, one}
		}
		made := pair[0].makeClient("all", `{"name":"service","scopes":["streams:read"]}`)
		token := pair[0].own(made)
		limitOf := func() string {
			return pair[1].do("GET", "/v1/streams", "", by(token)...).want(t, 200, "").Header.Get("X-RateLimit-Limit")
		}
		if got := limitOf(); got != "" {
			t.Errorf("%s: %s a minute before", name, got)
		}
		pair[0].as("root", "PATCH", clientsPath+"/"+made.ID, `{"rate_limit_tier":"business"}`).want(t, 200, "")
		eventually(t, name+": the tier", func() bool { return limitOf() == "1000" })
	}
}

func TestTheLogSaysWhichClientAsked(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.makeClient("all", `{"name":"site","scopes":["streams:read"],"redirect_uris":["`+appRedirect+`"]}`)
	ann := newBrowser(t, m.URL).signInLocal("ann")
	m.do("GET", "/v1/streams", "", by(ann.allow(made, "streams:read").Access)...).want(t, 200, "")
	ann.send("GET", "/oauth/authorize?client_id="+made.ID+"&response_type=none", nil)
	m.tokenFor(madeClient{made.ID, "wgcs_wrong"}, ownGrant()).want(t, 401, "")
	for path, least := range map[string]int{"/v1/streams": 1, authorizePath: 2, decisionPath: 1, "/oauth/token": 2} {
		eventually(t, path+" with its client in the log", func() bool {
			lines := 0
			for line := range strings.Lines(m.log.String()) {
				if strings.Contains(line, `"path":"`+path+`"`) && strings.Contains(line, `"client":"`+made.ID+`"`) {
					lines++
				}
			}
			return lines >= least
		})
	}
}
