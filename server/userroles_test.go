package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rolesPolicy has a role that nobody has by its rules; %s is where the route leads to.
const rolesPolicy = `
upstreams:
  - {route: /, url: "%s"}
  - {route: /desk, url: "static://204", require: {roles: [writer]}}
scopes:
  streams:read: {endpoints: [GET /v1/streams, GET /events, WS /ws]}
  streams:write: {endpoints: [POST /v1/streams]}
roles:
  reader: {scopes: [streams:read], members: ["local|ann", "local|bob"]}
  writer: {scopes: [streams:write], tier: writers}
tiers:
  writers: {requests_per_minute: 4321}
`

// withRoles starts two servers under rolesPolicy on one store.
func withRoles(t *testing.T, url string) [2]*managed {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(socketApp))
	t.Cleanup(upstream.Close)
	return issuePair(t, url, withUsers(t), withPolicy(t, fmt.Sprintf(rolesPolicy, upstream.URL)))
}

// userID is the ID of a local user who signed in.
func (m *managed) userID(name string) string {
	m.t.Helper()
	a := m.as("root", "GET", "/v1/auth/users?q=local%7C"+name, "").want(m.t, 200, "")
	return a.text(m.t, "users.0.id")
}

func (m *managed) setRolesOf(id, roles string) answer {
	m.t.Helper()
	return m.as("root", "PATCH", "/v1/auth/users/"+id, `{"roles": `+roles+`}`).want(m.t, 200, "")
}

// TestAssignedRoleCountsEverywhereAtOnce gives a role at one server and uses it at
// both, with everything that stands for the person, and takes it away again.
func TestAssignedRoleCountsEverywhereAtOnce(t *testing.T) {
	t.Parallel()
	for kind, url := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			pair := withRoles(t, url(t))
			ann := newBrowser(t, pair[0].URL).signInLocal("ann")
			bob := newBrowser(t, pair[0].URL).signInLocal("bob")
			other := newBrowser(t, pair[1].URL)
			other.client.Jar = ann.client.Jar
			token, id := ann.token(), pair[0].userID("ann")
			app := pair[0].makeClient("root", `{"name":"app","redirect_uris":["`+appRedirect+`"],"scopes":["streams:read","streams:write"],"grant_types":["authorization_code","refresh_token"]}`)
			key := madeBy(t, ann.api("POST", "/v1/auth/keys", `{"name":"k","scopes":["streams:read"]}`))
			can := func(m *managed, b *browser) []int {
				return []int{
					statusOf(b.api("POST", "/v1/streams", "")), statusOf(m.do("POST", "/v1/streams", "", "Authorization", "Bearer "+token)),
					statusOf(b.xhr("/desk")),
					statusOf(b.api("POST", "/v1/auth/keys", `{"name":"x","scopes":["streams:write"]}`)),
				}
			}
			tierOf := func(m *managed) string {
				return m.do("GET", "/v1/streams", "", by(key.Key)...).want(t, 200, "").Header.Get("X-RateLimit-Limit")
			}
			none, all := []int{403, 403, 403, 403}, []int{200, 200, 204, 201}
			check := func(what string, want []int, tier string) {
				t.Helper()
				if diff := cmp.Diff(want, can(pair[0], ann)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
				if got := tierOf(pair[0]); got != tier {
					t.Errorf("%s: the key's limit is %q", what, got)
				}
				eventually(t, what+" at the other server", func() bool {
					return slices.Equal(can(pair[1], other), want) && tierOf(pair[1]) == tier
				})
			}
			check("before", none, "")
			a := pair[0].setRolesOf(id, `["writer"]`)
			if diff := cmp.Diff([]any{[]any{"writer"}, []any{"reader"}}, []any{a.at(t, "user.roles"), a.at(t, "user.policy_roles")}); diff != "" {
				t.Errorf("the user (-want +got):\n%s", diff)
			}
			check("given", all, "4321")
			given := issuedIn(t, pair[0].refreshed(app, ann.allow(app, "streams:read streams:write").Refresh))
			if given.Scope != "streams:read streams:write" {
				t.Errorf("an app gets %q", given.Scope)
			}
			pair[0].setRolesOf(id, `[]`)
			check("taken away", none, "")
			if got := issuedIn(t, pair[0].refreshed(app, given.Refresh)).Scope; got != "streams:read" {
				t.Errorf("an app still gets %q", got)
			}
			if got := statusOf(bob.api("POST", "/v1/streams", "")); got != 403 {
				t.Errorf("somebody else: %d", got)
			}
		})
	}
}

func statusOf(a answer) int { return a.StatusCode }

