package store

import (
	"fmt"
	"testing"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

// sweep removes what has ended at a time.
func sweep(t testing.TB, s *Store, now, unused time.Time, limit int) int {
	t.Helper()
	n, err := s.SweepOAuth(t.Context(), now, unused, limit)
	must(t, err)
	return n
}

// TestSweepKeepsWhatIsStillNeeded looks at the last moment at which a row stays
// and the first at which it goes.
func TestSweepKeepsWhatIsStillNeeded(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		const ms = time.Millisecond
		for name, tt := range map[string]struct {
			table string
			until time.Duration // since start
			rows  int
			add   func()
		}{
			"code":            {"oauth_codes", time.Minute, 1, func() { p.authorize(t, s, start) }},
			"pushed request":  {"oauth_pushed", 90*time.Second + keepOpen, 1, func() { must(t, s.Push(t.Context(), pushed("c", ""), start, 9, 9)) }},
			"device":          {"oauth_devices", 10*time.Minute + keepOpen, 1, func() { must(t, s.AddDevice(t.Context(), newDevice("c", ""), start, 9, 9)) }},
			"assertion":       {"oauth_assertions", time.Hour, 1, func() { must(t, s.UseAssertion(t.Context(), "c", "a", start.Add(time.Hour))) }},
			"revoked token":   {"oauth_revoked_tokens", time.Hour, 1, func() { must(t, s.RevokeToken(t.Context(), "a", start.Add(time.Hour))) }},
			"grant that ends": {"oauth_grants", time.Minute + keepUsed, 1, func() { p.authorize(t, s, start) }},
			"grant that was ended": {"oauth_grants", time.Second + keepUsed, 1, func() {
				g, _ := p.redeemed(t, s, start)
				must(t, s.RevokeGrant(t.Context(), g.ID, start.Add(time.Second)))
			}},
			"used code": {"oauth_codes", keepUsed, 1, func() { p.redeemed(t, s, start) }},
			"refresh tokens": {"oauth_refresh_tokens", time.Second + keepUsed, 2, func() {
				g, first := p.redeemed(t, s, start)
				_, _, err := s.Rotate(t.Context(), first.Hash, start, 0, nil, newRefresh(start), start.Add(90*24*time.Hour))
				must(t, err)
				must(t, s.RevokeGrant(t.Context(), g.ID, start.Add(time.Second)))
			}},
			"signing key": {"oauth_signing_keys", time.Hour, 1, func() {
				k := newSigningKey("ES256", start)
				k.RetireAt = start.Add(time.Hour)
				must(t, s.AddSigningKeys(t.Context(), nil, []provider.SigningKey{k}, nil))
			}},
		} {
			tt.add()
			sweep(t, s, start.Add(tt.until-ms), time.Time{}, 1000)
			wantSame(t, name+" before", count(t, s, tt.table), tt.rows)
			sweep(t, s, start.Add(tt.until), time.Time{}, 1000)
			wantSame(t, name+" after", count(t, s, tt.table), 0)
			sweep(t, s, start.Add(365*24*time.Hour), time.Time{}, 1000) // for the next
		}
		k := newSigningKey("ES256", start)
		must(t, s.AddSigningKeys(t.Context(), nil, []provider.SigningKey{k}, nil))
		g, first := p.redeemed(t, s, start)
		_, _, err := s.Rotate(t.Context(), first.Hash, start, 0, nil, newRefresh(start), start.Add(90*24*time.Hour))
		must(t, err)
		wantSame(t, "only the used code", sweep(t, s, first.ExpiresAt, time.Time{}, 1000), 1)
		wantGrant(t, s, g.ID, time.Time{})
		wantSame(t, "a key without an end, and the used token of a grant that lives", count(t, s, "oauth_signing_keys")+count(t, s, "oauth_refresh_tokens"), 3)
		sweep(t, s, first.ExpiresAt.Add(keepUsed), time.Time{}, 1000)
		wantGrant(t, s, g.ID, time.Time{})
		wantSame(t, "refresh tokens that expired", count(t, s, "oauth_refresh_tokens"), 0)
	})
}

