package server

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wavegate/server/webhook"
)

// manual returns a page of the documentation.
func manual(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheManualNamesEveryEvent(t *testing.T) {
	page := manual(t, "webhooks.md")
	for _, e := range append(webhook.Types(), webhook.Ping) {
		if !strings.Contains(page, "`"+e+"`") {
			t.Errorf("docs/webhooks.md does not name %s", e)
		}
	}
}

// TestTheManualNamesEveryAction compares the page with the actions that stand in
// the source.
func TestTheManualNamesEveryAction(t *testing.T) {
	page := manual(t, "audit.md")
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`(?:[aA]ction:|action(?:, [a-z.]+)? :?=|deed\{|(?:editWebhook|alter)\(.*,) ?"([a-z_]+\.[a-z_]+)"`)
	seen := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range word.FindAllStringSubmatch(string(source), -1) {
			seen[m[1]] = true
			if !strings.Contains(page, "`"+m[1]+"`") {
				t.Errorf("docs/audit.md does not name %s, which %s writes", m[1], file)
			}
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z_]+\\.[a-z_]+`.*?) \\|").FindAllStringSubmatch(page, -1) {
		for _, m := range regexp.MustCompile("`([a-z_.]+)`").FindAllStringSubmatch(row[1], -1) {
			if !seen[m[1]] {
				t.Errorf("docs/audit.md names %s, which was not found in the source: nobody writes it, or the search is blind", m[1])
			}
		}
	}
	for _, sure := range []string{"key.create", "webhook.change", "user.disable", "credential.refused", "client.rotate_secret", "grant.deny", "signing_key.rotate"} {
		if !seen[sure] {
			t.Errorf("%s was not found in the source: the search is blind", sure)
		}
	}
}
