package main

import (
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A promise is what a process acknowledged before it was killed.
type promise struct {
	mu      sync.Mutex // guards all
	made    map[string]keyMade
	revoked map[string]bool
	told    map[string]map[string]bool // by kind of event and ID of the key: what arrived
}

// add notes a new key, and whether it was revoked.
func (p *promise) add(k keyMade, revoked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made[k.ID] = k
	p.revoked[k.ID] = p.revoked[k.ID] || revoked
}

func (p *promise) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.made)
}

// receive is where the webhook leads to.
func (p *promise) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !p.note(body) {
		w.WriteHeader(http.StatusBadRequest)
	}
}

// note notes what an event tells.
func (p *promise) note(event []byte) bool {
	var e struct {
		Type string
		Data struct {
			KeyID string `json:"key_id"`
		}
	}
	if json.Unmarshal(event, &e) != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told[e.Type] == nil {
		p.told[e.Type] = map[string]bool{}
	}
	p.told[e.Type][e.Data.KeyID] = true
	return true
}

// work makes keys, and revokes every third, until the process is gone.
func (p *promise) work(g *gate) {
	for n := 0; ; n++ {
		a, err := g.ask("POST", "/v1/auth/keys", `{"name":"x"}`, "")
		var made struct {
			Key keyMade `json:"api_key"`
		}
		if err != nil || a.StatusCode != http.StatusCreated || json.Unmarshal([]byte(a.body), &made) != nil {
			return
		}
		p.add(made.Key, false)
		if n%3 != 0 {
			continue
		}
		if a, err := g.ask("DELETE", "/v1/auth/keys/"+made.Key.ID, "", ""); err != nil || a.StatusCode != http.StatusNoContent {
			p.mu.Lock()
			delete(p.made, made.Key.ID) // nobody knows which of the two it is
			p.mu.Unlock()
			return
		}
		p.add(made.Key, true)
	}
}

// TestKilledServerLosesNoAcknowledgedKeyAuditRowOrEvent kills the real program again
// and again while it makes and revokes keys.
func TestKilledServerLosesNoAcknowledgedKeyAuditRowOrEvent(t *testing.T) {
	s := newSite(t, "")
	p := &promise{made: map[string]keyMade{}, revoked: map[string]bool{}, told: map[string]map[string]bool{}}
	receiver := httptest.NewServer(http.HandlerFunc(p.receive))
	defer receiver.Close()
	policy := filepath.Join(s.dir, "policy.yaml")
	must(t, os.WriteFile(policy, []byte("webhooks: {allow_networks: [127.0.0.0/8], allow_http: true}\n"), 0o600))
	for round := range 4 {
		g := s.start("--policy", policy)
		if round == 0 {
			g.must(http.StatusCreated, "POST", "/v1/auth/webhooks", `{"url":"`+receiver.URL+`","all":true}`, "")
		}
		before := p.count()
		var work sync.WaitGroup
		for range 4 {
			work.Go(func() { p.work(g) })
		}
		for begun := time.Now(); p.count() < before+10+7*round; { // somewhere in the middle of others
			if time.Since(begun) > patience {
				t.Fatalf("only %d keys were made:\n%s", p.count()-before, g.Log)
			}
		}
		g.Kill()
		work.Wait()
	}
	g := s.start("--policy", policy)
	p.check(t, g)
	g.stop()
	p.readOutbox(t, filepath.Join(s.dir, "data", "wavegate.db"))
	p.checkTold(t)
	code, stdout, stderr := runToEnd(t, s.dir, func(*exec.Cmd) {}, "--verify-audit", "--secret-file", filepath.Join(s.dir, "secret"))
	if code != exitOK {
		t.Errorf("--verify-audit: %d %s%s", code, stdout, stderr)
	}
}

// check looks for every key and every line of the audit log that was promised.
func (p *promise) check(t *testing.T, g *gate) {
	t.Helper()
	audit := g.must(http.StatusOK, "GET", "/v1/auth/audit/export", "", "").body
	for id, k := range p.made {
		want := http.StatusOK
		if p.revoked[id] {
			want = http.StatusUnauthorized
		}
		if a, err := g.ask("GET", "/app", "", k.Key); err != nil || a.StatusCode != want {
			t.Errorf("the key %s, revoked %v: %v %v", id, p.revoked[id], a.Response, err)
		}
		for action, must := range map[string]bool{"key.create": true, "key.revoke": p.revoked[id]} {
			if got := strings.Contains(audit, `"action":"`+action+`","target":"`+id+`"`); got != must {
				t.Errorf("%s of %s in the audit log: %v, want %v", action, id, got, must)
			}
		}
	}
}

// readOutbox notes the events that are still to be sent: what was being sent when
// the process was killed waits a minute.
func (p *promise) readOutbox(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	must(t, err)
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT payload FROM events WHERE id IN (SELECT event_id FROM deliveries WHERE state = 'pending')")
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var payload []byte
		must(t, rows.Scan(&payload))
		if !p.note(payload) {
			t.Errorf("a payload in the outbox: %q", payload)
		}
	}
	must(t, rows.Err())
}

// checkTold looks for every event that was promised.
func (p *promise) checkTold(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.made {
		if !p.told["key_created"][id] || p.revoked[id] && !p.told["key_revoked"][id] {
			t.Errorf("an event about %s was lost (revoked: %v)", id, p.revoked[id])
		}
	}
	if len(p.made) < 50 {
		t.Errorf("only %d keys were made: the test says little", len(p.made))
	}
}
