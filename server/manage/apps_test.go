package manage

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"wavegate/server/fault"
)

const appID = "client_abcdefghij"

// anApp is an app as the API shows it; changes are fields that are otherwise.
func anApp(changes map[string]any) map[string]any {
	app := map[string]any{
		"client_id": appID, "name": "Starplot", "type": "confidential", "redirect_uris": []string{"https://plots.example.com/cb", "http://localhost:8080/cb"},
		"post_logout_redirect_uris": []string{}, "scopes": []string{"streams:read"}, "grant_types": []string{"authorization_code", "refresh_token"}, "pkce": "required",
		"first_party": false, "introspection": false, "registered_itself": false, "token_endpoint_auth_method": "client_secret_basic", "jwks": nil,
		"id_token_signed_response_alg": "RS256", "client_uri": nil, "rate_limit_tier": "standard", "owner": "sub:local|ann", "status": "active",
		"client_secrets": []any{map[string]any{"id": "sec_1", "ends_in": "wxyz", "created_at": "2026-03-09T08:12:40Z", "expires_at": nil}},
		"created_at":     "2026-03-09T08:12:40Z", "disabled_at": nil, "version": 4,
	}
	maps.Copy(app, changes)
	return app
}

// appCatalog is what can be chosen from.
const appCatalog = `{"scopes": [{"name": "streams:read", "description": "See streams", "risk": "low", "may_give": true},
	{"name": "streams:delete", "description": "Delete streams", "risk": "high", "may_give": false}],
	"roles": [], "tiers": [{"name": "standard", "may_give": true}, {"name": "fast", "may_give": true}], "environments": ["live"], "events": []}`

// appMetadata is what the authorization server says of itself.
const appMetadata = `{"issuer": "https://id.example.com", "authorization_endpoint": "https://id.example.com/oauth/authorize", "token_endpoint": "https://id.example.com/oauth/token",
	"userinfo_endpoint": "https://id.example.com/oauth/userinfo", "jwks_uri": "https://id.example.com/oauth/jwks", "device_authorization_endpoint": "https://id.example.com/oauth/device",
	"introspection_endpoint": "https://id.example.com/oauth/introspect", "end_session_endpoint": "https://id.example.com/oauth/logout",
	"prompt_values_supported": ["none", "login", "consent", "select_account"]}`

// appDesk is a portal whose API has the app anApp(changes).
func appDesk(t *testing.T, changes map[string]any) *testDesk {
	app := map[string]any{"client": anApp(changes)}
	return newDesk(t, map[string]any{
		"GET /v1/auth/clients": map[string]any{"clients": []any{anApp(changes)}}, "GET /v1/auth/clients/" + appID: app, "PATCH /v1/auth/clients/" + appID: app,
		"DELETE /v1/auth/clients/" + appID: "", "GET /v1/auth/catalog": appCatalog, "GET /.well-known/openid-configuration": appMetadata,
		"POST /v1/auth/clients/check": `{"valid": true, "errors": []}`,
	})
}

// sameJSON fails the test unless a body is the JSON that is wanted.
func sameJSON(t *testing.T, body, want string) {
	t.Helper()
	var got, wanted any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestAppsAreListed(t *testing.T) {
	ending := []any{
		map[string]any{"id": "sec_1", "ends_in": "aaaa", "created_at": "2026-03-09T08:12:40Z", "expires_at": "2026-04-09T08:12:40Z"},
		map[string]any{"id": "sec_2", "ends_in": "bbbb", "created_at": "2026-03-10T08:12:40Z", "expires_at": nil},
	}
	d := appDesk(t, map[string]any{"client_secrets": ending})
	page := d.get("apps?q=star&cursor=c1").want(http.StatusOK, "Starplot", "plots.example.com and 1 more", "Confidential", "one ends", "2026-04-09", `value="star"`, "First page", `href="/gate/_portal/apps/new"`)
	page.without("sub:local|ann", "All apps</h1>")
	if got, want := d.made("GET")[0], "/v1/auth/clients?cursor=c1&limit=50&q=star"; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}

	d.admin().get("apps?all=true").want(http.StatusOK, "All apps", "sub:local|ann")
	if got := d.made("GET"); !strings.Contains(strings.Join(got, " "), "/v1/auth/clients?all=true&limit=50") {
		t.Errorf("asked for %q", got)
	}
}

