package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ending are the ways in which a client ends, by its owner.
var ending = map[string]struct{ method, body string }{
	"disabled": {"PATCH", `{"disabled":true}`},
	"removed":  {"DELETE", ""},
}

// TestAClientEndsAtOnceWithAllThatItWasGiven holds sockets and streams open, at the
// server that is told and at another that shares the store.
func TestAClientEndsAtOnceWithAllThatItWasGiven(t *testing.T) {
	t.Parallel()
	for kind, url := range stores {
		for how, end := range ending {
			t.Run(kind+"/"+how, func(t *testing.T) {
				t.Parallel()
				pair := issuePair(t, url(t))
				made := pair[0].makeClient("all", `{"name":"app","scopes":["streams:read"],"redirect_uris":["`+appRedirect+`"],
					"grant_types":["authorization_code","refresh_token","client_credentials"]}`)
				other := pair[0].makeClient("all", `{"name":"other","scopes":["streams:read"]}`)
				given := newBrowser(t, pair[0].URL).signInLocal("ann").allow(made, "streams:read")
				own, others := pair[0].own(made), pair[1].own(other)
				var ends, stay []open
				for _, m := range pair {
					ends = append(ends, m.socketWith(own), m.streamWith(own), m.socketWith(given.Access))
					stay = append(stay, m.socketWith(others))
				}
				pair[0].as("all", end.method, clientsPath+"/"+made.ID, end.body)
				for _, token := range []string{own, given.Access} {
					pair[0].do("GET", "/v1/streams", "", by(token)...).want(t, 401, "invalid_token")
				}
				for _, o := range ends {
					o.ended("its client was " + how)
				}
				for _, m := range pair {
					for _, token := range []string{own, given.Access} {
						m.do("GET", "/v1/streams", "", by(token)...).want(t, 401, "invalid_token")
					}
					if a := m.tokenFor(made, ownGrant()); a.StatusCode != 401 {
						t.Errorf("a client that was %s gets a token: %d %s", how, a.StatusCode, a.body)
					}
					if a := m.refreshed(made, given.Refresh); a.StatusCode != 401 {
						t.Errorf("a client that was %s refreshes: %d %s", how, a.StatusCode, a.body)
					}
					m.do("GET", "/v1/streams", "", by(others)...).want(t, 200, "")
				}
				for _, o := range stay {
					o.stays("another client was " + how)
				}
			})
		}
	}
}

func TestAClientThatIsEnabledAgainGetsTokensAgain(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.makeClient("all", `{"name":"app","scopes":["streams:read"]}`)
	one := clientsPath + "/" + made.ID
	m.as("all", "PATCH", one, `{"disabled":true}`).want(t, 200, "")
	m.tokenFor(made, ownGrant()).wantOAuth(t, 401, "invalid_client")
	m.as("all", "PATCH", one, `{"disabled":false}`).want(t, 200, "")
	m.do("GET", "/v1/streams", "", by(m.own(made))...).want(t, 200, "")
}

// TestScopesThatAClientLosesAreInNoNewToken: the policy's and the client's own count
// when a token is made.
func TestScopesThatAClientLosesAreInNoNewToken(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.makeClient("all", `{"name":"app","scopes":["streams:read","streams:write"]}`)
	m.do("POST", "/v1/streams", "", by(m.own(made))...).want(t, 200, "")
	m.as("all", "PATCH", clientsPath+"/"+made.ID, `{"scopes":["streams:read"]}`).want(t, 200, "")
	fresh := m.own(made)
	m.do("GET", "/v1/streams", "", by(fresh)...).want(t, 200, "")
	m.do("POST", "/v1/streams", "", by(fresh)...).want(t, 403, "insufficient_scope")
}

