package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNewClientShowsEverythingAndTheSecretOnce(t *testing.T) {
	t.Parallel()
	m := issue(t)
	told := m.subscribe()
	a := m.as("all", "POST", clientsPath, `{"name":" Reports ","redirect_uris":["https://app.example.com/callback","http://127.0.0.1/cb"],
		"post_logout_redirect_uris":["https://app.example.com/bye"],"scopes":["streams:read","openid","streams:write"],"pkce":"optional",
		"id_token_signed_response_alg":"ES256","client_uri":"https://app.example.com/"}`).want(t, 201, "")
	made := clientIn(t, a)
	view := mapOf(a.object(t)["client"])
	created, err := time.Parse(time.RFC3339, view["created_at"].(string))
	must(t, err)
	secrets, _ := view["client_secrets"].([]any)
	if len(secrets) != 1 || !strings.HasPrefix(made.Secret, "wgcs_") || !strings.HasSuffix(made.Secret, mapOf(secrets[0])["ends_in"].(string)) {
		t.Errorf("the secret %q, listed as %v", made.Secret, secrets)
	}
	want := map[string]any{
		"client_id": made.ID, "client_secret": made.Secret, "name": "Reports", "type": "confidential",
		"redirect_uris": []any{"https://app.example.com/callback", "http://127.0.0.1/cb"}, "post_logout_redirect_uris": []any{"https://app.example.com/bye"},
		"scopes": []any{"streams:read", "streams:write"}, "grant_types": []any{"authorization_code", "refresh_token"}, "pkce": "optional",
		"first_party": false, "introspection": false, "registered_itself": false, "token_endpoint_auth_method": "client_secret_basic", "jwks": nil,
		"id_token_signed_response_alg": "ES256", "client_uri": "https://app.example.com/", "rate_limit_tier": "unlimited",
		"client_secrets": secrets, "owner": "key:all", "status": "active", "created_at": rfc3339(created), "disabled_at": nil, "version": 1.0,
	}
	if diff := cmp.Diff(want, view); diff != "" {
		t.Errorf("the new client (-want +got):\n%s", diff)
	}
	if a.text(t, "warning") == "" || a.Header.Get("Cache-Control") != "no-store" {
		t.Error("nothing says that the secret is shown once and not to be kept on the way")
	}
	delete(want, "client_secret")
	one := m.as("all", "GET", clientsPath+"/"+made.ID, "").want(t, 200, "")
	if diff := cmp.Diff(map[string]any{"client": want}, one.object(t)); diff != "" {
		t.Errorf("the client later (-want +got):\n%s", diff)
	}
	if m.audited("client.create", made.ID) != 1 || told("client_created") != 1 {
		t.Errorf("written down %d times, told %d times", m.audited("client.create", made.ID), told("client_created"))
	}
}

func TestAClientTakesWhatIsUsualForItsKind(t *testing.T) {
	t.Parallel()
	m := issue(t)
	m.try([]try{
		{"all", "POST", clientsPath, `{"name":"service"}`, 201, "", []string{`"grant_types":["client_credentials"]`, `"pkce":"required"`, `"client_secret":"wgcs_`}, nil},
		{"all", "POST", clientsPath, `{"name":"site","redirect_uris":["https://a.example.com/"]}`, 201, "", []string{`"grant_types":["authorization_code","refresh_token"]`}, nil},
		{"all", "POST", clientsPath, `{"name":"tool","type":"public"}`, 201, "", []string{`device_code","refresh_token"]`, `"token_endpoint_auth_method":"none"`, `"client_secrets":[]`}, []string{"wgcs_", "warning"}},
		{"all", "POST", clientsPath, `{"name":"phone","type":"public","redirect_uris":["com.example.app:/callback"]}`, 201, "", nil, []string{"wgcs_", "warning"}},
		{"all", "POST", clientsPath, `{"name":"later","disabled":true}`, 201, "", []string{`"status":"disabled"`}, nil},
	})
}

