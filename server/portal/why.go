package portal

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// A WhyPage explains why a request is allowed or refused.
type WhyPage struct {
	Form   Form
	Answer *Explanation // nil before somebody asked
	People []Option     // whom it may be about
}

func (WhyPage) page() string { return "why" }

func (v WhyPage) form() Form { return v.Form }

// An Explanation is what the API says about a request.
type Explanation struct {
	Lines    []string `json:"lines"`
	Decision string   `json:"decision"` // the last line
}

// decisionWords are the parts of "insufficient_scope (403), needs streams:read".
var decisionWords = regexp.MustCompile(`^([a-z_]+) \(([0-9]{3})\)(?:[,:] (.*))?$`)

// A Decision is what becomes of a request.
type Decision struct {
	Open   bool // it is neither: what the caller may do depends on the call
	Code   string
	Status int
	Title  string
	Words  string
}

// Decided reads the decision.
func (e Explanation) Decided() Decision {
	m := decisionWords.FindStringSubmatch(e.Decision)
	if m == nil {
		return Decision{Open: true, Title: "It depends on the call", Words: "This is a call of the server itself. What the caller may do there follows from what they hold of the server’s own API, below."}
	}
	status, _ := strconv.Atoi(m[2]) // three digits
	d := Decision{Code: m[1], Status: status, Title: "Refused", Words: reasons[m[1]]}
	if status < http.StatusBadRequest {
		d.Title = "Allowed"
	}
	if rest := m[3]; rest != "" {
		if need, ok := strings.CutPrefix(rest, "needs "); ok {
			rest = "It needs " + need
		}
		d.Words = strings.TrimSpace(d.Words + " " + upper(rest) + ".")
	}
	return d
}

// Allowed reports whether the request passes.
func (d Decision) Allowed() bool { return d.Status != 0 && d.Status < http.StatusBadRequest }

// reasons are the codes of decisions as people say them.
var reasons = map[string]string{
	"allowed":            "The request goes through.",
	"no_credential":      "Nobody is allowed in without a credential.",
	"insufficient_scope": "The caller lacks a scope.",
	"insufficient_role":  "The caller lacks a role.",
	"insufficient_group": "The caller is in none of the groups.",
	"not_key":            "The route is for access keys and API keys alone.",
	"not_signed_in":      "The route is for people who are signed in alone.",
	"method_not_allowed": "The route does not take this method.",
}

// A Step is a line of an explanation.
type Step struct {
	Text   string
	Passes bool // the rule lets the request pass
	Stops  bool // the rule refuses it
	Within bool // it says more of the line before
}

// Steps are the lines of the explanation but the decision, in their order.
func (e Explanation) Steps() []Step {
	var steps []Step
	for _, line := range e.Lines {
		if strings.TrimPrefix(line, "decision: ") == e.Decision {
			continue
		}
		s := Step{Within: strings.HasPrefix(line, " ")}
		s.Text = strings.TrimSpace(line)
		if text, ok := strings.CutSuffix(s.Text, ": passes"); ok {
			s.Text, s.Passes = text, true
		}
		if text, ok := strings.CutSuffix(s.Text, ": refuses"); ok {
			s.Text, s.Stops = text, true
		}
		s.Text = upper(s.Text)
		steps = append(steps, s)
	}
	return steps
}