func TestAWebhookHearsOfANewClient(t *testing.T) {
	t.Parallel()
	m := issue(t)
	hook := newReceiver(t)
	m.as("all", "POST", hooks, `{"url":"`+hook.URL+`/x","events":["client_created"]}`).want(t, 201, "")
	m.makeClient("narrow", `{"name":"of somebody else"}`)
	made := m.makeClient("all", `{"name":"<Reports>","redirect_uris":["https://a.example.com/"]}`)
	got := hook.wait(t, made.ID, 1)
	var event struct {
		Type string         `json:"type"`
		Data map[string]any `json:"data"`
	}
	must(t, json.Unmarshal([]byte(got.body), &event))
	want := map[string]any{
		"client_id": made.ID, "name": "<Reports>", "type": "confidential", "grant_types": []any{"authorization_code", "refresh_token"},
	}
	if diff := cmp.Diff(want, event.Data); diff != "" || event.Type != "client_created" {
		t.Errorf("%s (-want +got):\n%s", event.Type, diff)
	}
	if strings.Contains(got.body, "wgcs_") {
		t.Errorf("an event holds a secret: %s", got.body)
	}
	if n := len(hook.all("somebody else")); n != 0 {
		t.Error("somebody heard of a client that is not theirs")
	}
}

// TestTheAuditLogSaysWhoDidWhatToAClient goes through the kinds of callers.
func TestTheAuditLogSaysWhoDidWhatToAClient(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.as("all", "POST", "/v1/auth/keys", `{"name":"k","scopes":["clients:write"]}`).want(t, 201, "")
	ann := newBrowser(t, m.URL).signInLocal("ann")
	for actor, x := range map[string]struct {
		headers       []string
		owner, method string
	}{
		"api_key:" + made.text(t, "api_key.id"): {by(made.text(t, "api_key.key")), "key:all", "api-key"},
		"sub:local|ann":                         {[]string{"Cookie", ann.cookies()}, "sub:local|ann", "session"},
		"key:root":                              {by("root"), "key:root", "access-key"},
	} {
		c := clientIn(t, m.call("POST", clientsPath, `{"name":"app"}`, x.headers...).want(t, 201, ""))
		one := clientsPath + "/" + c.ID
		m.call("PATCH", one, `{"name":"renamed","scopes":[]}`, x.headers...).want(t, 200, "")
		rotated := clientIn(t, m.call("POST", one+"/rotate-secret", "", x.headers...).want(t, 200, ""))
		m.call("DELETE", one, "", x.headers...).want(t, 204, "")
		log := m.as("root", "GET", "/v1/auth/audit?target="+c.ID, "").want(t, 200, "")
		var actions []string
		entries, _ := log.at(t, "entries").([]any)
		for _, e := range entries {
			e := mapOf(e)
			if e["actor"] != actor || e["owner"] != x.owner || e["method"] != x.method || e["outcome"] != "ok" || e["ip"] != "127.0.0.1" {
				t.Errorf("written down as %v", e)
			}
			actions = append(actions, e["action"].(string))
		}
		if diff := cmp.Diff([]string{"client.delete", "client.rotate_secret", "client.update", "client.create"}, actions); diff != "" {
			t.Errorf("%s (-want +got):\n%s", actor, diff)
		}
		if strings.Contains(log.body, c.Secret) || strings.Contains(log.body, rotated.Secret) {
			t.Errorf("the audit log holds a secret: %s", log.body)
		}
	}
}

// TestThereAreNoTokensWithoutAnAuthorizationServer: clients can still be looked at and
// removed.
func TestThereAreNoTokensWithoutAnAuthorizationServer(t *testing.T) {
	t.Parallel()
	m := issue(t, func(c *Config) { c.PublicURL = "" })
	made := m.makeClient("all", `{"name":"app"}`)
	if a := m.tokenFor(made, ownGrant()); a.StatusCode != http.StatusNotFound {
		t.Errorf("a token: %d %s", a.StatusCode, a.body)
	}
	m.try([]try{
		{"all", "PATCH", clientsPath + "/" + made.ID, `{"disabled":true}`, 200, "", nil, nil},
		{"all", "DELETE", clientsPath + "/" + made.ID, ``, 204, "", nil, nil},
		{"root", "GET", "/v1/auth/signing-keys", ``, 200, "", []string{`"signing_keys":[]`}, nil},
		{"root", "POST", "/v1/auth/signing-keys/rotate", ``, 404, "not_found", []string{"--public-url"}, nil},
	})
}
