package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wavegate/server/audit"
	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

// note writes entries that are alike but for their time and target.
func note(t testing.TB, s *Store, from, n int) {
	t.Helper()
	var j Journal
	for i := range n {
		at := start.Add(time.Duration(from+i) * time.Second)
		j.Audit = append(j.Audit, audit.Entry{At: at, Actor: "sub:ann", Action: "key.create", Target: fmt.Sprint("key_", from+i), Outcome: "ok"})
	}
	must(t, s.Note(t.Context(), j))
}

// verified wants the whole log to be as it was written.
func verified(t testing.TB, s *Store, checked, last int64) {
	t.Helper()
	r, err := s.VerifyAudit(t.Context())
	if err != nil || r.Checked != checked || r.Last != last || r.Bad != 0 {
		t.Fatalf("the log: %+v, %v, want %d entries up to %d", r, err, checked, last)
	}
}

// logged reads the whole log.
func logged(t testing.TB, s *Store) []audit.Entry {
	t.Helper()
	all, err := s.Audit(t.Context(), AuditFilter{}, 0, 10_000)
	must(t, err)
	slices.Reverse(all)
	return all
}

func TestNoteKeepsEverything(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		verified(t, s, 0, 0)
		must(t, s.Note(t.Context(), Journal{}))
		whole := audit.Entry{
			At: start.Add(time.Millisecond), Actor: "api_key:key_1", Method: "api-key", IP: "2001:db8::1", RequestID: "r1", Action: "key.create",
			Target: "key_2", Owner: "sub:ann", Outcome: "ok", Details: map[string]string{"name": `a "b" ü <c>`, "": "x"}, Count: 3,
		}
		dirty := audit.Entry{Actor: "a\x00\xff" + strings.Repeat("x", 1000), Action: "credential.refused"}
		must(t, s.Note(t.Context(), Journal{Audit: []audit.Entry{whole, dirty}}))
		must(t, s.Note(t.Context(), Journal{Audit: []audit.Entry{{Seq: 77, Hash: []byte("x"), Action: "third"}}}))
		got := logged(t, s)
		for i, want := range []audit.Entry{whole, dirty.Clean(), {Action: "third", Count: 1}} {
			want.Seq, want.Hash, want.HashBy = int64(i)+1, got[i].Hash, got[i].HashBy
			wantSame(t, "entry", got[i], want)
		}
		verified(t, s, 3, 3)
	})
}

// TestChainMustBeThere where something is to be written, and nowhere else.
func TestChainMustBeThere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s, err := Open(t.Context(), Config{URL: url})
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		r := addKey(t, s, newKey("sub:ann", start))
		_, noted := s.AddKey(t.Context(), newKey("sub:ann", start), Idempotency{}, noted("key.create", "x"))
		_, swept := s.SweepAudit(t.Context(), start, 10)
		_, checked := s.VerifyAudit(t.Context())
		for what, err := range map[string]error{"AddKey": noted, "SweepAudit": swept, "VerifyAudit": checked} {
			if err == nil || !strings.Contains(err.Error(), "without a Chain") {
				t.Errorf("%s: %v", what, err)
			}
		}
		wantSame(t, "keys", count(t, s, "api_keys WHERE id = ?", r.ID)+count(t, s, "api_keys"), 2)
		_, _, err = s.AuditAnchor(t.Context())
		must(t, err)
	})
}

// TestAuditIsAppendOnly: neither database lets an entry be changed, or one that
// was not swept be removed.
func TestAuditIsAppendOnly(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		note(t, s, 0, 5)
		_, err := s.SweepAudit(t.Context(), start.Add(2*time.Second), 10)
		must(t, err)
		for _, statement := range []string{
			"UPDATE audit_log SET actor = 'sub:eve'", "UPDATE audit_log SET details = details WHERE seq = 4",
			"DELETE FROM audit_log", "DELETE FROM audit_log WHERE seq = 5",
		} {
			err := s.write(t.Context(), "test", func(ctx context.Context, c conn) error {
				_, err := c.exec(ctx, statement)
				return err
			})
			if err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: %v", statement, err)
			}
		}
		verified(t, s, 3, 5)
	})
}

