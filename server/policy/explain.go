package policy

import (
	"fmt"
	"strings"

	"wavegate/server/identity"
)

// Explain tells, rule by rule, how Decide comes to its answer. It is for
// people; the wording may change.
func (p *Policy) Explain(who *identity.Principal, ask Ask) []string {
	lines := []string{explainCaller(who)}
	switch route := ask.Route; {
	case route == nil:
		lines = append(lines, "route: none covers the request, any credential is wanted")
	default:
		lines = append(lines, fmt.Sprintf("route: %s (%s), access %s", route.Name, route.Origin, route.Access))
		for _, rule := range []struct {
			name string
			need []string
		}{
			{"methods", route.Methods},
			{"all of the scopes", route.Require.Scopes},
			{"one of the roles", route.Require.Roles},
			{"one of the groups", route.Require.Groups},
		} {
			if len(rule.need) > 0 {
				lines = append(lines, "  "+rule.name+": "+strings.Join(rule.need, ", "))
			}
		}
	}
	if need := p.endpoints.lookup(ask); need != nil {
		lines = append(lines, "endpoint: needs one of the scopes "+strings.Join(need, ", "))
	} else if len(p.scopes) > 0 {
		lines = append(lines, "endpoint: no scope covers the request")
	}
	d := p.Decide(who, ask)
	end := "decision: " + d.Reason.String()
	if len(d.Need) > 0 {
		end += ", needs " + strings.Join(d.Need, ", ")
	}
	return append(lines, end)
}

// explainCaller says who asks, without any secret.
func explainCaller(who *identity.Principal) string {
	if who == nil || who.Method == identity.MethodNone {
		return "caller: nobody"
	}
	return fmt.Sprintf("caller: %s %s, scopes [%s], roles [%s], groups [%s]", who.Method, who.Subject,
		strings.Join(who.Scopes, " "), strings.Join(who.Roles, " "), strings.Join(who.Groups, " "))
}
