package server

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/store"
	"wavegate/server/store/storetest"
)

// staleAfter is for how long remembered keys are believed in these tests.
const staleAfter = 3 * time.Second

// forgetful starts a server that believes what it remembers of keys for a short
// time only.
func forgetful(t *testing.T, change ...func(*Config)) attacked {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(socketApp))
	t.Cleanup(app.Close)
	return attacked{startServer(t, attackedConfig(t, app.URL, "", change...), func(s *Server) {
		var err error
		s.apiKeys, err = apikey.New(apikey.Config{Hasher: s.hasher, Evicted: s.forgetKey, StaleAfter: staleAfter, Log: s.log}, s.store)
		must(t, err)
	})}
}

// unavailable fails the test unless an answer is the one of a store that is down.
func unavailable(t *testing.T, what string, a answer) {
	t.Helper()
	if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, `"store_unavailable"`) || strings.Contains(a.body, "PGSQL") || strings.Contains(a.body, "wavegate.db") {
		t.Errorf("%s: %d, Retry-After %q, %.300s", what, a.StatusCode, a.Header.Get("Retry-After"), a.body)
	}
}

// TestKeysWithAStoreThatIsDownOpenForABoundedTimeAndNothingNewOpens pulls out the
// cable to the database.
func TestKeysWithAStoreThatIsDownOpenForABoundedTimeAndNothingNewOpens(t *testing.T) {
	t.Parallel()
	cable, database := newCable(t, storetest.Postgres(t))
	a := forgetful(t, func(c *Config) { c.Store = database })
	known, fresh := a.mint("ci", `"scopes":["things:read"]`), a.mint("ci", `"scopes":["things:read"]`)
	counted := a.mint("ci", `"scopes":["things:read"],"ops_limit":100000`)
	dead := a.mint("ci", `"scopes":["things:read"]`)
	a.by("ci", "DELETE", "/v1/auth/keys/"+dead.ID, "").want(t, 204, "")
	for _, k := range []minted{known, counted} {
		a.things(k.Key, "192.0.2.1").want(t, 200, "")
	}
	a.things(dead.Key, "192.0.2.1").want(t, 401, "invalid_api_key")
	socket := a.socket(bearer(known.Key)...)
	cable.pull()
	pulled := time.Now()
	unavailable(t, "a key that was never used here", a.things(fresh.Key, "192.0.2.1"))
	unavailable(t, "a key that there is not", a.things("wave_live_"+strings.Repeat("0", 32), "192.0.2.1"))
	if got := a.things(dead.Key, "192.0.2.1"); got.StatusCode != 401 && got.StatusCode != 503 {
		t.Errorf("a revoked key: %d", got.StatusCode)
	}
	if got := a.things(known.Key, "192.0.2.1"); got.StatusCode != 200 && time.Since(pulled) < staleAfter/2 {
		t.Errorf("a key that is remembered: %d %s", got.StatusCode, got.body)
	}
	socket.stays("the store is down")
	eventually(t, "what is remembered is not believed for ever", func() bool { return a.things(known.Key, "192.0.2.1").StatusCode == 503 })
	unavailable(t, "a key that was remembered", a.things(known.Key, "192.0.2.1"))
	if took := time.Since(pulled); took > 10*staleAfter {
		t.Errorf("a key without a store opens for %v", took)
	}
	for i := range 30 { // which is nobody's guessing
		if status, _ := a.direct("GET", "/things", "192.0.2.1", bearer([]string{known.Key, fresh.Key}[i%2])...); status != 503 {
			t.Errorf("%d", status)
		}
	}
	cable.plug()
	eventually(t, "it works again without a restart", func() bool { return a.things(known.Key, "192.0.2.1").StatusCode == 200 })
	a.things(fresh.Key, "192.0.2.1").want(t, 200, "")
	a.things(dead.Key, "192.0.2.1").want(t, 401, "invalid_api_key")
	eventually(t, "so do budgets", func() bool { return a.things(counted.Key, "192.0.2.1").StatusCode == 200 })
}