// TestWhoMayManageClients goes through everybody who can ask.
func TestWhoMayManageClients(t *testing.T) {
	t.Parallel()
	m := issue(t)
	key := func(scopes, more string) string {
		return m.as("all", "POST", "/v1/auth/keys", `{"name":"k","scopes":[`+scopes+`]`+more+`}`).want(t, 201, "").text(t, "api_key.key")
	}
	trial := m.call("POST", "/api/v1/onboarding/temp-key", "").text(t, "api_key")
	ann := newBrowser(t, m.URL).signInLocal("ann")
	service := m.makeClient("all", `{"name":"s","scopes":["streams:read"]}`)
	manager := m.makeClient("all", `{"name":"m","scopes":["clients:write","clients:read"]}`)
	byKey := m.do("POST", "/_auth/token", "", "Authorization", basic("all", "secret")).want(t, 200, "").text(t, "access_token")
	for what, x := range map[string]struct {
		credential          []string
		owner               string
		read, write, remove int
		code                string
	}{
		"nobody":                          {nil, "", 401, 401, 401, "credential_required"},
		"an access key":                   {by("all"), "key:all", 200, 201, 204, ""},
		"an administrator":                {by("root"), "key:root", 200, 201, 204, ""},
		"an access key's token":           {by(byKey), "key:all", 200, 201, 204, ""},
		"a browser":                       {[]string{"Cookie", ann.cookies()}, "sub:local|ann", 200, 201, 204, ""},
		"a session token":                 {by(ann.token()), "sub:local|ann", 200, 201, 204, ""},
		"an API key":                      {by(key(`"clients:write","clients:read","streams:read"`, "")), "key:all", 200, 201, 204, ""},
		"an API key that reads":           {by(key(`"clients:read"`, "")), "", 200, 403, 403, "insufficient_scope"},
		"an API key of something":         {by(key(`"streams:read"`, "")), "", 403, 403, 403, "insufficient_scope"},
		"an API key of a viewer":          {by(key("", `,"role":"viewer"`)), "", 403, 403, 403, "insufficient_scope"},
		"a viewer":                        {by("watcher"), "", 403, 403, 403, "insufficient_role"},
		"a trial key":                     {by(trial), "", 403, 403, 403, "insufficient_scope"},
		"a client":                        {by(m.own(service)), "", 403, 403, 403, "insufficient_role"},
		"a client with the scope":         {by(m.own(manager)), "client:" + manager.ID, 200, 201, 204, ""},
		"a key with an operations' limit": {by(key(`"clients:write","clients:read"`, `,"ops_limit":100`)), "", 200, 403, 0, "insufficient_scope"},
	} {
		read := m.call("GET", clientsPath, "", x.credential...)
		write := m.call("POST", clientsPath, `{"name":"x"}`, x.credential...)
		if read.StatusCode != x.read || write.StatusCode != x.write {
			t.Errorf("%s: %d and %d, want %d and %d: %s", what, read.StatusCode, write.StatusCode, x.read, x.write, write.body)
		}
		if x.write != http.StatusCreated {
			write.want(t, x.write, x.code)
			continue
		}
		made := clientIn(t, write)
		if owner := write.text(t, "client.owner"); owner != x.owner {
			t.Errorf("%s: the client is %s's, want %s", what, owner, x.owner)
		}
		if a := m.call("DELETE", clientsPath+"/"+made.ID, "", x.credential...); a.StatusCode != x.remove {
			t.Errorf("%s: removal: %d %s", what, a.StatusCode, a.body)
		}
	}
	m.as("all", "POST", clientsPath, `{"name":"x"}`, "Sec-Fetch-Site", "cross-site").want(t, 403, "cross_origin")
	m.do("POST", clientsPath, `name=x`, append(by("all"), "Content-Type", "application/x-www-form-urlencoded")...).want(t, 415, "unsupported_media_type")
}