// TestRacingWritersMakeOneChain in two processes, while somebody verifies it and
// somebody else sweeps.
func TestRacingWritersMakeOneChain(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		together(22, func(i int) {
			var err error
			switch i {
			case 0:
				for n := 0; n < 10 && err == nil; n++ {
					_, err = stores[0].VerifyAudit(t.Context())
				}
			case 1:
				for n := 0; n < 10 && err == nil; n++ {
					_, err = stores[1].SweepAudit(t.Context(), start.Add(time.Hour), 3)
				}
			default:
				for n := 0; n < 5 && err == nil; n++ {
					j := noted("key.create", fmt.Sprint(i))
					j.Audit = append(j.Audit, j.Audit...)
					err = stores[i%2].Note(t.Context(), j)
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
		a, last, err := s.AuditAnchor(t.Context())
		must(t, err)
		wantSame(t, "last", last, int64(200))
		verified(t, s, 200-a.Seq, 200)
	})
}

// TestSerializableDatabaseKeepsOneChain is for databases in which transactions
// that wait for each other fail instead.
func TestSerializableDatabaseKeepsOneChain(t *testing.T) {
	url := storetest.Postgres(t)
	admin := open(t, Config{URL: url})
	name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
	run(t, admin, "ALTER DATABASE "+name+" SET default_transaction_isolation = 'serializable'")
	s := open(t, Config{URL: url})
	together(3, func(i int) {
		for range 5 {
			if err := s.Note(t.Context(), noted("key.create", fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		}
	})
	verified(t, s, 15, 15)
}

func TestSweepAuditMovesTheAnchor(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		note(t, s, 0, 10)
		note(t, s, 3, 2) // written later, dated earlier: not removed before what is older
		all := logged(t, s)
		for _, tt := range []struct {
			before, limit, swept int
		}{
			{0, 100, 0},
			{5, 2, 2},
			{5, 100, 3},
			{5, 100, 0},
			{100, 6, 6},
			{100, 100, 1},
			{100, 100, 0},
		} {
			n, err := s.SweepAudit(t.Context(), start.Add(time.Duration(tt.before)*time.Second), tt.limit)
			wantSame(t, "swept", fmt.Sprint(n, err), fmt.Sprint(tt.swept, " <nil>"))
			all = all[n:]
			wantSame(t, "left", logged(t, s), append([]audit.Entry(nil), all...))
			verified(t, s, int64(len(all)), 12)
		}
		note(t, s, 20, 1)
		a, last, err := s.AuditAnchor(t.Context())
		must(t, err)
		wantSame(t, "anchor and last", []int64{a.Seq, last}, []int64{12, 13})
		verified(t, s, 1, 13)
	})
}

// matches is the filter in plain words.
func (f AuditFilter) matches(e audit.Entry) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return (f.Mine == "" || f.Mine == e.Owner || f.Mine == e.Actor) &&
		is(f.Actor, e.Actor) && is(f.Target, e.Target) && is(f.Outcome, e.Outcome) && is(f.IP, e.IP) &&
		(is(f.Action, e.Action) || strings.HasSuffix(f.Action, ".") && strings.HasPrefix(e.Action, f.Action)) &&
		(f.From.IsZero() || !e.At.Before(f.From)) && (f.To.IsZero() || e.At.Before(f.To))
}

// TestAuditChoosesWhatTheFilterSays compares lists in pages, both ways, with the
// filter in plain words.
func TestAuditChoosesWhatTheFilterSays(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		pick := func(i int, of ...string) string { return of[i%len(of)] }
		var j Journal
		for i := range 150 {
			j.Audit = append(j.Audit, audit.Entry{
				At: start.Add(time.Duration(i/3) * time.Millisecond), Actor: pick(i, "sub:ann", "sub:bob", "", "cli"),
				Owner: pick(i/3, "sub:ann", "sub:eve"), IP: pick(i/2, "192.0.2.1", ""), Target: pick(i/7, "key_1", "key_2"),
				Action: pick(i/5, "key.create", "key.revoke", "keys", "key", "keyring.open", "key/", "KEY.CREATE"), Outcome: pick(i/11, "ok", "not_found"),
			})
		}
		must(t, s.Note(t.Context(), j))
		all := logged(t, s)
		texts := func(texts ...string) *rapid.Generator[string] { return rapid.SampledFrom(append(texts, "", "")) }
		times := rapid.Custom(func(t *rapid.T) time.Time {
			if rapid.Bool().Draw(t, "any") {
				return time.Time{}
			}
			return start.Add(time.Duration(rapid.IntRange(-5, 60).Draw(t, "half ms")) * time.Millisecond / 2)
		})
		rapid.Check(t, func(rt *rapid.T) {
			f := AuditFilter{
				Mine: texts("sub:ann", "sub:bob", "sub:none", "\x00").Draw(rt, "mine"), Actor: texts("cli").Draw(rt, "actor"),
				Action: texts("key.create", "key.", "key", ".", "k").Draw(rt, "action"), Target: texts("key_1").Draw(rt, "target"),
				Outcome: texts("ok").Draw(rt, "outcome"), IP: texts("192.0.2.1").Draw(rt, "ip"),
				From: times.Draw(rt, "from"), To: times.Draw(rt, "to"),
			}
			var want []audit.Entry
			for _, e := range all {
				if f.matches(e) {
					want = append(want, e)
				}
			}
			var up, down []audit.Entry
			for e, err := range s.AuditAll(t.Context(), f, 0) {
				must(t, err)
				up = append(up, e)
			}
			limit := rapid.IntRange(15, 160).Draw(rt, "limit")
			for before := int64(0); ; {
				some, err := s.Audit(t.Context(), f, before, limit)
				must(t, err)
				down = append(down, some...)
				if len(some) < limit {
					break
				}
				before = down[len(down)-1].Seq
			}
			slices.Reverse(down)
			for _, got := range [][]audit.Entry{up, down} {
				if !slices.EqualFunc(got, want, func(a, b audit.Entry) bool { return a.Seq == b.Seq && bytes.Equal(a.Hash, b.Hash) }) {
					rt.Fatalf("%+v: %d entries, want %d", f, len(got), len(want))
				}
			}
		})
	})
}

