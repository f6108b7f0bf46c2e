package manage

import "wavegate/server/portal"

// policyPages are about the policy in force, and what it means for a request.
func (d *Desk) policyPages() pages {
	return pages{
		"GET /policy": d.policy,
		"GET /why":    d.why,
		"POST /why":   d.why,
	}
}

const (
	policyCall  = "/v1/auth/policy"
	explainCall = "/v1/auth/explain"
)

// policy shows the policy in force.
func (d *Desk) policy(v *Visit) error {
	view := portal.PolicyPage{Search: v.Query("q")}
	if err := v.Shown(policyCall, nil, &view.Policy); err != nil {
		return err
	}
	return v.Page(portal.Frame{Title: "Policy", Lead: "The rules as they are in force now.", Wide: true}, view)
}