func TestNobodySeesOrTouchesSomebodyElsesClient(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.makeClient("all", `{"name":"alls"}`)
	mine := m.makeClient("narrow", `{"name":"narrows"}`)
	for _, x := range []struct{ method, path, body string }{
		{"GET", "", ""},
		{"PATCH", "", `{"name":"taken"}`},
		{"DELETE", "", ""},
		{"POST", "/rotate-secret", `{"grace_period_hours":0}`},
	} {
		theirs := m.as("narrow", x.method, clientsPath+"/"+made.ID+x.path, x.body).want(t, 404, "not_found")
		for _, none := range []string{"client_" + strings.Repeat("a", 26), "client_", "x", "client_%e4", made.ID[:len(made.ID)-1]} {
			if a := m.as("narrow", x.method, clientsPath+"/"+none+x.path, x.body); stripped(a) != stripped(theirs) {
				t.Errorf("%s of what is not there: %d %s, of somebody else's: %s", x.method, a.StatusCode, a.body, theirs.body)
			}
		}
	}
	m.own(made)
	m.try([]try{
		{"narrow", "GET", clientsPath, "", 200, "", []string{mine.ID}, []string{made.ID}},
		{"narrow", "GET", clientsPath + "?all=true", "", 403, "insufficient_role", nil, nil},
		{"narrow", "GET", clientsPath + "?owner=key:all", "", 403, "insufficient_role", nil, nil},
		{"narrow", "GET", clientsPath + "?owner=key:narrow", "", 200, "", []string{mine.ID}, nil},
		{"root", "GET", clientsPath, "", 200, "", []string{`"clients":[]`}, nil},
		{"root", "GET", clientsPath + "?all=true", "", 200, "", []string{mine.ID, made.ID}, nil},
		{"root", "GET", clientsPath + "?owner=key:all", "", 200, "", []string{made.ID}, []string{mine.ID}},
		{"root", "GET", clientsPath + "?all=true&q=ALLS", "", 200, "", []string{made.ID}, []string{mine.ID}},
		{"root", "GET", clientsPath + "/" + made.ID, "", 200, "", []string{`"name":"alls"`}, []string{made.Secret}},
		{"root", "PATCH", clientsPath + "/" + made.ID, `{"name":"renamed"}`, 200, "", []string{`"owner":"key:all"`, `"name":"renamed"`}, nil},
		{"root", "DELETE", clientsPath + "/" + mine.ID, "", 204, "", nil, nil},
		{"all", "GET", clientsPath + "?limit=0&colour=red&all=yes&cursor=x&cursor=y", "", 400, "invalid_request", []string{`"field":"limit"`, `"field":"colour"`, `"field":"all"`, `"field":"cursor"`}, nil},
		{"all", "PUT", clientsPath + "/" + made.ID, "{}", 405, "method_not_allowed", nil, nil},
	})
}

func TestNobodyGivesAClientMoreThanTheyHold(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.makeClient("narrow", `{"name":"mine","scopes":["streams:read"]}`)
	one := clientsPath + "/" + made.ID
	key := m.as("narrow", "POST", "/v1/auth/keys", `{"name":"k","scopes":["clients:write","streams:read"]}`).want(t, 201, "").text(t, "api_key.key")
	m.try([]try{
		{"narrow", "POST", clientsPath, `{"name":"x","scopes":["streams:read","streams:write","*"]}`, 403, "insufficient_scope", []string{"streams:write", "scope *"}, []string{"streams:read"}},
		{"narrow", "PATCH", one, `{"scopes":["billing:write"]}`, 403, "insufficient_scope", []string{"billing:write"}, nil},
		{"narrow", "POST", clientsPath, `{"name":"x","first_party":true,"introspection":true,"rate_limit_tier":"small"}`, 403, "insufficient_role", []string{"first_party", "introspection", "rate_limit_tier"}, nil},
		{"all", "POST", clientsPath, `{"name":"x","first_party":true}`, 403, "insufficient_role", []string{"first_party"}, []string{"introspection", "rate_limit_tier"}},
		{"narrow", "PATCH", one, `{"introspection":true}`, 403, "insufficient_role", []string{"introspection"}, nil},
		{"narrow", "PATCH", one, `{"rate_limit_tier":"enterprise"}`, 403, "insufficient_role", []string{"rate_limit_tier"}, nil},
		{"narrow", "PATCH", one, `{"first_party":false,"introspection":false,"rate_limit_tier":null}`, 200, "", nil, nil},
		{"all", "POST", clientsPath, `{"name":"x","scopes":["*"]}`, 201, "", []string{`"scopes":["*"]`}, nil},
		{"root", "PATCH", one, `{"scopes":["streams:read","billing:write"],"first_party":true,"introspection":true,"rate_limit_tier":"small"}`, 200, "", []string{`"first_party":true`, `"introspection":true`, `"rate_limit_tier":"small"`}, nil},
		// What it holds stays, and may be said again.
		{"narrow", "PATCH", one, `{"name":"still mine","scopes":["billing:write"],"first_party":true,"rate_limit_tier":"small"}`, 200, "", []string{`"scopes":["billing:write"]`, `"first_party":true`}, nil},
		{"narrow", "PATCH", one, `{"rate_limit_tier":null}`, 403, "insufficient_role", []string{"rate_limit_tier"}, nil},
		{"narrow", "PATCH", one, `{"first_party":false,"scopes":["streams:read"]}`, 200, "", nil, nil},
		{"narrow", "PATCH", one, `{"scopes":["billing:write"]}`, 403, "insufficient_scope", nil, nil},
	})
	m.call("POST", clientsPath, `{"name":"x","scopes":["streams:read"]}`, by(key)...).want(t, 201, "")
	m.call("POST", clientsPath, `{"name":"x","scopes":["streams:write"]}`, by(key)...).want(t, 403, "insufficient_scope")
	ann := newBrowser(t, m.URL).signInLocal("ann").token()
	m.call("POST", clientsPath, `{"name":"x","scopes":["streams:write"]}`, by(ann)...).want(t, 201, "")
	m.call("POST", clientsPath, `{"name":"x","scopes":["billing:write"]}`, by(ann)...).want(t, 403, "insufficient_scope")
}