func TestRolesAreCheckedKeptAndWrittenDown(t *testing.T) {
	t.Parallel()
	m := issue(t)
	ann := newBrowser(t, m.URL).signInLocal("ann")
	one := "/v1/auth/users/" + m.userID("ann")
	m.try([]try{
		{"root", "PATCH", one, `{"roles": ["gone"]}`, 400, "invalid_request", []string{`"field":"roles[0]"`}, []string{"gone"}},
		{"root", "PATCH", one, `{"roles": ["editor", "Viewer", "editor"]}`, 400, "invalid_request", []string{`"field":"roles[1]"`, `"field":"roles[2]"`}, nil},
		{"root", "PATCH", one, `{"roles": "editor"}`, 400, "invalid_request", []string{`"field":"roles"`}, nil},
		{"root", "PATCH", one, `{"disabled": "yes"}`, 400, "invalid_request", []string{`"field":"disabled"`}, nil},
		{"root", "PATCH", one, `{}`, 400, "invalid_request", []string{`"field":"body"`}, nil},
		{"root", "PATCH", one, `{"roles": null}`, 400, "invalid_request", []string{`"field":"body"`}, nil},
		{"root", "PATCH", one, `{"name": "x"}`, 400, "invalid_request", []string{`"field":"name"`}, nil},
		{"root", "PATCH", "/v1/auth/users/usr_none", `{"roles": ["viewer"]}`, 404, "not_found", nil, nil},
		{"all", "PATCH", one, `{"roles": ["viewer"]}`, 403, "insufficient_role", nil, nil},
		{"root", "PATCH", one, `{"roles": ["viewer", "account_admin"]}`, 200, "", []string{`"roles":["account_admin","viewer"]`, `"policy_roles":["editor"]`}, nil},
		{"root", "PATCH", one, `{"roles": ["viewer", "account_admin"]}`, 200, "", nil, nil}, // nothing new
		{"root", "PATCH", one, `{"roles": ["viewer"], "disabled": false}`, 200, "", []string{`"roles":["viewer"]`}, nil},
	})
	m.checked(ann.api("PATCH", one, `{"roles": []}`, "Sec-Fetch-Site", "same-origin")).want(t, 403, "insufficient_role")
	list, _ := m.as("root", "GET", "/v1/auth/audit?action=user.roles", "").want(t, 200, "").at(t, "entries").([]any)
	var got []any
	for _, e := range list {
		got = append(got, mapOf(e)["details"], mapOf(e)["owner"])
	}
	want := []any{
		map[string]any{"old": "account_admin viewer", "new": "viewer"},
		"sub:local|ann",
		map[string]any{"old": "", "new": "account_admin viewer"},
		"sub:local|ann",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}

// TestRolesThatThePolicyLosesGiveNothing takes the role out of the file and puts it
// back.
func TestRolesThatThePolicyLosesGiveNothing(t *testing.T) {
	t.Parallel()
	m := withRoles(t, stores["SQLite"](t))[0]
	ann := newBrowser(t, m.URL).signInLocal("ann")
	id := m.userID("ann")
	m.setRolesOf(id, `["writer"]`)
	ann.api("POST", "/v1/streams", "").want(t, 200, "")
	whole := contentOf(t, m.cfg.PolicyFile)
	for _, tt := range []struct {
		policy string
		status int
	}{
		{strings.NewReplacer("  writer: {scopes: [streams:write], tier: writers}\n", "", ", require: {roles: [writer]}", "").Replace(whole), 403},
		{whole, 200},
	} {
		writeFile(t, m.cfg.PolicyFile, tt.policy)
		must(t, m.Reload())
		if got := statusOf(ann.api("POST", "/v1/streams", "")); got != tt.status {
			t.Errorf("%d, want %d", got, tt.status)
		}
		if got := m.as("root", "GET", "/v1/auth/users/"+id, "").at(t, "user.roles"); !cmp.Equal(got, []any{"writer"}) {
			t.Errorf("roles %v", got)
		}
	}
}

func TestUsersAreSearched(t *testing.T) {
	t.Parallel()
	m := issue(t)
	newBrowser(t, m.URL).signInLocal("ann")
	newBrowser(t, m.URL).signInLocal("bob")
	for q, want := range map[string]int{"": 2, "AN": 1, "local%7Cbob": 1, "local": 0, "%25": 0, "nobody": 0, "+ann+": 1} {
		list, _ := m.as("root", "GET", "/v1/auth/users?q="+q, "").want(t, 200, "").at(t, "users").([]any)
		if len(list) != want {
			t.Errorf("%q: %d users, want %d", q, len(list), want)
		}
	}
	m.try([]try{
		{"root", "GET", "/v1/auth/users?q=" + strings.Repeat("x", 201), "", 400, "invalid_request", []string{`"field":"q"`}, nil},
		{"root", "GET", "/v1/auth/users?q=a%00b", "", 400, "invalid_request", []string{`"field":"q"`}, nil},
		{"root", "GET", "/v1/auth/users?q=%ff", "", 400, "invalid_request", []string{`"field":"q"`}, nil},
		{"all", "GET", "/v1/auth/users?q=ann", "", 403, "insufficient_role", nil, []string{"ann"}},
	})
}

func TestExplainNamesAssignedRoles(t *testing.T) {
	t.Parallel()
	m := withRoles(t, stores["SQLite"](t))[0]
	newBrowser(t, m.URL).signInLocal("ann")
	m.setRolesOf(m.userID("ann"), `["viewer", "writer"]`)
	lines, err := Explain(t.Context(), m.cfg, "POST /v1/streams", "local|ann")
	must(t, err)
	got := strings.Join(lines, "\n")
	for _, want := range []string{"), assigned by an administrator: streams:write", "role viewer (built in), assigned by an administrator: nothing", "decision: allowed (200)"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}