// TestAKeyThatIsRevokedWhileAServerIsCutOffEndsThere: a server that cannot hear of it
// stops believing, sockets too, and one that can ends it at once.
func TestAKeyThatIsRevokedWhileAServerIsCutOffEndsThere(t *testing.T) {
	t.Parallel()
	direct := storetest.Postgres(t)
	cable, database := newCable(t, direct)
	secret := writeFile(t, filepath.Join(t.TempDir(), "secret"), strings.Repeat("0123456789abcdef", 4)+"\n")
	cut := forgetful(t, func(c *Config) { c.Store, c.SecretFile = database, secret })
	whole := forgetful(t, func(c *Config) { c.Store, c.SecretFile = direct, secret })
	k := whole.mint("ci", `"scopes":["things:read"]`)
	cut.things(k.Key, "192.0.2.1").want(t, 200, "")
	sockets := []open{cut.socket(bearer(k.Key)...), whole.socket(bearer(k.Key)...)}
	cable.pull()
	whole.by("ci", "DELETE", "/v1/auth/keys/"+k.ID, "").want(t, 204, "")
	whole.things(k.Key, "192.0.2.1").want(t, 401, "invalid_api_key")
	sockets[1].ended("the key was revoked")
	eventually(t, "the other server believes it no more", func() bool { return cut.things(k.Key, "192.0.2.1").StatusCode == 503 })
	cable.plug()
	eventually(t, "and learns of it", func() bool { return cut.things(k.Key, "192.0.2.1").StatusCode == 401 })
	sockets[0].ended("the key was revoked while nobody told")
}

// TestNothingIsHalfDoneWhileTheStoreIsLocked holds the only writer's lock of the
// SQLite file while keys are made, rotated, changed and revoked.
func TestNothingIsHalfDoneWhileTheStoreIsLocked(t *testing.T) {
	t.Parallel()
	a := forgetful(t)
	k := a.mint("ci", `"scopes":["things:read"],"ops_limit":1000`)
	a.things(k.Key, "192.0.2.1").want(t, 200, "")
	before := a.keyRecord(k.ID)
	lines := a.auditLines("key.")
	db, err := sql.Open("sqlite", "file:"+filepath.Join(a.cfg.DataDir, "wavegate.db")+"?_pragma=busy_timeout(10000)")
	must(t, err)
	defer db.Close()
	lock, err := db.Conn(t.Context())
	must(t, err)
	_, err = lock.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	must(t, err)
	calls := []struct{ method, path, body string }{
		{"POST", "/v1/auth/keys", `{"name":"lost"}`},
		{"POST", "/v1/auth/keys/" + k.ID + "/rotate", `{}`},
		{"PATCH", "/v1/auth/keys/" + k.ID, `{"name":"lost"}`},
		{"DELETE", "/v1/auth/keys/" + k.ID, ""},
		{"POST", "/api/v1/user/api-keys", `{"environment":"live"}`},
		{"POST", "/v1/auth/webhooks", `{"url":"http://127.0.0.1:1/"}`},
	}
	atOnce(len(calls), func(i int) int {
		got := a.by("ci", calls[i].method, calls[i].path, calls[i].body)
		unavailable(t, calls[i].method+" "+calls[i].path, got)
		return got.StatusCode
	})
	_, err = lock.ExecContext(context.WithoutCancel(t.Context()), "ROLLBACK")
	must(t, err)
	list, err := a.store.Keys(t.Context(), store.KeyFilter{Owner: "key:ci"}, time.Now(), "", 10)
	must(t, err)
	after := a.keyRecord(k.ID)
	if len(list) != 1 || after.Version != before.Version || after.Name != before.Name || !after.RevokedAt.IsZero() || after.ReplacedBy != "" {
		t.Errorf("%d keys, and the one is %+v", len(list), after)
	}
	if got := a.auditLines("key."); got != lines {
		t.Errorf("%d lines of the audit log became %d", lines, got)
	}
	eventually(t, "it works again", func() bool { return a.by("ci", "POST", "/v1/auth/keys", `{"name":"kept"}`).StatusCode == 201 })
	a.things(k.Key, "192.0.2.1").want(t, 200, "")
}

// auditLines counts the lines of the audit log whose action begins in a way.
func (a attacked) auditLines(begin string) (n int) {
	a.t.Helper()
	for e, err := range a.store.AuditAll(a.t.Context(), store.AuditFilter{}, 0) {
		must(a.t, err)
		if strings.HasPrefix(e.Action, begin) {
			n++
		}
	}
	return n
}
