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
	file := Policy("http://127.0.0.1:4242", "READER", "0123456789")
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

func TestPolicyDecides(t *testing.T) {
	p := demoPolicy(t)
	const sample = "/v1/streams/" + sampleID
	for _, test := range []struct {
		key, method, path string
		want              int // status of the refusal; 200 lets the request through
	}{
		{"", "GET", "/", 401},
		{"", "GET", "/v1/streams", 401},
		{"", "GET", "/public/", 200},
		{"OTHER", "GET", "/", 200},
		{"OTHER", "DELETE", sample, 200},
		{"READER", "GET", "/", 200},
		{"READER", "GET", "/events", 200},
		{"READER", "GET", "/v1/streams", 200},
		{"READER", "GET", sample, 200},
		{"READER", "DELETE", sample, 403},
		{"READER", "POST", sample + "/start", 403},
		{"0123456789", "POST", "/v1/streams", 403},
	} {
		var who *identity.Principal
		if test.key != "" {
			who = &identity.Principal{Method: identity.MethodAccessKey, Subject: test.key, KeyID: test.key}
			p.Grant(who)
		}
		got := p.Decide(who, policy.Ask{Route: p.Match("localhost", test.path), Method: test.method, Path: test.path})
		status := http.StatusOK
		if !got.Allow {
			status = got.Reason.Status()
		}
		if status != test.want {
			t.Errorf("%q %s %s: %d (%s), want %d", test.key, test.method, test.path, status, got.Reason, test.want)
		}
	}
}

// What the API serves and what the policy guards must not drift apart: whatever
// a key without scopes may call must be no call of the API.
func TestPolicyCoversEveryCallOfTheAPI(t *testing.T) {
	p := demoPolicy(t)
	nobody := &identity.Principal{Method: identity.MethodAccessKey, Subject: "NONE", KeyID: "NONE"}
	for _, path := range []string{"/v1/streams", "/v1/streams/" + sampleID, "/v1/streams/" + sampleID + "/start", "/v1/streams/" + sampleID + "/stop"} {
		for method := range strings.FieldsSeq("GET HEAD POST PUT PATCH DELETE") {
			app := newApp(t, Config{})
			served := ask(app, method, path, "").Code != http.StatusMethodNotAllowed
			decision := p.Decide(nobody, policy.Ask{Route: p.Match("localhost", path), Method: method, Path: path})
			if served && decision.Allow {
				t.Errorf("%s %s needs no scope", method, path)
			}
		}
	}
}
