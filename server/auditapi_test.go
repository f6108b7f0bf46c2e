package server

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"wavegate/server/audit"
)

// actions returns the actions of a list, in its order.
func actions(t *testing.T, a answer) string {
	t.Helper()
	var list struct {
		Entries []audit.Entry `json:"entries"`
	}
	if err := json.Unmarshal([]byte(a.want(t, 200, "").body), &list); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range list.Entries {
		all = append(all, e.Action)
	}
	return strings.Join(all, " ")
}

func TestAuditIsFilteredAndEverybodySeesTheirs(t *testing.T) {
	m := manage(t)
	id := m.as("ann", "POST", hooks, `{"url": "https://a.example.com"}`).text(t, "webhook.id")
	m.as("bob", "POST", hooks, `{"url": "https://b.example.com"}`).want(t, 201, "")
	m.as("admin", "PATCH", hooks+"/"+id, `{"disabled": true}`).want(t, 200, "")
	const log = "/v1/auth/audit"
	for query, want := range map[string]string{
		"?actor=key:ann":                    "webhook.create",
		"?target=" + id:                     "webhook.change webhook.create",
		"?action=webhook.":                  "webhook.change webhook.create webhook.create",
		"?action=webhook.change":            "webhook.change",
		"?action=webhook":                   "",
		"?outcome=ok&action=webhook.":       "webhook.change webhook.create webhook.create",
		"?outcome=refused":                  "",
		"?ip=127.0.0.1&actor=key:bob":       "webhook.create",
		"?ip=192.0.2.1":                     "",
		"?from=2020-01-01&action=webhook.":  "webhook.change webhook.create webhook.create",
		"?to=2020-01-01T00:00:00Z":          "",
		"?from=2100-01-01T00:00:00%2B01:00": "",
		"?from=2100-01-01T00:00:00+01:00":   "", // as people write it
	} {
		if got := actions(t, m.as("admin", "GET", log+query, "")); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	// The owner sees what was done to their things, and by whom; nobody else's.
	if got := actions(t, m.as("ann", "GET", log, "")); got != "webhook.change webhook.create" {
		t.Errorf("ann sees %q", got)
	}
	if got := actions(t, m.as("bob", "GET", log, "")); got != "webhook.create" {
		t.Errorf("bob sees %q", got)
	}
	if got := actions(t, m.as("bob", "GET", log+"?actor=key:ann", "")); got != "" {
		t.Errorf("bob sees of ann %q", got)
	}
	m.try([]try{
		{
			"ann", "GET", log + "?from=soon&to=1&limit=x&cursor=-1&actr=ann", "", 400, "invalid_request",
			[]string{`"field":"from"`, `"field":"to"`, `"field":"limit"`, `"field":"cursor"`, `"field":"actr"`},
			nil,
		},
		{"ann", "GET", log + "?from=2026-01-02&to=2026-01-01", "", 400, "invalid_request", []string{"after from"}, nil},
		{"ann", "GET", log + "/export?format=xml", "", 400, "invalid_request", []string{"jsonl or csv"}, nil},
		{"ann", "GET", log + "/verify", "", 403, "insufficient_role", nil, nil},
		{"admin", "GET", log + "/verify?after=1", "", 400, "invalid_request", nil, nil},
	})
}

func TestAuditPagesHoldEveryEntryOnce(t *testing.T) {
	m := manage(t)
	one := hooks + "/" + m.as("ann", "POST", hooks, `{"url": "https://a.example.com"}`).text(t, "webhook.id")
	for i := range 6 {
		m.as("ann", "PATCH", one, fmt.Sprintf(`{"description": "%d"}`, i)).want(t, 200, "")
	}
	seen, cursor := map[float64]bool{}, ""
	for range 7 {
		a := m.as("ann", "GET", "/v1/auth/audit?limit=3&cursor="+cursor, "")
		for i := 0; a.at(t, fmt.Sprintf("entries.%d", i)) != nil; i++ {
			seen[a.at(t, fmt.Sprintf("entries.%d.seq", i)).(float64)] = true
		}
		if cursor, _ = a.at(t, "next_cursor").(string); cursor == "" {
			break
		}
	}
	if len(seen) != 7 || cursor != "" {
		t.Errorf("%d entries in pages, cursor %q", len(seen), cursor)
	}
}

func TestAuditExports(t *testing.T) {
	m := manage(t)
	m.as("ann", "POST", hooks, `{"url": "https://a.example.com", "description": "=HYPERLINK(\"x\")"}`).want(t, 201, "")
	m.as("bob", "POST", hooks, `{"url": "https://b.example.com"}`).want(t, 201, "")
	all := m.as("admin", "GET", "/v1/auth/audit/export?action=webhook.", "").want(t, 200, "")
	if got := all.Header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment; filename=\"audit-20") || !strings.HasSuffix(got, ".jsonl\"") {
		t.Errorf("Content-Disposition %q", got)
	}
	var owners []string
	for line := range strings.Lines(all.body) {
		for _, problem := range m.described.problems(m.described.Components.Schemas["AuditEntry"], decoded(t, line), "entry") {
			t.Errorf("%s: %s", problem, line)
		}
		owners = append(owners, decoded(t, line).(map[string]any)["owner"].(string))
	}
	if got := strings.Join(owners, " "); got != "key:ann key:bob" {
		t.Errorf("owners %q: want all, the oldest first", got)
	}
	table := m.as("ann", "GET", "/v1/auth/audit/export?format=csv", "").want(t, 200, "")
	rows, err := csv.NewReader(strings.NewReader(table.body)).ReadAll()
	if err != nil || len(rows) != 2 || rows[0][0] != "seq" || rows[1][2] != "key:ann" {
		t.Errorf("%v, %v", rows, err)
	}
	if empty := m.as("admin", "GET", "/v1/auth/audit/export?actor=nobody", "").want(t, 200, ""); empty.body != "" {
		t.Errorf("nothing is exported as %q", empty.body)
	}
	m.as("admin", "HEAD", "/v1/auth/audit/export", "")
}