// TestAuditAllInPages reads a log longer than a page, stops when it is told to,
// and says so when the store goes away in between.
func TestAuditAllInPages(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		note(t, s, 0, page+7)
		next := int64(1)
		for e, err := range s.AuditAll(t.Context(), AuditFilter{}, 0) {
			must(t, err)
			wantSame(t, "seq", e.Seq, next)
			next++
		}
		wantSame(t, "entries", next-1, int64(page+7))
		verified(t, s, page+7, page+7)
		read := 0
		for range s.AuditAll(t.Context(), AuditFilter{}, page) {
			if read++; read == 3 {
				break
			}
		}
		wantSame(t, "read before the break", read, 3)
		var last error
		read = 0
		for _, err := range s.AuditAll(t.Context(), AuditFilter{}, 0) {
			if read++; read == 5 {
				must(t, s.reads.Close())
			}
			last = err
		}
		wantErr(t, "the store went away", last, session.ErrUnavailable)
		wantSame(t, "yielded", read, page+1)
		_, err := s.VerifyAudit(t.Context())
		wantErr(t, "verify without a store", err, session.ErrUnavailable)
	})
}

// tamper does to the database what the triggers would not let through, as
// somebody who owns it can.
func tamper(t *testing.T, s *Store, statements ...string) {
	t.Helper()
	off, on := []string{"DROP TRIGGER audit_log_stays", "DROP TRIGGER audit_log_kept"}, []string(nil)
	if s.dialect.numbered {
		off, on = []string{"ALTER TABLE audit_log DISABLE TRIGGER ALL"}, []string{"ALTER TABLE audit_log ENABLE TRIGGER ALL"}
	}
	for _, statement := range slices.Concat(off, statements, on) {
		run(t, s, statement)
	}
}

// TestTamperedLogIsFound: whoever owns the database, but not the secret, leaves a
// trace, which a later entry does not cover.
func TestTamperedLogIsFound(t *testing.T) {
	for name, tt := range map[string]struct {
		do  []string
		err error
		bad int64
	}{
		"an entry changed":       {[]string{"UPDATE audit_log SET actor = 'sub:eve' WHERE seq = 4"}, audit.ErrChanged, 4},
		"an entry removed":       {[]string{"DELETE FROM audit_log WHERE seq = 4"}, audit.ErrMissing, 4},
		"the first removed":      {[]string{"DELETE FROM audit_log WHERE seq = 1"}, audit.ErrMissing, 1},
		"the last removed":       {[]string{"DELETE FROM audit_log WHERE seq = 6"}, audit.ErrMissing, 6},
		"all removed":            {[]string{"DELETE FROM audit_log"}, audit.ErrMissing, 1},
		"the end moved":          {[]string{"DELETE FROM audit_log WHERE seq = 6", "UPDATE audit_state SET last_seq = 5, last_hash = (SELECT hash FROM audit_log WHERE seq = 5)"}, audit.ErrChanged, 0},
		"the beginning moved":    {[]string{"UPDATE audit_state SET anchor_seq = 2, anchor_hash = (SELECT hash FROM audit_log WHERE seq = 2)", "DELETE FROM audit_log WHERE seq <= 2"}, audit.ErrChanged, 0},
		"an unknown secret":      {[]string{"UPDATE audit_log SET hash_by = 'x' WHERE seq = 2"}, audit.ErrUnknownSecret, 2},
		"the state unsealed":     {[]string{"UPDATE audit_state SET seal = NULL, sealed_by = ''"}, audit.ErrUnknownSecret, 0},
		"two entries swapped":    {[]string{"UPDATE audit_log SET seq = -1 WHERE seq = 2", "UPDATE audit_log SET seq = 2 WHERE seq = 3", "UPDATE audit_log SET seq = 3 WHERE seq = -1"}, audit.ErrChanged, 2},
		"the last entry swapped": {[]string{"UPDATE audit_state SET last_hash = (SELECT hash FROM audit_log WHERE seq = 3)"}, audit.ErrChanged, 6},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *Store, _ string) {
				note(t, s, 0, 6)
				verified(t, s, 6, 6)
				tamper(t, s, tt.do...)
				for _, when := range []string{"at once", "after another entry"} {
					r, err := s.VerifyAudit(t.Context())
					if !errors.Is(err, tt.err) && !errors.Is(err, audit.ErrChanged) || r.Bad != tt.bad && when == "at once" {
						t.Errorf("%s: %+v, %v, want %v and entry %d", when, r, err, tt.err, tt.bad)
					}
					note(t, s, 50, 1)
				}
			})
		})
	}
}
