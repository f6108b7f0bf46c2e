package portal

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The manual names every action, and a test of it looks into the source; the page has
// words for each.
func TestEveryActionOfTheManualHasWords(t *testing.T) {
	manual, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z_]+\\.[a-z_]+`[^|]*)\\|").FindAllSubmatch(manual, -1) {
		for _, action := range regexp.MustCompile("`([a-z_]+\\.[a-z_]+)`").FindAllSubmatch(row[1], -1) {
			want = append(want, string(action[1]))
		}
	}
	for _, group := range deedGroups {
		for _, d := range group.deeds {
			got = append(got, d.action)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 20 {
		t.Errorf("%d actions (-manual +page):\n%s", len(want), diff)
	}
}

func TestAnEntryIsASentence(t *testing.T) {
	for _, tt := range []struct {
		want, room string
		entry      AuditEntry
	}{
		{"ann made the key build server", "keys/key_1", AuditEntry{Actor: "sub:local|ann", Action: "key.create", Target: "key_1", Outcome: "ok", Details: map[string]string{"name": "build server"}}},
		{"google|12 revoked the key key_1", "keys/key_1", AuditEntry{Actor: "sub:google|12", Action: "key.revoke", Target: "key_1", Details: map[string]string{"name": "\u202e"}}},
		{"Access key CI made the webhook hooks.example.com", "webhooks/whk_1", AuditEntry{Actor: "key:CI", Action: "webhook.create", Target: "whk_1", Details: map[string]string{"url": "hooks.example.com"}}},
		{"App client_abcdefg… gave back a token of the app client_abcdefghij", "apps/client_abcdefghij", AuditEntry{Actor: "client:client_abcdefghij", Action: "token.revoke", Target: "client_abcdefghij"}},
		{"ann removed the app Studio", "", AuditEntry{Actor: "sub:local|ann", Action: "client.delete", Target: "client_1", Details: map[string]string{"name": "Studio"}}},
		{"ann changed the roles of bob", "users/usr_1", AuditEntry{Actor: "sub:local|ann", Owner: "sub:local|bob", Action: "user.roles", Target: "usr_1"}},
		{"ann ended a session of their own", "", AuditEntry{Actor: "sub:local|ann", Owner: "sub:local|ann", Action: "session.end", Target: "ses_1"}},
		{"The command line disabled usr_1", "users/usr_1", AuditEntry{Actor: "cli", Action: "user.disable", Target: "usr_1"}},
		{"A stranger was refused at GET /v1/x", "", AuditEntry{Action: "credential.refused", Target: "key_1", Outcome: "invalid_api_key", Details: map[string]string{"method": "GET", "path": "/v1/x"}}},
		{"A stranger was refused", "", AuditEntry{Action: "credential.refused", Outcome: "many", Details: map[string]string{"from": "many addresses"}}},
		{"The server read the settings again", "", AuditEntry{Actor: "system", Action: "config.reload", Outcome: "failed"}},
		{"API key key_abcdefg… was used in an odd way", "keys/key_abcdefghij", AuditEntry{Actor: "api_key:key_abcdefghij", Action: "key.suspicious", Target: "key_abcdefghij"}},
		{"203.0.113.7 was locked out", "lockouts", AuditEntry{Action: "lockout.begin", Target: "203.0.113.7"}},
		{"ann new.thing X", "", AuditEntry{Actor: "sub:local|ann", Action: "new.thing", Target: "X"}},
	} {
		got := tt.entry.Who() + " " + tt.entry.Did()
		if thing := tt.entry.Thing(); thing != "" {
			got += " " + thing
		}
		if got != tt.want || tt.entry.Room(true) != tt.room {
			t.Errorf("got %q, %q, want %q, %q", got, tt.entry.Room(true), tt.want, tt.room)
		}
	}
	if room := (AuditEntry{Action: "user.roles", Target: "usr_1"}).Room(false); room != "" {
		t.Errorf("somebody who is no administrator is led to %q", room)
	}
}

func TestOutcomesAreTold(t *testing.T) {
	for _, tt := range []struct {
		entry      AuditEntry
		pill, came string
	}{
		{AuditEntry{Action: "key.create", Outcome: "ok"}, "good", "Done"},
		{AuditEntry{Action: "credential.refused", Outcome: "invalid_api_key"}, "bad", "Invalid api key"},
		{AuditEntry{Action: "lockout.begin", Outcome: "locked_out"}, "caution", "Locked out"},
		{AuditEntry{Action: "grant.suspicious", Outcome: "code_reuse"}, "caution", "Code reuse"},
	} {
		if got := []string{tt.entry.Pill(), tt.entry.Came()}; !slices.Equal(got, []string{tt.pill, tt.came}) {
			t.Errorf("%s %s: got %q", tt.entry.Action, tt.entry.Outcome, got)
		}
	}
	for _, tt := range []struct {
		report      AuditReport
		pill, found string
	}{
		{AuditReport{OK: true, Complete: true}, "good", "As it was written"},
		{AuditReport{OK: true}, "caution", "Not all checked"},
		{AuditReport{Bad: 7}, "bad", "Changed"},
	} {
		if got := []string{tt.report.Pill(), tt.report.Found()}; !slices.Equal(got, []string{tt.pill, tt.found}) {
			t.Errorf("%+v: got %q", tt.report, got)
		}
	}
}
