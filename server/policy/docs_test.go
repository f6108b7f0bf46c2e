package policy

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/identity"
)

// page reads the documentation of the policy file.
func page(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestEveryFieldIsDocumented asks the compiler which fields there are, by a wrong
// one in every place.
func TestEveryFieldIsDocumented(t *testing.T) {
	const none = "xxxxxxxxxx: 1"
	_, err := Parse("policy.yaml", []byte(none+`
upstreams: [{xxxxxxxxxx: 1, require: {xxxxxxxxxx: 1}, response_headers: {xxxxxxxxxx: 1}, cors: {xxxxxxxxxx: 1}, tls: {xxxxxxxxxx: 1}}]
scopes: {a: {xxxxxxxxxx: 1}}
roles: {a: {xxxxxxxxxx: 1}}
access_keys: {a: {xxxxxxxxxx: 1}}
tiers: {a: {xxxxxxxxxx: 1}}
defaults: {xxxxxxxxxx: 1}
trial: {xxxxxxxxxx: 1}
issuers: [{xxxxxxxxxx: 1}]
providers: [{xxxxxxxxxx: 1}]
branding: {xxxxxxxxxx: 1}
webhooks: {xxxxxxxxxx: 1}
retention: {xxxxxxxxxx: 1}
oauth: {xxxxxxxxxx: 1, registration: {xxxxxxxxxx: 1}}
session_tokens: {xxxxxxxxxx: 1}
`), nil)
	if err == nil {
		t.Fatal("the fields were taken")
	}
	text := page(t)
	lists := regexp.MustCompile(`it may have (.*)`).FindAllStringSubmatch(err.Error(), -1)
	if len(lists) != 20 {
		t.Errorf("got %d lists of fields, want one for each place:\n%v", len(lists), err)
	}
	for _, list := range lists {
		for field := range strings.SplitSeq(list[1], ", ") {
			if !strings.Contains(text, "`"+field+"`") && !strings.Contains(text, "`"+field+": ") {
				t.Errorf("docs/policy.md does not name %s", field)
			}
		}
	}
}

func TestDocumentedTablesAreTrue(t *testing.T) {
	text := page(t)
	for _, tier := range builtinTiers() {
		number := func(n int64) string {
			if n == 0 {
				return ""
			}
			return fmt.Sprint(n)
		}
		row := []string{"`" + tier.Name + "`", number(tier.RequestsPerMinute), number(tier.BurstPerSecond), number(tier.Concurrent), ""}
		if tier.BandwidthPerMonth > 0 {
			row[4] = strings.ReplaceAll(sizeText(tier.BandwidthPerMonth), " ", "")
		}
		wantRow(t, text, row)
	}
	for _, what := range Permissions() {
		row := []string{"`" + string(what) + "`"}
		for _, role := range builtinRoles() {
			row = append(row, map[bool]string{true: "yes"}[rolesMay([]string{role}, what)])
		}
		wantRow(t, text, row)
	}
}

// wantRow wants a row of a table.
func wantRow(t *testing.T, text string, cells []string) {
	t.Helper()
	row := regexp.MustCompile(` +`).ReplaceAllString("| "+strings.Join(cells, " | ")+" |\n", " ")
	if !strings.Contains(text, row) {
		t.Errorf("docs/policy.md has no row %q", row)
	}
}

func TestDocumentedExplanationIsWhatIsPrinted(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```(yaml|text)\n(.*?)```").FindAllStringSubmatch(page(t), -1)
	if len(blocks) != 2 {
		t.Fatalf("got %d blocks, want the file and what is printed", len(blocks))
	}
	p := mustParse(t, blocks[0][2])
	key := &identity.Principal{Method: identity.MethodAPIKey, Subject: "google|7", KeyID: "key_ci"}
	p.GrantKey(key, "developer", nil)
	got := strings.Join(p.Explain(key, p.AskFor("localhost", "POST", "/v1/streams", false)), "\n") + "\n"
	if diff := cmp.Diff(blocks[1][2], got); diff != "" {
		t.Errorf("(-documented +got):\n%s", diff)
	}
}
