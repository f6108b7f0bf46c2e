package portal

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestADecisionIsRead(t *testing.T) {
	for said, want := range map[string]Decision{
		"allowed (200)":                              {false, "allowed", 200, "Allowed", "The request goes through."},
		"insufficient_scope (403), needs a, b":       {false, "insufficient_scope", 403, "Refused", "The caller lacks a scope. It needs a, b."},
		"not_found (404): no route covers it":        {false, "not_found", 404, "Refused", "No route covers it."},
		"invalid_api_key (401): the key was revoked": {false, "invalid_api_key", 401, "Refused", "The key was revoked."},
	} {
		if diff := cmp.Diff(want, Explanation{Decision: said}.Decided()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", said, diff)
		}
	}
	if d := (Explanation{Decision: "this is an endpoint of the server itself"}).Decided(); !d.Open || d.Allowed() {
		t.Errorf("got %+v", d)
	}
}

func TestStepsAreLinesWithoutTheDecision(t *testing.T) {
	e := Explanation{
		Lines: []string{
			"caller: nobody", "  scopes in all: nothing", "access public: nobody is asked: passes", "methods POST: it is GET: refuses", "decision: method_not_allowed (405), needs POST",
		},
		Decision: "method_not_allowed (405), needs POST",
	}
	want := []Step{
		{Text: "Caller: nobody"},
		{Text: "Scopes in all: nothing", Within: true},
		{Text: "Access public: nobody is asked", Passes: true},
		{Text: "Methods POST: it is GET", Stops: true},
	}
	if diff := cmp.Diff(want, e.Steps()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
