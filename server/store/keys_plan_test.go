package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/audit"
)

// fillKeys stores many keys and audit entries of many people, and asks the
// database to look at them.
func fillKeys(t *testing.T, s *Store, n int) []apikey.Record {
	t.Helper()
	user := signIn(t, s, newRecord("ann", start)).UserID
	var all []apikey.Record
	var j Journal
	for i := range n {
		at := start.Add(time.Duration(i) * time.Second)
		r := newKey(fmt.Sprint("sub:", i%500), at)
		r.UserID = fmt.Sprint("usr_", i%500)
		if i == 7 {
			r.UserID = user
		}
		all = append(all, r)
		j.Audit = append(j.Audit, audit.Entry{
			At: at, Actor: fmt.Sprint("sub:a", i%500), Owner: fmt.Sprint("sub:o", i%500), Action: fmt.Sprintf("a%d.b%d", i%100, i%500),
			Target: r.ID, Outcome: "ok",
		})
	}
	const part = 250 // each import has its own few seconds, also under the race detector
	for i := 0; i < n; i += part {
		end := min(i+part, n)
		_, err := s.ImportKeys(t.Context(), all[i:end], Journal{Audit: j.Audit[i:end]})
		must(t, err)
	}
	for _, r := range all[:50] {
		must(t, s.TouchKeys(t.Context(), []apikey.Touch{{ID: r.ID, UsedAt: start, Networks: networks("192.0.2.0/24", "198.51.100.0/24")}}))
	}
	run(t, s, "INSERT INTO key_requests (owner, request, content, key_id, at) SELECT owner, id, hash, id, created_at FROM api_keys")
	run(t, s, "INSERT INTO spending (account, period, spent, drawn) SELECT account, id, 1, 1 FROM api_keys")
	_, err := s.writes.Exec("ANALYZE")
	must(t, err)
	return all
}

// TestKeyStatementsUseIndices runs every call on tables of some size and looks
// for statements that read a whole one. (A search in names reads backwards along
// the newest keys, as a list of all does.)
func TestKeyStatementsUseIndices(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		all := fillKeys(t, s, 3000)
		if s.dialect.numbered { // small tables are read whole, unless there is another way and it must be taken
			s.writes.SetMaxOpenConns(1)
			_, err := s.writes.Exec("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
			must(t, err)
		}
		plans := map[string]string{}
		s.watch = func(q querier) querier { return &explained{q, t, s.dialect, plans} }
		ctx, r := t.Context(), all[1500]

		for _, f := range []KeyFilter{
			{All: true},
			{Owner: r.Owner},
			{All: true, Status: apikey.Active, Search: "ci"},
			{Owner: r.Owner, Status: apikey.Expired},
			{All: true, Sort: ByName, Ascending: true},
			{All: true, Sort: ByExpiry},
			{Owner: r.Owner, Sort: ByName},
			{Owner: r.Owner, Sort: ByLastUse, Ascending: true},
		} {
			for _, after := range []string{"", f.Cursor(r)} {
				_, err := s.Keys(ctx, f, start, after, 10)
				must(t, err)
			}
		}
		for _, f := range []KeyFilter{{All: true}, {Owner: r.Owner}} {
			_, err := s.EndingKeys(ctx, f, start, start.Add(30*time.Hour), start.Add(40*time.Hour), 10)
			must(t, err)
			_, err = s.NearLimit(ctx, f, start, "ops 2026-03-01", "ops 2026-03", 10)
			must(t, err)
		}
		_, err := s.Key(ctx, r.ID)
		must(t, err)
		for _, hashes := range [][][32]byte{{all[7].Hash}, {r.Hash, all[7].Hash, newHash()}} {
			_, err = s.ByHash(ctx, hashes)
			must(t, err)
		}
		_, err = s.KeyByPrefix(ctx, r.Prefix, start)
		must(t, err)
		_, err = s.HasImported(ctx)
		must(t, err)
		for stage := 1; stage <= 2; stage++ {
			_, err = s.ExpiringKeys(ctx, start.Add(25*time.Hour), stage, 10)
			must(t, err)
			_, err = s.TellExpiry(ctx, r.ID, stage, noted("key.expiring", r.ID))
			must(t, err)
		}
		must(t, s.TouchKeys(ctx, []apikey.Touch{{ID: r.ID, UsedAt: start, Networks: networks("192.0.2.0/24")}}))
		r.Name = "new"
		r, err = s.ChangeKey(ctx, r, noted("key.change", r.ID))
		must(t, err)
		next, idem := newKey("sub:ann", start), Idempotency{Owner: "sub:ann", Key: "k"}
		_, err = s.RotateKey(ctx, deprecated(r, next.ID), next, idem, noted("key.rotate", r.ID))
		must(t, err)
		_, err = s.AddKey(ctx, newKey("sub:ann", start), idem, Journal{})
		wantErr(t, "again", err, apikey.ErrReplayed)
		_, _, err = s.Draw(ctx, r.ID, "ops", 10, 1, start)
		must(t, err)
		must(t, s.Return(ctx, r.ID, "ops", 1))
		_, err = s.Spent(ctx, r.ID, "ops")
		must(t, err)

		for _, before := range []int64{0, 2000} {
			_, err := s.Audit(ctx, AuditFilter{}, before, 10)
			must(t, err)
		}
		_, err = s.SweepAudit(ctx, start.Add(time.Minute), 10)
		must(t, err)

		if len(plans) < 25 {
			t.Errorf("only %d statements were seen", len(plans))
		}
		for query, plan := range plans {
			few := strings.Contains(query, "FROM audit_state") || strings.Contains(plan, "api_keys_imported") // one row; imported keys alone
			if wholeTable(plan) && !few {
				t.Errorf("%s\nreads a whole table:\n%s\n", query, plan)
			}
		}
	})
}