func TestAppsSayWhatTheyAreForWhereThereIsNone(t *testing.T) {
	d := appDesk(t, nil)
	d.api.answers["GET /v1/auth/clients"] = `{"clients": []}`
	d.get("apps").want(http.StatusOK, "Register your first app", "an API key is enough", ">New app</a>")
	d.get("apps?q=x").want(http.StatusOK, "No app fits", `type="search"`)
	d.admin().get("apps?all=true").want(http.StatusOK, "Nobody has an app yet")

	d.api.answers["GET /v1/auth/status"] = map[string]any{"caller": map[string]any{"permissions": []string{"clients:read"}}}
	d.get("apps").want(http.StatusOK, "Register your first app").without("apps/new")
}

func TestRegisteringAnAppAsksFirstOfWhatKindItIs(t *testing.T) {
	d := appDesk(t, nil)
	page := d.get("apps/new").want(http.StatusOK, "What kind of app is it?", "an <a href=\"/gate/_portal/keys\">API key</a> is enough")
	for _, kind := range []string{"web", "page", "program", "device"} {
		page.want(http.StatusOK, "kind="+kind+`"`)
	}
	d.get("apps/new?kind=else").want(http.StatusOK, "What kind of app is it?")
	for kind, want := range map[string][2]string{
		"web": {"confidential", "authorization_code refresh_token"}, "page": {"public", "authorization_code refresh_token"},
		"program": {"confidential", "client_credentials"}, "device": {"public", "urn:ietf:params:oauth:grant-type:device_code refresh_token"},
	} {
		form := d.get("apps/new?kind=" + kind).form("apps/new")
		if got := [2]string{form.Get("type"), strings.Join(form["grant_types"], " ")}; got[0] != want[0] || !sameWords(got[1], want[1]) {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
		if form.Get("pkce") != "required" || form.Get("kind") != kind {
			t.Errorf("%s: %v", kind, form)
		}
	}
}

// sameWords reports whether two texts have the same words in any order.
func sameWords(a, b string) bool {
	count := map[string]int{}
	for w := range strings.FieldsSeq(a) {
		count[w]++
	}
	for w := range strings.FieldsSeq(b) {
		count[w]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestAnAppIsRegisteredOnceAndItsSecretShownOnce(t *testing.T) {
	d := appDesk(t, nil)
	d.api.answers["POST /v1/auth/clients"] = map[string]any{"client": anApp(map[string]any{"client_secret": "wgcs_once"})}
	form := d.get("apps/new?kind=web").form("apps/new")
	form.Set("name", "Starplot")
	form.Set("redirect_uris", " https://plots.example.com/cb \r\n\r\nhttp://localhost:8080/cb\r\n")
	form.Set("scopes", "streams:read")
	form.Set("first_party", "true") // administrators alone have that field
	page := d.post("apps/new", form).want(http.StatusOK, "wgcs_once", "Copy the secret now", appID, "Send the browser here", "https://id.example.com/oauth/authorize?", "Make tokens of the code")
	if page.Header.Get("Cache-Control") != "no-store" {
		t.Error("the page with the secret may be kept")
	}
	_, body := d.last("POST")
	sameJSON(t, body, `{"name": "Starplot", "type": "confidential", "redirect_uris": ["https://plots.example.com/cb", "http://localhost:8080/cb"],
		"scopes": ["streams:read"], "grant_types": ["authorization_code", "refresh_token"], "pkce": "required"}`)

	d.post("apps/new", form).want(http.StatusOK, "This form was sent twice").without("wgcs_once")
	if got := d.made("POST"); len(got) != 1 {
		t.Errorf("made %q", got)
	}
}

func TestAProgramGetsACommandThatWorksAtOnce(t *testing.T) {
	d := appDesk(t, nil)
	d.api.answers["POST /v1/auth/clients"] = map[string]any{"client": anApp(map[string]any{"client_secret": "wgcs_once", "grant_types": []string{"client_credentials"}, "redirect_uris": []string{}})}
	form := d.get("apps/new?kind=program").form("apps/new")
	form.Set("name", "nightly")
	text := html.UnescapeString(d.post("apps/new", form).want(http.StatusOK, "wgcs_once").without("oauth/authorize").Body)
	if want := "curl 'https://id.example.com/oauth/token' \\\n  -u '" + appID + ":wgcs_once' \\\n  -d 'grant_type=client_credentials'"; !strings.Contains(text, want) {
		t.Errorf("the page lacks the command %s", want)
	}
}

func TestAPublicAppHasNoSecretToShow(t *testing.T) {
	d := appDesk(t, nil)
	d.api.answers["POST /v1/auth/clients"] = map[string]any{"client": anApp(map[string]any{"type": "public", "token_endpoint_auth_method": "none", "client_secrets": []any{}})}
	form := d.get("apps/new?kind=page").form("apps/new")
	form.Set("name", "Pocket")
	d.post("apps/new", form).want(http.StatusOK, appID, "Go to the app", "client_id="+appID).without("Copy the secret", "CLIENT_SECRET")
}

func TestWhatIsWrongWithRedirectURIsNamesTheLine(t *testing.T) {
	d := appDesk(t, nil)
	d.api.answers["POST /v1/auth/clients/check"] = `{"valid": false, "errors": [{"field": "redirect_uris[1]", "message": "it has a fragment"}, {"field": "redirect_uris[2]", "message": "it has a user name"}]}`
	form := d.get("apps/new?kind=web").form("apps/new")
	form.Set("redirect_uris", "https://a.example/\r\n\r\nhttps://b.example/#x\r\nhttps://u@c.example/")
	form.Set("_preview", "redirect_uris")
	d.post("apps/new", form).want(http.StatusOK, "Line 3: it has a fragment. Line 4: it has a user name.").without("Name</label> is")
	c, body := d.last("POST")
	if c.Target() != "/v1/auth/clients/check?partial=true" || len(d.made("POST")) != 1 {
		t.Errorf("made %q", d.made("POST"))
	}
	sameJSON(t, body, `{"type": "confidential", "redirect_uris": ["https://a.example/", "https://b.example/#x", "https://u@c.example/"],
		"grant_types": ["authorization_code", "refresh_token"], "pkce": "required"}`)

	refused := fault.New(http.StatusUnprocessableEntity, "invalid_request", "Some fields are wrong.")
	refused.Fields = []fault.Field{{Field: "redirect_uris[0]", Message: "want an absolute address"}, {Field: "odd", Message: "is not known"}}
	d.api.answers["POST /v1/auth/clients"] = refused
	form.Del("_preview")
	form.Set("redirect_uris", "plots")
	d.post("apps/new", form).want(http.StatusOK, "It has to be an absolute address.", "odd: This is not known.", "<title>Error: ", "\nplots</textarea>")
}

func TestAnAppIsShownWithWhatItsDeveloperNeeds(t *testing.T) {
	d := appDesk(t, map[string]any{"client_uri": "https://starplot.example"})
	d.get("apps/"+appID).want(http.StatusOK, "Starplot", appID, "…wxyz", "https://plots.example.com/cb", "https://id.example.com/.well-known/openid-configuration",
		"https://id.example.com/oauth/token", "https://id.example.com/oauth/jwks", ">Try it</a>", ">Rotate secret</a>", ">Disable</button>", "Remove…", "/v1/auth/clients/"+appID)

	delete(d.api.answers, "GET /.well-known/openid-configuration")
	d.get("apps/"+appID).want(http.StatusOK, "This server gives no tokens").without("Try it")

	d.api.answers["GET /v1/auth/status"] = map[string]any{"caller": map[string]any{"permissions": []string{"clients:read"}}}
	d.get("apps/"+appID).want(http.StatusOK, "Starplot").without("Disable</button>", "Remove…", "/edit", "/rotate")
	d.get("apps/client_of_others").want(http.StatusNotFound, "There is nothing here")
}

func TestAnAppIsStoppedAndThatIsTakenBack(t *testing.T) {
	d := appDesk(t, nil)
	d.post("apps/"+appID+"/disable", d.get("apps/"+appID).form("apps/"+appID+"/disable")).leads("apps/" + appID + "?done=app-disabled")
	_, body := d.last("PATCH")
	sameJSON(t, body, `{"disabled": true}`)

	d.api.answers["GET /v1/auth/clients/"+appID] = map[string]any{"client": anApp(map[string]any{"status": "disabled", "disabled_at": "2026-03-10T00:00:00Z"})}
	page := d.get("apps/"+appID+"?done=app-disabled").want(http.StatusOK, "Its tokens open nothing", ">Undo</button>", ">Enable</button>")
	d.post("apps/"+appID+"/disable", page.form("apps/"+appID+"/disable")).leads("apps/" + appID + "?done=app-enabled")
	_, body = d.last("PATCH")
	sameJSON(t, body, `{"disabled": false}`)

	d.api.answers["PATCH /v1/auth/clients/"+appID] = fault.New(http.StatusForbidden, "insufficient_scope", "That is too much.")
	d.post("apps/"+appID+"/disable", url.Values{"disabled": {"false"}}).want(http.StatusOK, "That is too much.", "Starplot")
}

func TestAnAppIsRemovedOnceItsNameIsTyped(t *testing.T) {
	d := appDesk(t, nil)
	form := d.get("apps/" + appID + "/remove").form("apps/" + appID + "/remove")
	d.post("apps/"+appID+"/remove", form).want(http.StatusOK, "That is not the name")
	if got := d.made("DELETE"); len(got) != 0 {
		t.Fatalf("made %q", got)
	}
	form.Set("confirm", "Starplot")
	d.post("apps/"+appID+"/remove", form).leads("apps?done=app-removed")

	d = appDesk(t, map[string]any{"owner": "sub:local|bea"}).admin()
	form = d.get("apps/" + appID + "/remove").form("apps/" + appID + "/remove")
	form.Set("confirm", "Starplot")
	d.post("apps/"+appID+"/remove", form).leads("apps?all=true&done=app-removed")
}

func TestASecretIsRotated(t *testing.T) {
	d := appDesk(t, nil)
	both := []any{
		map[string]any{"id": "sec_1", "ends_in": "wxyz", "created_at": "2026-03-09T08:12:40Z", "expires_at": "2026-04-09T08:12:40Z"},
		map[string]any{"id": "sec_2", "ends_in": "next", "created_at": "2026-03-10T08:12:40Z", "expires_at": nil},
	}
	d.api.answers["POST /v1/auth/clients/"+appID+"/rotate-secret"] = map[string]any{"client": anApp(map[string]any{"client_secret": "wgcs_second", "client_secrets": both})}
	form := d.get("apps/" + appID + "/rotate").form("apps/" + appID + "/rotate")
	if form.Get("grace_period_hours") != "24" {
		t.Errorf("the grace is %v", form)
	}
	form.Set("grace_period_hours", "168")
	d.post("apps/"+appID+"/rotate", form).want(http.StatusOK, "wgcs_second", "which ends in <code>wxyz</code>").without("Send the browser here")
	_, body := d.last("POST")
	sameJSON(t, body, `{"grace_period_hours": 168}`)
}

func TestAnAppIsChangedByItsVersion(t *testing.T) {
	d := appDesk(t, nil)
	form := d.get("apps/" + appID + "/edit").form("apps/" + appID + "/edit")
	form.Set("name", "Star plots")
	form.Set("redirect_uris", "https://plots.example.com/cb")
	d.post("apps/"+appID+"/edit", form).leads("apps/" + appID + "?done=saved")
	c, body := d.last("PATCH")
	if c.Match != "4" {
		t.Errorf("If-Match %q", c.Match)
	}
	sameJSON(t, body, `{"name": "Star plots", "redirect_uris": ["https://plots.example.com/cb"], "post_logout_redirect_uris": [], "scopes": ["streams:read"],
		"grant_types": ["authorization_code", "refresh_token"], "pkce": "required", "client_uri": null, "jwks": null, "id_token_signed_response_alg": "RS256"}`)

	form.Set("_once", "another")
	d.api.answers["PATCH /v1/auth/clients/"+appID] = fault.New(http.StatusPreconditionFailed, "precondition_failed", "It was changed.")
	d.api.answers["GET /v1/auth/clients/"+appID] = map[string]any{"client": anApp(map[string]any{"name": "Nebula", "version": 9})}
	again := d.post("apps/"+appID+"/edit", form).want(http.StatusOK, "Somebody else changed this app meanwhile", "<bdi>Nebula</bdi>", `value="Star plots"`).form("apps/" + appID + "/edit")
	if got := again.Get("_version"); got != "9" {
		t.Errorf("sent again, it is for version %q", got)
	}
}

// Nobody gives an app another tier by changing its name.
func TestAdministratorsChangeWhatIsTheirsAlone(t *testing.T) {
	d := appDesk(t, nil).admin()
	form := d.get("apps/"+appID+"/edit").want(http.StatusOK, "As it is: standard").form("apps/" + appID + "/edit")
	d.post("apps/"+appID+"/edit", form).leads("apps/" + appID + "?done=saved")
	_, body := d.last("PATCH")
	if strings.Contains(body, "rate_limit_tier") || !strings.Contains(body, `"first_party":false`) {
		t.Errorf("changed %s", body)
	}
	form.Set("_once", "another")
	form.Set("rate_limit_tier", "")
	form.Set("first_party", "true")
	d.post("apps/"+appID+"/edit", form).leads("apps/" + appID + "?done=saved")
	if _, body = d.last("PATCH"); !strings.Contains(body, `"rate_limit_tier":null`) || !strings.Contains(body, `"first_party":true`) {
		t.Errorf("changed %s", body)
	}
}

// What an app has and its owner could not give any more is no complaint while they type.
func TestAChangeIsCheckedWhileItIsTyped(t *testing.T) {
	d := appDesk(t, map[string]any{"scopes": []string{"streams:delete", "gone:scope"}})
	page := d.get("apps/"+appID+"/edit").want(http.StatusOK, "The policy does not know <bdi class=\"tag\">gone:scope</bdi>")
	form := page.form("apps/" + appID + "/edit")
	if got := form["scopes"]; !cmp.Equal(got, []string{"streams:delete"}) {
		t.Errorf("the form keeps scopes %q", got)
	}
	form.Set("_preview", "redirect_uris")
	d.post("apps/"+appID+"/edit", form).want(http.StatusOK)
	_, body := d.last("POST")
	sameJSON(t, body, `{"type": "confidential", "name": "Starplot", "redirect_uris": ["https://plots.example.com/cb", "http://localhost:8080/cb"]}`)
	if got := d.made("PATCH"); len(got) != 0 {
		t.Errorf("made %q", got)
	}
}

func TestLinesOfComplaintsAreThoseOfTheField(t *testing.T) {
	for _, tt := range []struct {
		text, name, index string
		want              int
	}{
		{"a\nb\nc", "redirect_uris", "2]", 3},
		{"a\n\n b \n", "redirect_uris", "1]", 3},
		{"\n\na\nb", "redirect_uris", "0]", 3},
		{"a\nb, c", "redirect_uris", "1]", 2},
		{"a", "redirect_uris", "0]", 0},
		{"a\n\n", "redirect_uris", "0]", 0},
		{"a\nb", "redirect_uris", "7]", 0},
		{"a\nb", "redirect_uris", "", 0},
		{"", "redirect_uris", "0]", 0},
		{"10.0.0.1\n10.0.0.2", "allowed_ips", "1]", 2},
		{"10.0.0.1, 10.0.0.2\n10.0.0.3", "allowed_ips", "1]", 0},
	} {
		if got := lineOf(tt.text, tt.name, tt.index); got != tt.want {
			t.Errorf("lineOf(%q, %s, %q) = %d, want %d", tt.text, tt.name, tt.index, got, tt.want)
		}
	}
}
