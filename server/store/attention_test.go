package store

import (
	"fmt"
	"testing"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/webhook"
)

func TestKeysThatEndAreFoundWhileTheyOpenSomething(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		for name, change := range map[string]func(*apikey.Record){
			"d soon":     func(r *apikey.Record) { r.ExpiresAt = start.Add(3 * time.Hour) },
			"a very":     func(r *apikey.Record) { r.ExpiresAt = start.Add(time.Millisecond) },
			"later":      func(r *apikey.Record) { r.ExpiresAt = start.Add(24 * time.Hour) },
			"never":      func(r *apikey.Record) { r.ExpiresAt = time.Time{} },
			"ended":      func(r *apikey.Record) { r.ExpiresAt = start },
			"revoked":    func(r *apikey.Record) { r.ExpiresAt, r.RevokedAt = start.Add(time.Hour), start },
			"trial":      func(r *apikey.Record) { r.ExpiresAt, r.Environment = start.Add(time.Hour), apikey.Trial },
			"e rotated":  func(r *apikey.Record) { r.ExpiresAt, r.DeprecatedAt = start.Add(30*time.Hour), start },
			"too late":   func(r *apikey.Record) { r.ExpiresAt, r.DeprecatedAt = start.Add(50*time.Hour), start },
			"b bob's":    func(r *apikey.Record) { r.ExpiresAt, r.Owner = start.Add(time.Hour), "sub:bob" },
			"c in grace": func(r *apikey.Record) { r.ExpiresAt, r.DeprecatedAt = start.Add(2*time.Hour), start },
		} {
			r := newKey("sub:ann", start)
			r.Name = name
			change(&r)
			addKey(t, s, r)
		}
		ending := func(f KeyFilter, limit int) (names []string) {
			t.Helper()
			all, err := s.EndingKeys(t.Context(), f, start, start.Add(3*time.Hour+1), start.Add(48*time.Hour), limit)
			must(t, err)
			for _, r := range all {
				names = append(names, r.Name)
			}
			return names
		}
		wantSame(t, "ann's", ending(KeyFilter{Owner: "sub:ann"}, 10), []string{"a very", "c in grace", "d soon", "e rotated"})
		wantSame(t, "all", ending(KeyFilter{All: true}, 3), []string{"a very", "b bob's", "c in grace"})
		wantSame(t, "nobody's", len(ending(KeyFilter{}, 10))+len(ending(KeyFilter{All: true}, 0)), 0)
	})
}

// TestKeysNearALimitAreThoseWithFourFifthsSpent draws what was spent, as requests do.
func TestKeysNearALimitAreThoseWithFourFifthsSpent(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		const day, month = "ops 2026-03-01", "ops 2026-03"
		want := map[string]string{}
		for i, c := range []struct {
			limit, spent int64
			period       string
			near         bool
		}{
			{10, 7, "ops", false},
			{10, 8, "ops", true},
			{10, 10, "ops", true},
			{1, 0, "ops", false},
			{1, 1, "ops", true},
			{4, 3, "ops", false},
			{100, 79, day, false},
			{100, 80, day, true},
			{100, 99, "ops 2026-02-28", false},
			{100, 100, day, true},
			{1 << 62, 1 << 62, month, true},
			{1 << 62, 1 << 61, month, false},
		} {
			r := newKey("sub:ann", start.Add(time.Duration(i)*time.Second))
			r.OpsLimit, r.Budget, r.Name = 0, apikey.Budget{}, fmt.Sprint(c.limit, " ", c.spent)
			switch c.period {
			case "ops":
				r.OpsLimit = c.limit
			case month:
				r.Budget.PerMonth = c.limit
			default:
				r.Budget.PerDay = c.limit
			}
			addKey(t, s, r)
			_, _, err := s.Draw(t.Context(), "key:"+r.Account, c.period, c.limit, c.spent, time.Time{})
			must(t, err)
			if c.near {
				want[r.Name] = r.ID
			}
		}
		revoked := newKey("sub:ann", start)
		revoked.OpsLimit, revoked.RevokedAt = 1, start
		addKey(t, s, revoked)
		_, _, err := s.Draw(t.Context(), "key:"+revoked.Account, "ops", 1, 1, time.Time{})
		must(t, err)

		near := func(f KeyFilter, limit int) map[string]string {
			t.Helper()
			all, err := s.NearLimit(t.Context(), f, start, day, month, limit)
			must(t, err)
			got := map[string]string{}
			for _, k := range all {
				got[k.Name] = k.ID
				wantSame(t, "limit and spent", fmt.Sprint(k.OpsLimit+k.Budget.PerDay+k.Budget.PerMonth, " ", k.Total+k.Day+k.Month), k.Name)
			}
			return got
		}
		wantSame(t, "ann's", near(KeyFilter{Owner: "sub:ann"}, 20), want)
		wantSame(t, "everybody's", near(KeyFilter{All: true}, 20), want)
		wantSame(t, "bob's", len(near(KeyFilter{Owner: "sub:bob"}, 20)), 0)
		wantSame(t, "two", len(near(KeyFilter{All: true}, 2)), 2)
	})
}

func TestFailingWebhooksAreThoseThatGaveUpLately(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		now := start.Add(30 * 24 * time.Hour)
		made := map[string]webhook.Endpoint{}
		for i, name := range []string{"dead", "delivered", "pending", "long ago", "off"} {
			made[name] = addEndpoint(t, s, newEndpoint("ann", start.Add(time.Duration(i))))
			deliver(t, s, made[name], name, now.Add(-26*time.Hour))
		}
		bobs := addEndpoint(t, s, newEndpoint("bob", start.Add(time.Hour)))
		deliver(t, s, bobs, "bob", now.Add(-time.Hour))
		finish(t, s, "bob", webhook.Dead, now, time.Time{})
		finish(t, s, "dead", webhook.Dead, now.Add(-24*time.Hour), time.Time{})
		finish(t, s, "delivered", webhook.Delivered, now, time.Time{})
		finish(t, s, "long ago", webhook.Dead, now.Add(-24*time.Hour-time.Millisecond), time.Time{})
		finish(t, s, "off", webhook.Dead, now, time.Time{})
		off := made["off"]
		off.DisabledAt = now
		_, err := s.ChangeEndpoint(t.Context(), off, Journal{})
		must(t, err)
		failing := func(owner string, all bool) (ids []string) {
			t.Helper()
			found, err := s.FailingEndpoints(t.Context(), owner, all, now.Add(-24*time.Hour), 10)
			must(t, err)
			for _, e := range found {
				ids = append(ids, e.ID)
			}
			return ids
		}
		wantSame(t, "ann's", failing("ann", false), []string{made["dead"].ID})
		wantSame(t, "everybody's", failing("", true), []string{bobs.ID, made["dead"].ID})
		wantSame(t, "nobody's", len(failing("", false)), 0)
	})
}