// TestIndicesServeWhatTheyAreFor names the index that each choice is to use.
func TestIndicesServeWhatTheyAreFor(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := fillKeys(t, s, 3000)[1500]
		ctx := t.Context()
		audited := func(f AuditFilter) func() error {
			return func() error {
				_, err := s.Audit(ctx, f, 0, 10)
				return err
			}
		}
		chosen := func(where string, args ...any) func() error {
			return func() error {
				return s.read(ctx, "test", func(ctx context.Context, c conn) error {
					_, err := list(ctx, c, scanKey, "SELECT "+keyColumns+" FROM api_keys WHERE "+where, args...)
					return err
				})
			}
		}
		for index, do := range map[string]func() error{
			"api_keys_newest":     chosen("TRUE ORDER BY created_at DESC, id DESC LIMIT 10"),
			"api_keys_of_owner":   chosen("owner = ? ORDER BY created_at DESC, id DESC LIMIT 2", r.Owner),
			"api_keys_of_user":    chosen("user_id = ? AND user_id <> ''", r.UserID),
			"api_keys_of_account": chosen("account = ?", r.Account),
			"api_keys_prefix":     chosen("prefix = ?", r.Prefix),
			"api_keys_expire": func() error {
				_, err := s.ExpiringKeys(ctx, start.Add(24*time.Hour+time.Minute), 1, 10)
				return err
			},
			"api_keys_by_name": func() error {
				_, err := s.Keys(ctx, KeyFilter{All: true, Sort: ByName}, start, KeyFilter{Sort: ByName}.Cursor(r), 10)
				return err
			},
			"api_keys_by_expiry": func() error {
				_, err := s.EndingKeys(ctx, KeyFilter{All: true}, start, start.Add(24*time.Hour+time.Minute), start.Add(24*time.Hour+time.Minute), 10)
				return err
			},
			"api_keys_limited": func() error {
				_, err := s.NearLimit(ctx, KeyFilter{All: true}, start, "ops 2026-03-01", "ops 2026-03", 10)
				return err
			},
			"api_keys_imported": func() error {
				_, err := s.HasImported(ctx)
				return err
			},
			"audit_log_at":     audited(AuditFilter{From: start, To: start.Add(time.Second)}),
			"audit_log_actor":  audited(AuditFilter{Actor: "sub:a7"}),
			"audit_log_owner":  audited(AuditFilter{Mine: "sub:o7"}),
			"audit_log_action": audited(AuditFilter{Action: "a7.b7"}),
			"audit_log_target": audited(AuditFilter{Target: r.ID}),
		} {
			plans := map[string]string{}
			s.watch = func(q querier) querier { return &explained{q, t, s.dialect, plans} }
			must(t, do())
			s.watch = nil
			for query, plan := range plans {
				if !strings.Contains(plan, index) {
					t.Errorf("%s\ndoes not use %s:\n%s", query, index, plan)
				}
			}
			wantSame(t, index+": statements", len(plans), 1)
		}
	})
}
