package demo

import (
	"net/http"
	"strings"
	"testing"

	"wavegate/server/identity"
	"wavegate/server/policy"
)

func demoPolicy(t *testing.T) *policy.Policy {
	t.Helper()
	file := Policy(Rules{
		Upstream: "http://127.0.0.1:4242", Editors: []string{"local|demo"}, Readers: []string{"READER", "0123456789"},
	})
	p, err := policy.Parse("demo.yaml", file, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	return p
}

func TestPolicyLeadsToTheApp(t *testing.T) {
	p := demoPolicy(t)
	for path, want := range map[string]policy.Access{"/": policy.Authenticated, "/v1/streams": policy.Authenticated, "/public/headers": policy.Public} {
		route := p.Match("localhost", path)
		if route == nil || route.Access != want || route.Target.String() != "http://127.0.0.1:4242" {
			t.Errorf("%s: %+v", path, route)
		}
	}
}

// asking returns the principal of "key:ID" or "person:SUBJECT", nil for "".
func asking(p *policy.Policy, who string) *identity.Principal {
	kind, id, _ := strings.Cut(who, ":")
	var pr *identity.Principal
	switch kind {
	case "key":
		pr = &identity.Principal{Method: identity.MethodAccessKey, Subject: id, KeyID: id}
	case "person":
		pr = &identity.Principal{Method: identity.MethodSession, Subject: id, Username: id}
	default:
		return nil
	}
	p.Grant(pr)
	return pr
}

func TestPolicyDecides(t *testing.T) {
	p := demoPolicy(t)
	const sample = "/v1/streams/" + sampleID
	for _, test := range []struct {
		who, method, path string
		want              int // status of the refusal; 200 lets the request through
	}{
		{"", "GET", "/", 401},
		{"", "GET", "/v1/streams", 401},
		{"", "GET", "/public/", 200},
		{"", "GET", "/admin-only", 401},
		{"key:OTHER", "GET", "/", 200},
		{"key:OTHER", "DELETE", sample, 200},
		{"key:OTHER", "GET", "/admin-only", 403},
		{"key:READER", "GET", "/", 200},
		{"key:READER", "GET", "/events", 200},
		{"key:READER", "GET", "/v1/streams", 200},
		{"key:READER", "GET", sample, 200},
		{"key:READER", "DELETE", sample, 403},
		{"key:READER", "POST", sample + "/start", 403},
		{"key:0123456789", "POST", "/v1/streams", 403},
		{"person:local|demo", "GET", "/", 200},
		{"person:local|demo", "GET", "/v1/streams", 200},
		{"person:local|demo", "POST", sample + "/start", 200},
		{"person:local|demo", "DELETE", sample, 200},
		{"person:local|demo", "GET", "/admin-only", 403},
		{"person:local|demo", "GET", "/admin-only/x", 403},
		{"person:local|eve", "GET", "/", 200},
		{"person:local|eve", "GET", "/v1/streams", 403},
		{"person:demo", "GET", "/v1/streams", 403}, // another provider's
	} {
		got := p.Decide(asking(p, test.who), policy.Ask{Route: p.Match("localhost", test.path), Method: test.method, Path: test.path})
		status := http.StatusOK
		if !got.Allow {
			status = got.Reason.Status()
		}
		if status != test.want {
			t.Errorf("%q %s %s: %d (%s), want %d", test.who, test.method, test.path, status, got.Reason, test.want)
		}
	}
}

// What the API serves and what the policy guards must not drift apart: whatever
// a key or a person without scopes may call must be no call of the API.
func TestPolicyCoversEveryCallOfTheAPI(t *testing.T) {
	p := demoPolicy(t)
	nobody := []*identity.Principal{
		{Method: identity.MethodAccessKey, Subject: "NONE", KeyID: "NONE"},
		{Method: identity.MethodSession, Subject: "local|none"},
	}
	for _, path := range []string{"/v1/streams", "/v1/streams/" + sampleID, "/v1/streams/" + sampleID + "/start", "/v1/streams/" + sampleID + "/stop"} {
		for method := range strings.FieldsSeq("GET HEAD POST PUT PATCH DELETE") {
			app := newApp(t, Config{})
			served := ask(app, method, path, "").Code != http.StatusMethodNotAllowed
			for _, who := range nobody {
				decision := p.Decide(who, policy.Ask{Route: p.Match("localhost", path), Method: method, Path: path})
				if served && decision.Allow {
					t.Errorf("%s %s needs no scope of %s", method, path, who.Subject)
				}
			}
		}
	}
}
