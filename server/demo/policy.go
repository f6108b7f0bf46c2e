package demo

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// policyText is the policy file; UPSTREAM stands for the app's URL.
//
//go:embed policy.yaml
var policyText string

// Policy returns the demo's policy file: routes that lead to the app at
// upstreamURL, and the scopes of its API. The access keys named as readers may
// only read; every other key may do everything.
func Policy(upstreamURL string, readers ...string) []byte {
	var file strings.Builder
	file.WriteString(strings.ReplaceAll(policyText, "UPSTREAM", quoteYAML(upstreamURL)))
	if len(readers) > 0 {
		file.WriteString("\naccess_keys:               # a key that is not named here may do everything\n")
	}
	for _, id := range readers {
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