// TestSweepIsBounded: it removes no more rows than it is told, a family of very
// many tokens too, and one kind does not keep the others waiting.
func TestSweepIsBounded(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		g, first := p.redeemed(t, s, start)
		run(t, s, fmt.Sprintf(`INSERT INTO oauth_refresh_tokens (hash, grant_id, created_at, expires_at)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 449) SELECT %s, '%s', 0, 0 FROM n`, randomHash(s), g.ID))
		must(t, s.RevokeGrant(t.Context(), g.ID, start))
		must(t, s.UseAssertion(t.Context(), "c", "a", start))
		now := start.Add(keepUsed)
		wantSame(t, "nothing", sweep(t, s, now, time.Time{}, 0), 0)
		wantSame(t, "some", sweep(t, s, now, time.Time{}, 210), 210)
		wantSame(t, "assertions", count(t, s, "oauth_assertions"), 0)
		_, _, err := s.Refresh(t.Context(), first.Hash)
		if err != nil {
			wantErr(t, "a refresh token that was removed", err, provider.ErrNotFound)
		}
		wantSame(t, "the grant stays until its tokens are gone", count(t, s, "oauth_grants"), 1)
		wantSame(t, "the rest", sweep(t, s, now, time.Time{}, 1000), 450+1+1+1-210)
		wantSame(t, "nothing is left", count(t, s, "oauth_grants")+count(t, s, "oauth_refresh_tokens")+count(t, s, "oauth_codes"), 0)
	})
}

// randomHash is an expression of 32 bytes.
func randomHash(s *Store) string {
	if s.dialect.numbered {
		return "sha256(CAST(random()::text || clock_timestamp()::text AS BYTEA))"
	}
	return "randomblob(32)"
}

// TestUnusedClientsThatRegisteredThemselvesAreRemoved, and no others.
func TestUnusedClientsThatRegisteredThemselvesAreRemoved(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		made := func(dynamic bool, at time.Time) pair {
			c := newClient("sub:ann", at)
			c.Dynamic, c.DisabledAt = dynamic, time.Time{}
			return pair{addClient(t, s, c), signIn(t, s, newRecord(newID("u"), at)).UserID}
		}
		unused, young, granted, manual := made(true, start), made(true, start.Add(time.Hour)), made(true, start), made(false, start)
		g, _ := granted.redeemed(t, s, start)
		forget(t, s)
		there := func(p pair) bool {
			t.Helper()
			_, err := s.Client(t.Context(), p.client.ID)
			if err != nil {
				wantErr(t, "look up", err, provider.ErrNotFound)
			}
			return err == nil
		}
		sweep(t, s, start.Add(time.Hour), time.Time{}, 1000)
		wantSame(t, "never", there(unused), true)
		wantSame(t, "removed, and that it was noted", sweep(t, s, start.Add(time.Hour), start, 1000), 2)
		wantSame(t, "which stay", []bool{there(unused), there(young), there(granted), there(manual)}, []bool{false, true, true, true})
		wantSame(t, "changes", changes(t, s), []session.Change{ofClient(unused.client.ID)})

		// The end of its last grant begins its time again.
		must(t, s.RevokeGrant(t.Context(), g.ID, start))
		now := start.Add(30 * 24 * time.Hour)
		sweep(t, s, now, now.Add(-time.Hour), 1000)
		wantSame(t, "which", []bool{there(young), there(granted), there(manual)}, []bool{false, true, true})
		sweep(t, s, now.Add(time.Hour), now, 1000)
		wantSame(t, "which", []bool{there(granted), there(manual)}, []bool{false, true})
		wantSame(t, "what is left", count(t, s, "oauth_grants")+count(t, s, "oauth_removals"), 0)
	})
}
