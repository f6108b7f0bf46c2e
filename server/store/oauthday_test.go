package store

import (
	"fmt"
	"testing"
	"time"

	"wavegate/oidc/provider"
)

// A day is steady traffic: each step is what happens in twenty minutes.
type day struct {
	s      *Store
	p      pair
	tokens []provider.Refresh // that are refreshed; the newest last
}

const dayStep = 20 * time.Minute

func (d *day) step(t *testing.T, i int, now time.Time) {
	t.Helper()
	ctx := t.Context()
	used, forgotten := pushed(d.p.client.ID, "192.0.2.1"), pushed(d.p.client.ID, "192.0.2.2")
	device, ignored := newDevice(d.p.client.ID, "192.0.2.1"), newDevice(d.p.client.ID, "192.0.2.2")
	used.ExpiresAt, forgotten.ExpiresAt = now.Add(90*time.Second), now.Add(90*time.Second)
	device.ExpiresAt, ignored.ExpiresAt = now.Add(dayStep), now.Add(dayStep)
	for _, r := range []provider.Pushed{used, forgotten} {
		must(t, d.s.Push(ctx, r, now, 5, 50))
	}
	for _, one := range []provider.Device{device, ignored} {
		must(t, d.s.AddDevice(ctx, one, now, 5, 50))
	}
	g := d.p.grant(now)
	code := d.p.code(g)
	must(t, d.s.Authorize(ctx, provider.Authorization{Grant: g, Code: code, Pushed: used.Hash, Consent: &provider.Consent{Scopes: g.Scopes}}, now))
	d.p.authorize(t, d.s, now) // whose code nobody redeems
	of := d.p.grant(now)
	must(t, d.s.Authorize(ctx, provider.Authorization{Grant: of, Device: device.Hash}, now))
	first, second := newRefresh(now), newRefresh(now)
	_, err := d.s.RedeemCode(ctx, code.Hash, now, 5, give(first))
	must(t, err)
	_, err = d.s.RedeemDevice(ctx, device.Hash, now, 5, second, second.ExpiresAt)
	must(t, err)
	d.tokens = append(d.tokens, first, second)
	d.tokens = d.tokens[max(len(d.tokens)-4, 0):]
	for i, r := range d.tokens {
		next := newRefresh(now)
		d.tokens[i], _, err = d.s.Rotate(ctx, r.Hash, now, grace, nil, next, next.ExpiresAt)
		must(t, err)
	}
	for n := range 3 {
		jti := fmt.Sprint("jti ", i, n)
		must(t, d.s.UseAssertion(ctx, d.p.client.ID, jti, now.Add(5*time.Minute)))
		must(t, d.s.RevokeToken(ctx, jti, now.Add(dayStep)))
	}
	d.administer(t, now)
}

// administer registers a client that nobody uses, and removes one that somebody
// used; and makes a key that replaces the one before.
func (d *day) administer(t *testing.T, now time.Time) {
	t.Helper()
	idle, gone := newClient("", now), newClient("sub:ann", now)
	gone.DisabledAt = time.Time{}
	addClient(t, d.s, idle)
	pair{addClient(t, d.s, gone), d.p.userID}.consented(t, d.s, now, []string{"a"}, nil)
	must(t, d.s.DeleteClient(t.Context(), gone.ID, Journal{}))
	kept, err := d.s.SigningKeys(t.Context(), now)
	must(t, err)
	k := newSigningKey("ES256", now)
	k.RetireAt = now.Add(time.Hour)
	must(t, d.s.AddSigningKeys(t.Context(), signingIDs(kept), []provider.SigningKey{k}, nil))
}

// TestTablesStayBoundedUnderDaysOfTraffic: after the first day, which is as long
// as anything stays, nothing grows any more.
func TestTablesStayBoundedUnderDaysOfTraffic(t *testing.T) {
	const perDay = int(24 * time.Hour / dayStep)
	bounds := map[string]int{
		"oauth_clients": 8, "oauth_removals": 1, "oauth_grants": 3*(perDay+2) + 5, "oauth_consents": 2, "oauth_codes": perDay + 3,
		"oauth_refresh_tokens": 7 * (perDay + 5), "oauth_pushed": 8, "oauth_devices": 16, "oauth_assertions": 3, "oauth_revoked_tokens": 3,
		"oauth_signing_keys": 7,
	}
	each(t, func(t *testing.T, s *Store, _ string) {
		d := &day{s: s, p: newPair(t, s)}
		most := map[string]int{}
		now := start
		for i := range perDay + 12 {
			now = now.Add(dayStep)
			d.step(t, i, now)
			sweep(t, s, now, now.Add(-time.Hour), 1000)
			for table, bound := range bounds {
				n := count(t, s, table)
				if most[table] = max(most[table], n); n > bound {
					t.Fatalf("%s: %d rows after %v, want %d at most", table, n, now.Sub(start), bound)
				}
			}
		}
		t.Log("most rows:", most)
		// What remains is what people still have.
		sweep(t, s, now.Add(200*24*time.Hour), now.Add(200*24*time.Hour), 100_000)
		for _, table := range []string{"oauth_grants", "oauth_codes", "oauth_refresh_tokens", "oauth_pushed", "oauth_devices", "oauth_assertions", "oauth_revoked_tokens", "oauth_removals"} {
			wantSame(t, table+" half a year later", count(t, s, table), 0)
		}
	})
}