func TestTheOwnerOfAFirstPartyCannotPointItElsewhere(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.makeClient("narrow", `{"name":"ours","scopes":["streams:read"],"redirect_uris":["https://a.example.com/","https://b.example.com/"],"grant_types":["authorization_code"]}`)
	one := clientsPath + "/" + made.ID
	m.try([]try{
		{"root", "PATCH", one, `{"first_party":true,"scopes":[]}`, 200, "", nil, nil},
		{"narrow", "PATCH", one, `{"redirect_uris":["https://a.example.com/","https://evil.example/"]}`, 403, "insufficient_role", []string{"redirect_uris of a first party"}, nil},
		{"narrow", "PATCH", one, `{"scopes":["streams:read"]}`, 403, "insufficient_role", []string{"scopes of a first party"}, nil},
		{"narrow", "PATCH", one, `{"grant_types":["authorization_code","refresh_token"]}`, 403, "insufficient_role", []string{"grant_types of a first party"}, nil},
		{"narrow", "GET", one, "", 200, "", []string{`"first_party":true`, `"scopes":[]`}, []string{"evil.example", "refresh_token"}},
		// Less is theirs to say, and so is everything once people are asked again.
		{"narrow", "PATCH", one, `{"redirect_uris":["https://b.example.com/"]}`, 200, "", nil, []string{"a.example.com"}},
		{"root", "PATCH", one, `{"redirect_uris":["https://c.example.com/"]}`, 200, "", []string{"c.example.com"}, nil},
		{"narrow", "PATCH", one, `{"first_party":false,"redirect_uris":["https://d.example.com/"]}`, 200, "", []string{"d.example.com"}, nil},
	})
}

func TestAnOwnerHasAHundredClientsAtMost(t *testing.T) {
	t.Parallel()
	m := issue(t)
	for range maxClients - 5 {
		m.makeClient("all", `{"name":"x"}`)
	}
	got, _ := race(10, func() answer { return m.as("all", "POST", clientsPath, `{"name":"x"}`) })
	if got[201] != 5 || got[409] != 5 {
		t.Errorf("statuses %v, want 5 of 201 and 5 of 409", got)
	}
	m.as("all", "POST", clientsPath, `{"name":"x"}`).want(t, 409, "too_many_clients")
	last := m.makeClient("narrow", `{"name":"x"}`) // of somebody else
	seen, cursor := map[string]bool{}, ""
	for pages := 1; ; pages++ {
		page := m.as("root", "GET", clientsPath+"?all=true&limit=40&cursor="+cursor, "").want(t, 200, "").object(t)
		for i, c := range page["clients"].([]any) {
			id := mapOf(c)["client_id"].(string)
			if seen[id] || pages == 1 && i == 0 && id != last.ID {
				t.Errorf("%s is there twice, or the newest is not the first", id)
			}
			seen[id] = true
		}
		if cursor, _ = page["next_cursor"].(string); cursor == "" || pages > 3 {
			break
		}
	}
	if len(seen) != maxClients+1 {
		t.Errorf("%d clients on all pages, want %d", len(seen), maxClients+1)
	}
	for id := range seen {
		if id != last.ID {
			m.as("all", "DELETE", clientsPath+"/"+id, "").want(t, 204, "")
			break
		}
	}
	m.makeClient("all", `{"name":"x"}`)
}
