package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIfMatchIsReadAsRFC9110SaysIt(t *testing.T) {
	for header, want := range map[string]string{
		"\x00none":       "any",
		"*":              "any",
		" * ":            "any",
		`"3"`:            "3",
		`"2", "3"`:       "3",
		`"2","3"`:        "3",
		`, "2",, "3" ,`:  "3",
		`"2" , W/"4"`:    "changed",
		`W/"3"`:          "changed", // weak tags are never the same
		`"03"`:           "changed",
		`"3 "`:           "wrong",
		`"4"`:            "changed",
		`""`:             "changed",
		`"x,y"`:          "changed",
		`"a", "b,\"`:     "changed",
		"":               "wrong",
		",":              "wrong",
		"3":              "wrong",
		`"3`:             "wrong",
		`3"`:             "wrong",
		`"3""4"`:         "wrong",
		`"2"x`:           "wrong",
		`*, "3"`:         "wrong",
		`"3", *`:         "wrong",
		`w/"3"`:          "wrong",
		`W/ "3"`:         "wrong",
		`'3'`:            "wrong",
		"\"3\x7f\"":      "wrong",
		`"3"; "4"`:       "wrong",
		`W/"3", W/"4", `: "changed",
	} {
		r := &http.Request{Header: http.Header{"If-Match": {header}}}
		if header == "\x00none" {
			r.Header = http.Header{}
		}
		got := "any"
		p, err := ifMatch(r)
		switch {
		case err != nil:
			got = "wrong"
		case p.check(3) != nil:
			got = "changed"
		case p.check(77) != nil:
			got = "3"
		}
		if got != want {
			t.Errorf("If-Match: %s is %s, want %s", header, got, want)
		}
	}
	both := http.Header{"If-Match": {`"2"`, `"3"`}} // two lines are one list
	if p, err := ifMatch(&http.Request{Header: both}); err != nil || p.check(3) != nil || p.check(2) != nil || p.check(4) == nil {
		t.Errorf("two lines: %v %v", p, err)
	}
}

