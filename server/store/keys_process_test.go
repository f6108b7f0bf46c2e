package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

// workKeys makes, rotates and revokes keys until it is killed, and writes a line
// for each that the store acknowledged. Each has an audit entry about it.
func workKeys(s *Store) error {
	ctx := context.Background()
	for {
		r := newKey("sub:ann", start)
		next := newKey("sub:ann", start)
		for _, act := range []struct {
			said string
			do   func() error
		}{
			{"", func() error {
				_, err := s.AddKey(ctx, r, Idempotency{Owner: "sub:ann", Key: r.ID}, Journal{})
				return err
			}},
			{"noted " + r.ID, func() error { return s.Note(ctx, noted("note", r.ID)) }},
			{"rotated " + r.ID, func() error {
				_, err := s.RotateKey(ctx, deprecated(r, next.ID), next, Idempotency{}, noted("rotate", r.ID))
				return err
			}},
			{"revoked " + next.ID, func() error {
				next.RevokedAt = start
				_, err := s.ChangeKey(ctx, next, noted("revoke", next.ID))
				return err
			}},
		} {
			if err := inTurn(act.do); err != nil {
				return err
			}
			if act.said != "" {
				fmt.Println(act.said)
			}
		}
	}
}

// inTurn does something until it was this process's turn: SQLite does not queue
// those who want to write, and with two that never rest one may get none for
// longer than a call waits.
func inTurn(do func() error) error {
	for {
		if err := do(); !errors.Is(err, session.ErrUnavailable) {
			return err
		}
	}
}

// TestKillLosesNoKeyAndNoAuditRow kills two processes at once, at random moments:
// what they had reported is in the store, every change has its entry, and the
// chain is whole.
func TestKillLosesNoKeyAndNoAuditRow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, Config{URL: url})
		acts := map[string]int{}
		for round := range 12 {
			done := map[string]string{} // by act and key
			children := []*child{startChild(t, "keys", url), startChild(t, "keys", url)}
			take := func(line string) {
				if act, id, whole := strings.Cut(line, " "); whole && len(id) == len("key_")+26 {
					done[act+" "+id] = id
					acts[act]++
				}
			}
			for range 1 + round*3 {
				take(children[0].line(t))
			}
			for i, c := range children { // somewhere within a transaction
				time.AfterFunc(time.Duration((round*137+i*411)%1000)*10*time.Microsecond, c.kill)
			}
			for _, c := range children {
				for c.out.Scan() {
					take(c.out.Text())
				}
			}
			logged := map[string]bool{}
			for _, line := range actions(t, s) {
				logged[line] = true
			}
			for line, id := range done {
				checkKey(t, s, line, id, logged)
			}
			if _, err := s.VerifyAudit(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if acts["noted"] < 20 || acts["rotated"] < 20 || acts["revoked"] < 20 {
			t.Errorf("too little was done to be killed: %v", acts)
		}
		counts := func(action, keys string) {
			t.Helper()
			wantSame(t, "entries of "+action, count(t, s, "audit_log WHERE action = ?", action), count(t, s, "api_keys WHERE "+keys))
		}
		counts("rotate", "replaced_by <> ''")
		counts("revoke", "revoked_at <> 0")
		wantSame(t, "rotated without a new key", count(t, s, "api_keys k WHERE replaced_by <> '' AND NOT EXISTS (SELECT 1 FROM api_keys n WHERE n.id = k.replaced_by)"), 0)
		wantSame(t, "requests and first keys", count(t, s, "key_requests"), count(t, s, "api_keys")-count(t, s, "audit_log WHERE action = 'rotate'"))
	})
}

// checkKey compares the store with an act that was acknowledged.
func checkKey(t *testing.T, s *Store, line, id string, logged map[string]bool) {
	t.Helper()
	act, _, _ := strings.Cut(line, " ")
	r, err := s.Key(t.Context(), id)
	must(t, err)
	entry := map[string]string{"noted": "note ", "rotated": "rotate ", "revoked": "revoke "}[act] + id
	switch status := r.Status(start); {
	case !logged[entry]:
		t.Errorf("%s: no audit entry", line)
	case act == "rotated" && status != apikey.Deprecated, act == "revoked" && status != apikey.Revoked:
		t.Errorf("%s: %s", line, status)
	}
}
