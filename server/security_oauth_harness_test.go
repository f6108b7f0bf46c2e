package server

import (
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// An attackedOAuth is an authorization server that is attacked. It has what attacked has;
// its issuer is its own address.
type attackedOAuth struct{ attacked }

// attackOAuth starts an authorization server without lockouts, with more lines of policy.
func attackOAuth(t *testing.T, more string, change ...func(*Config)) attackedOAuth {
	t.Helper()
	return attackOAuthWith(t, more, func(s *Server) { withoutLockouts(&testServer{Server: s}) }, change...)
}

// attackOAuthWith is attackOAuth, but for what prepare does instead of taking lockouts away.
func attackOAuthWith(t *testing.T, more string, prepare func(*Server), change ...func(*Config)) attackedOAuth {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(socketApp))
	t.Cleanup(app.Close)
	cfg := attackedConfig(t, app.URL, more, append(change, func(c *Config) { c.Listen = freeAddress(t) })...)
	return attackedOAuth{attacked{startServer(t, cfg, prepare)}}
}

// An app is a client as its maker sees it.
type app struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// The addresses of apps in these tests.
const (
	appURI   = "https://app.example.com/cb"
	otherURI = "https://app.example.com/other"
)

// The PKCE verifiers of apps in these tests.
var (
	proof      = strings.Repeat("v", 43)
	wrongProof = strings.Repeat("w", 43)
)