// FuzzIfMatch checks that nothing but a version in its quotes lets a change pass that
// does not say *.
func FuzzIfMatch(f *testing.F) {
	for _, s := range []string{"*", `"3"`, `W/"3"`, `"1", "2"`, `"`, `""`, `,`, "W/", `"3"x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		p, err := ifMatch(&http.Request{Header: http.Header{"If-Match": {header}}})
		if err == nil && p.check(3) == nil && !strings.Contains(header, `"3"`) && strings.Trim(header, " \t") != "*" {
			t.Errorf("%q passes", header)
		}
	})
}

// edited are the things that two people may edit, each as ann made it.
func edited(m *managed) map[string]struct{ path, in, change, other string } {
	m.t.Helper()
	key := m.as("ann", "POST", "/v1/auth/keys", `{"name": "ci"}`).want(m.t, 201, "")
	client := m.as("ann", "POST", clientsPath, `{"name": "app"}`).want(m.t, 201, "")
	hook := m.as("ann", "POST", hooks, `{"url": "https://hooks.example.com/"}`).want(m.t, 201, "")
	for what, a := range map[string]answer{"api_key": key, "client": client, "webhook": hook} {
		if a.Header.Get("Etag") != `"1"` || a.at(m.t, what+".version") != 1.0 {
			m.t.Errorf("a new %s: ETag %s, version %v", what, a.Header.Get("Etag"), a.at(m.t, what+".version"))
		}
	}
	return map[string]struct{ path, in, change, other string }{
		"a key":     {"/v1/auth/keys/" + key.text(m.t, "api_key.id"), "api_key", `{"name": "one"}`, `{"name": "two"}`},
		"a client":  {clientsPath + "/" + client.text(m.t, "client.client_id"), "client", `{"name": "one"}`, `{"name": "two"}`},
		"a webhook": {hooks + "/" + hook.text(m.t, "webhook.id"), "webhook", `{"description": "one"}`, `{"description": "two"}`},
	}
}

// TestTheSecondOfTwoWhoEditTheSameIsTold: nothing is done over a version that whoever
// asks did not see.
func TestTheSecondOfTwoWhoEditTheSameIsTold(t *testing.T) {
	m := manage(t)
	for what, e := range edited(m) {
		seen := m.as("ann", "GET", e.path, "").want(t, 200, "").Header.Get("Etag")
		first := m.as("ann", "PATCH", e.path, e.change, "If-Match", seen).want(t, 200, "")
		if seen != `"1"` || first.Header.Get("Etag") != `"2"` || first.at(t, e.in+".version") != 2.0 {
			t.Errorf("%s: from %s to %s, version %v", what, seen, first.Header.Get("Etag"), first.at(t, e.in+".version"))
		}
		before := m.as("ann", "GET", e.path, "").body
		audits := m.as("admin", "GET", "/v1/auth/audit?limit=200", "").body
		for _, match := range []string{seen, `W/"2"`, `"1", "3"`, `"x"`} {
			late := m.as("ann", "PATCH", e.path, e.other, "If-Match", match).want(t, 412, "precondition_failed")
			if late.text(t, "error.message") != "It was changed meanwhile. Read it again, then decide." || late.Header.Get("Etag") != "" {
				t.Errorf("%s: %s, ETag %s", what, late.body, late.Header.Get("Etag"))
			}
		}
		m.as("ann", "PATCH", e.path, `{}`, "If-Match", `"1"`).want(t, map[bool]int{true: 412, false: 400}[what == "a webhook"], "")
		m.as("ann", "PATCH", e.path, e.other, "If-Match", "2").want(t, 400, "invalid_request")
		if diff := cmp.Diff(before, m.as("ann", "GET", e.path, "").body); diff != "" {
			t.Errorf("%s was changed:\n%s", what, diff)
		}
		if diff := cmp.Diff(audits, m.as("admin", "GET", "/v1/auth/audit?limit=200", "").body); diff != "" {
			t.Errorf("%s: what was not done is in the audit log:\n%s", what, diff)
		}
		m.as("ann", "PATCH", e.path, e.other, "If-Match", `"1", "2"`).want(t, 200, "")
		m.as("ann", "PATCH", e.path, e.change, "If-Match", "*").want(t, 200, "")
		m.as("ann", "PATCH", e.path, e.other).want(t, 200, "")
		// What is not theirs is not there, whatever they say about it.
		m.as("bob", "PATCH", e.path, e.other, "If-Match", `"1"`).want(t, 404, "not_found")
		m.as("bob", "PATCH", e.path, e.other, "If-Match", "*").want(t, 404, "not_found")
		m.as("ann", "DELETE", e.path, "").want(t, 204, "")
	}
}

// TestOfManyWhoSawTheSameVersionOneChangesIt: trying again, as changes do that others
// overtake, asks the precondition again.
func TestOfManyWhoSawTheSameVersionOneChangesIt(t *testing.T) {
	m := manage(t)
	for what, e := range edited(m) {
		bodies := make(chan string, 8)
		for i := range 8 {
			bodies <- strings.Replace(e.change, "one", fmt.Sprint("one ", i), 1)
		}
		got, _ := race(8, func() answer { return m.as("ann", "PATCH", e.path, <-bodies, "If-Match", `"1"`) })
		if diff := cmp.Diff(map[int]int{200: 1, 412: 7}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		if v := m.as("ann", "GET", e.path, "").at(t, e.in+".version"); v != 2.0 {
			t.Errorf("%s has version %v", what, v)
		}
	}
}

func TestOneKeyShowsWhatIsLeftOfItsOperations(t *testing.T) {
	m := manage(t)
	free := m.as("ann", "POST", "/v1/auth/keys", `{"name": "free"}`).want(t, 201, "").text(t, "api_key.id")
	made := m.as("ann", "POST", "/v1/auth/keys", `{"name": "ci", "ops_limit": 3, "budget": {"operations_per_month": 2}}`).want(t, 201, "")
	one := "/v1/auth/keys/" + made.text(t, "api_key.id")
	for range 2 {
		m.do("GET", "/", "", "X-API-Key", made.text(t, "api_key.key")).want(t, 204, "")
	}
	m.do("GET", "/", "", "X-API-Key", made.text(t, "api_key.key")).want(t, 402, "budget_exceeded")
	want := map[string]any{
		"operations": map[string]any{"limit": 3.0, "remaining": 1.0}, "operations_per_day": nil,
		"operations_per_month": map[string]any{"limit": 2.0, "remaining": 0.0},
	}
	for _, a := range []answer{m.as("ann", "GET", one, ""), m.as("ann", "PATCH", one, `{"description": "d"}`)} {
		if diff := cmp.Diff(any(want), a.want(t, 200, "").at(t, "api_key.left")); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
	}
	m.try([]try{
		{"ann", "GET", "/v1/auth/keys/" + free, "", 200, "", []string{`"left":null`}, nil},
		{"ann", "GET", "/v1/auth/keys", "", 200, "", []string{`"version":1`}, []string{`"left"`}},
	})
}