// TestTheAPIFindsWhatWasChangedInTheAuditLog changes a line behind the server's
// back.
func TestTheAPIFindsWhatWasChangedInTheAuditLog(t *testing.T) {
	var kept Config
	m := manage(t, func(c *Config) { kept = *c })
	for range 5 {
		m.as("ann", "POST", hooks, `{"url": "https://a.example.com"}`).want(t, 201, "")
	}
	good := m.as("admin", "GET", "/v1/auth/audit/verify", "").want(t, 200, "")
	if good.at(t, "ok") != true || good.at(t, "complete") != true || good.at(t, "checked") != 5.0 || good.at(t, "problem") != nil {
		t.Errorf("report %s", good.body)
	}
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	forge(t, filepath.Join(kept.DataDir, "wavegate.db"), "DROP TRIGGER audit_log_stays", "UPDATE audit_log SET actor = 'key:bob' WHERE seq = 3")
	again := &managed{startServer(t, kept), m.described}
	bad := again.as("admin", "GET", "/v1/auth/audit/verify", "").want(t, 200, "")
	if bad.at(t, "ok") != false || bad.at(t, "bad") != 3.0 || bad.at(t, "checked") != 2.0 || !strings.Contains(bad.text(t, "problem"), "entry 3") {
		t.Errorf("report %s", bad.body)
	}
	if len(again.lines("the audit log is not what was written")) != 1 {
		t.Error("nothing is said in the log")
	}
}

// forge writes to a database without asking its owner.
func forge(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// TestChangesOfUsersAreInTheAuditLog covers what has no journal of its own in the
// store.
func TestChangesOfUsersAreInTheAuditLog(t *testing.T) {
	m := manage(t, withUsers(t))
	ann, other := newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("ann")
	ends := other.api("GET", "/v1/auth/sessions?limit=1", "").text(t, "sessions.0.id")
	ann.api("DELETE", "/v1/auth/sessions/"+ends, "", "Sec-Fetch-Site", "same-origin").want(t, 204, "")
	user := m.as("admin", "GET", "/v1/auth/users", "").text(t, "users.0.id")
	m.as("admin", "PATCH", "/v1/auth/users/"+user, `{"disabled": true}`).want(t, 200, "")
	m.as("admin", "PATCH", "/v1/auth/users/"+user, `{"disabled": false}`).want(t, 200, "")
	if err := m.Reload(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reload is noted", func() bool {
		return strings.Contains(m.as("admin", "GET", "/v1/auth/audit?action=config.", "").body, "config.reload")
	})
	want := "config.reload user.enable user.disable session.end"
	if got := actions(t, m.as("admin", "GET", "/v1/auth/audit", "")); got != want {
		t.Errorf("actions %q, want %q", got, want)
	}
	entry := m.as("admin", "GET", "/v1/auth/audit?action=session.end", "")
	if entry.at(t, "entries.0.actor") != "sub:local|ann" || entry.at(t, "entries.0.target") != ends {
		t.Errorf("entry %s", entry.body)
	}
}

func TestRefusedCredentialsAreInTheAuditLogWithoutThem(t *testing.T) {
	m := manage(t)
	m.do("GET", "/", "", "Authorization", basic("ann", "s3cret-guess")).want(t, http.StatusUnauthorized, "invalid_access_key")
	var a answer
	eventually(t, "the refusal is noted", func() bool {
		a = m.as("admin", "GET", "/v1/auth/audit?action=credential.refused", "")
		return a.at(t, "entries.0") != nil
	})
	if a.at(t, "entries.0.outcome") != "invalid_access_key" || a.at(t, "entries.0.ip") != "127.0.0.1" || bytes.Contains([]byte(a.body), []byte("s3cret-guess")) {
		t.Errorf("entry %s", a.body)
	}
}