func challengeOf(proof string) string {
	sum := sha256.Sum256([]byte(proof))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// app makes a client with an access key; fields are those of the body beside name,
// redirect_uris and scopes.
func (o attackedOAuth) app(key, fields string) app {
	o.t.Helper()
	if fields != "" {
		fields = "," + fields
	}
	body := `{"name":"Reports","redirect_uris":["` + appURI + `","` + otherURI + `"],"scopes":["things:read","things:write"]` + fields + `}`
	var v struct {
		Client app `json:"client"`
	}
	a := o.by(key, "POST", "/v1/auth/clients", body)
	if err := json.Unmarshal([]byte(a.body), &v); a.StatusCode != 201 || err != nil {
		o.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return v.Client
}

// Fields of clients.
const (
	isPublic = `"type":"public"`
	hasAll   = `"grant_types":["authorization_code","refresh_token","client_credentials","urn:ietf:params:oauth:grant-type:device_code"]`
)

// values are name, value pairs; of a name that comes twice the last counts, and ""
// is none.
func values(base url.Values, pairs ...string) url.Values {
	v := maps.Clone(base)
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Del(pairs[i])
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

// ask is a good authorization request of a client, changed.
func ask(c app, change ...string) url.Values {
	return values(url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {appURI}, "scope": {"openid offline_access things:read"},
		"state": {"st"}, "nonce": {"no"}, "code_challenge": {challengeOf(proof)}, "code_challenge_method": {"S256"},
	}, change...)
}

// person returns a browser in which somebody is signed in.
func (o attackedOAuth) person(name string) *browser {
	o.t.Helper()
	return newBrowser(o.t, o.URL).signInLocal(name)
}

// authorize goes to the authorization endpoint.
func (b *browser) authorize(q url.Values) answer {
	b.t.Helper()
	return b.send("GET", "/oauth/authorize?"+q.Encode(), nil)
}

var sealedRequest = regexp.MustCompile(`name="request" value="([^"]*)"`)

// sealed returns what a page of ours wants back with the decision.
func (a answer) sealed(t *testing.T) string {
	t.Helper()
	m := sealedRequest.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no page that asks: %d to %q: %.500s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	return html.UnescapeString(m[1])
}

// decide sends the form of a page.
func (b *browser) decide(path, sealed, decision string, headers ...string) answer {
	b.t.Helper()
	if headers == nil {
		headers = fromOurPage
	}
	return b.send("POST", path, url.Values{"request": {sealed}, "decision": {decision}}, headers...)
}

// fromOurPage is what a browser says of a form of our own pages.
var fromOurPage = []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate"}

// codeFor has a person agree and returns the code.
func (b *browser) codeFor(q url.Values) string {
	b.t.Helper()
	a := b.authorize(q)
	if a.StatusCode == 200 {
		a = b.decide(decisionPath, a.sealed(b.t), "allow")
	}
	code := a.sentBack(b.t).Get("code")
	if code == "" {
		b.t.Fatalf("no code: %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	return code
}

// sentBack returns what a redirect to the client says; nothing where there is none.
func (a answer) sentBack(t *testing.T) url.Values {
	t.Helper()
	u, err := url.Parse(a.Header.Get("Location"))
	must(t, err)
	if u.Host != "app.example.com" {
		return url.Values{}
	}
	return u.Query()
}

// redeeming is a good token request with a code, changed.
func redeeming(code string, change ...string) url.Values {
	return values(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {appURI}, "code_verifier": {proof}}, change...)
}

// refreshing is a good token request with a refresh token, changed.
func refreshing(token string, change ...string) url.Values {
	return values(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, change...)
}

// call sends a form to an endpoint of clients, as a client.
func (o attackedOAuth) call(path string, c app, form url.Values, headers ...string) answer {
	o.t.Helper()
	if c.Secret != "" {
		headers = append(headers, "Authorization", basic(c.ID, c.Secret))
	} else if c.ID != "" {
		form = values(form, "client_id", c.ID)
	}
	return o.do("POST", path, form.Encode(), append(headers, "Content-Type", "application/x-www-form-urlencoded")...)
}

func (o attackedOAuth) token(c app, form url.Values) answer {
	o.t.Helper()
	return o.call("/oauth/token", c, form)
}

// Tokens are what the token endpoint gave.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Scope   string `json:"scope"`
}

// given reads the tokens of an answer, which must have some.
func (a answer) given(t *testing.T) tokens {
	t.Helper()
	var v tokens
	if err := json.Unmarshal([]byte(a.body), &v); a.StatusCode != 200 || err != nil || v.Access == "" {
		t.Fatalf("no tokens: %d %s", a.StatusCode, a.body)
	}
	return v
}

// letIn has a person agree and redeems the code.
func (o attackedOAuth) letIn(b *browser, c app, change ...string) tokens {
	o.t.Helper()
	return o.token(c, redeeming(b.codeFor(ask(c, change...)))).given(o.t)
}

// refused fails the test unless an answer is an OAuth error without any token in it.
func (a answer) refused(t *testing.T, what string, status int, code string) {
	t.Helper()
	var v struct {
		Error       string
		Description string `json:"error_description"`
	}
	err := json.Unmarshal([]byte(a.body), &v)
	if a.StatusCode != status || err != nil || v.Error != code || v.Description == "" || strings.Contains(a.body, "_token\"") {
		t.Errorf("%s: %d %s, want %d %s", what, a.StatusCode, a.body, status, code)
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s: Cache-Control %q", what, got)
	}
}

// opens reports the status with which the gateway answers an access token.
func (o attackedOAuth) opens(token string) int {
	o.t.Helper()
	return o.things(token, "192.0.2.1").StatusCode
}

// active reports what introspection by the client says of a token.
func (o attackedOAuth) active(c app, token string) bool {
	o.t.Helper()
	a := o.call("/oauth/introspect", c, url.Values{"token": {token}})
	if a.StatusCode != 200 {
		o.t.Fatalf("introspection: %d %s", a.StatusCode, a.body)
	}
	active, _ := a.object(o.t)["active"].(bool)
	return active
}

// alter changes rows of the SQLite file, of which there must be some.
func (o attackedOAuth) alter(query string) {
	o.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(o.cfg.DataDir, "wavegate.db")+"?_pragma=busy_timeout(10000)")
	must(o.t, err)
	defer db.Close()
	res, err := db.ExecContext(o.t.Context(), query)
	must(o.t, err)
	if n, err := res.RowsAffected(); n == 0 || err != nil {
		o.t.Fatalf("%s: %d rows, %v", query, n, err)
	}
}

// rowsIn counts the rows of a table of the SQLite file.
func (o attackedOAuth) rowsIn(table string) (n int) {
	o.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(o.cfg.DataDir, "wavegate.db")+"?mode=ro&_pragma=busy_timeout(10000)")
	must(o.t, err)
	defer db.Close()
	must(o.t, db.QueryRowContext(o.t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}
