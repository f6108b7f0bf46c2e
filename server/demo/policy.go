package demo

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// policyText is the policy file; UPSTREAM stands for the app's URL and EDITORS
// for a list of members.
//
//go:embed policy.yaml
var policyText string

// Rules are what the demo's policy is made of.
type Rules struct {
	Upstream string   // URL of the app
	Editors  []string // people who may change streams, as roles name them: "local|ann"
	Readers  []string // access keys that may only read; every other key may do everything
}

// Policy returns the demo's policy file: routes that lead to the app, the scopes
// of its API, and who has them. A person who is no editor sees the pages and may
// not use the API.
func Policy(r Rules) []byte {
	editors := make([]string, len(r.Editors))
	for i, member := range r.Editors {
		editors[i] = quoteYAML(member)
	}
	var file strings.Builder
	file.WriteString(strings.NewReplacer(
		"UPSTREAM", quoteYAML(r.Upstream),
		"EDITORS", "["+strings.Join(editors, ", ")+"]",
	).Replace(policyText))
	if len(r.Readers) > 0 {
		file.WriteString("\naccess_keys:               # a key that is not named here may do everything\n")
	}
	for _, id := range r.Readers {
		fmt.Fprintf(&file, "  %s: {scopes: [streams:read]}\n", quoteYAML(id))
	}
	return []byte(file.String())
}

// quoteYAML returns s in double quotes; JSON's strings are YAML's.
func quoteYAML(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil { // a string always marshals
		panic(err)
	}
	return string(quoted)
}
