package policy

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
)

// TestExplain compares what is told of telling requests with
// testdata/explain.txt.
func TestExplain(t *testing.T) {
	data, err := os.ReadFile("testdata/explain.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := mustParse(t, string(data))
	accessKey := func(id string) *identity.Principal {
		who := &identity.Principal{Method: identity.MethodAccessKey, Subject: id, KeyID: id}
		p.Grant(who)
		return who
	}
	person := func(subject, email string, groups ...string) *identity.Principal {
		who := &identity.Principal{Method: identity.MethodSession, Subject: subject, Email: email, Groups: groups, SessionID: "ses_1"}
		p.Grant(who)
		return who
	}
	apiKey := func(tier, role string, scopes ...string) *identity.Principal {
		who := &identity.Principal{Method: identity.MethodAPIKey, Subject: "google|9", KeyID: "key_ci", Tier: tier}
		p.GrantKey(who, role, scopes)
		return who
	}
	issued := &identity.Principal{Method: identity.MethodToken, Subject: "clerk|user_1"}
	p.GrantIssued(issued, &p.Issuers()[0], []string{"streams:read", "*", "openid"})
	ofApp := &identity.Principal{Method: identity.MethodToken, Subject: "google|7", OAuthClientID: "client_1", Tier: "pro", Scopes: p.GrantToken([]string{"openid", "streams:read"})}
	signIn := &identity.Principal{Method: identity.MethodToken, Subject: "google|7", OAuthClientID: "client_1"}
	token := *person("google|7", "")
	token.Method = identity.MethodToken

	var b strings.Builder
	for _, c := range []struct {
		who *identity.Principal
		ask string
	}{
		{nil, "GET any.host/index.html"},
		{nil, "POST any.host/index.html"},
		{nil, "GET any.host/v1/streams"},
		{&identity.Principal{Method: identity.MethodAPIKey, KeyID: "key_old", Environment: "trial"}, "GET /v1/streams"},
		{accessKey("KEYOTHER"), "GET api.example.com/v1/streams/7"},
		{accessKey("KEYMEMBER"), "POST api.example.com/v1/streams"},
		{accessKey("KEYNARROW"), "GET api.example.com/v1/streams/7"},
		{apiKey("", "developer", "billing:read", "gone:read"), "GET api.example.com/v1/streams/7"},
		{apiKey("free", "account_admin"), "HEAD web.example.com/v1/streams"},
		{apiKey("", "ops"), "GET api.example.com/v1/other"},
		{apiKey("", "", "streams:read"), "GET api.example.com/v1//billing/1"},
		{person("google|1", "Dev@Example.com"), "GET api.example.com/v1/streams"},
		{person("google|2", "", "eng", "x"), "GET api.example.com/v1/admin/users"},
		{person("google|7", ""), "GET any.host/v1/nothing/here"},
		{person("google|7", ""), "GET any.host/v1//nothing"},
		{&token, "WS any.host/v1/streams"},
		{issued, "GET any.host/v1/streams"},
		{ofApp, "GET any.host/v1/streams"},
		{signIn, "GET any.host/v1/streams"},
	} {
		method, rest, _ := strings.Cut(c.ask, " ")
		host, path, _ := strings.Cut(rest, "/")
		ask := p.AskFor(host, method, "/"+path, method == "WS")
		if ask.WebSocket {
			ask.Method = "GET"
		}
		fmt.Fprintf(&b, "# %s\n%s\n\n", c.ask, strings.Join(p.Explain(c.who, ask), "\n"))
	}
	compareFile(t, "testdata/explain.txt", b.String())
}

// compareFile compares text with a file, which -update writes.
func compareFile(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

func TestExplainWithoutPolicy(t *testing.T) {
	var p Policy
	got := strings.Join(p.Explain(principal(identity.MethodAccessKey, "*"), p.AskFor("h", "GET", "/x", false)), "\n")
	want := `caller: access-key s
  access key that no rule names: *
  scopes in all: *
  of the server's own API: keys:read, keys:write, usage:read, status:read, webhooks:read, webhooks:write, clients:read, clients:write
route: none covers the request
access authenticated: any valid credential will do: passes
methods: all: passes
scopes: the policy declares none: passes
limits of the access key: tier unlimited, which bounds nothing
decision: allowed (200)`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
