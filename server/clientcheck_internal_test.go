package server

import (
	"strings"
	"testing"

	"wavegate/server/fault"
)

// A form that is checked hears of the fields that it has, whatever they are called, and
// a body of thousands of fields costs no more than that many looks.
func TestProblemsAreAboutTheFieldsThatAreGiven(t *testing.T) {
	for field, want := range map[string]bool{
		"scopes": true, "scopes[3]": true, "budget.day": true, "odd[name]": true, "odd[name][0]": true, "a.b": true,
		"scope": false, "scopesx": false, "name": false, "gone": false, "odd": false, "": false, strings.Repeat("x", 40) + "…": true,
	} {
		p := problems{fault.Field{Field: field, Message: "is wrong"}}
		body := `{"scopes":["x"],"budget":{},"odd[name]":1,"a.b":2,"gone":null,"` + strings.Repeat("x", 60) + `":1}`
		if got := len(p.about([]byte(body))) == 1; got != want {
			t.Errorf("%q: %v, want %v", field, got, want)
		}
	}
	if got := (problems{{Field: "name"}}).about(nil); len(got) != 0 {
		t.Errorf("of an empty body: %v", got)
	}
}
