package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

// consented stores a grant and a consent with it.
func (p pair) consented(t testing.TB, s *Store, at time.Time, scopes, resources []string) provider.Grant {
	t.Helper()
	g := p.grant(at)
	must(t, s.Authorize(t.Context(), provider.Authorization{
		Grant: g, Code: p.code(g), Consent: &provider.Consent{Scopes: scopes, Resources: resources},
	}, at))
	return g
}

func TestConsentIsAddedToTheOneBefore(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		_, err := s.Consent(t.Context(), p.userID, p.client.ID)
		wantErr(t, "none", err, provider.ErrNotFound)
		_, err = s.Consent(t.Context(), "\xff", p.client.ID)
		wantErr(t, "no text", err, provider.ErrNotFound)
		p.consented(t, s, start, []string{"a", "b"}, nil)
		p.consented(t, s, start.Add(time.Hour), []string{"c", "b"}, []string{"https://api.example.com/"})
		got, err := s.Consent(t.Context(), p.userID, p.client.ID)
		must(t, err)
		wantSame(t, "consent", got, provider.Consent{
			UserID: p.userID, ClientID: p.client.ID, Scopes: []string{"a", "b", "c"}, Resources: []string{"https://api.example.com/"},
			GivenAt: start.Add(time.Hour),
		})

		together(20, func(i int) { p.consented(t, s, start, []string{fmt.Sprint("s", i)}, nil) })
		got, err = s.Consent(t.Context(), p.userID, p.client.ID)
		must(t, err)
		wantSame(t, "scopes of twenty at once", len(got.Scopes), 23)
	})
}

func TestConnectionsAndDisconnect(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p, stranger := newPair(t, s), newPair(t, s)
		named := func(name string) pair {
			c := newClient("sub:ann", start)
			c.Name, c.DisabledAt = name, time.Time{}
			return pair{addClient(t, s, c), p.userID}
		}
		both, only, over := named("beta"), named("Alpha"), named("gamma")
		g := both.consented(t, s, start.Add(time.Hour), []string{"a"}, nil)
		_, first := both.redeemed(t, s, start)
		_, _, err := s.Rotate(t.Context(), first.Hash, start.Add(2*time.Hour), grace, nil, newRefresh(start), start.Add(100*time.Hour))
		must(t, err)
		must(t, s.RevokeGrant(t.Context(), only.consented(t, s, start, []string{"x"}, nil).ID, start))
		ended, _ := over.redeemed(t, s, start)
		must(t, s.RevokeGrant(t.Context(), ended.ID, start))
		stranger.consented(t, s, start, []string{"a"}, nil)

		want := []Connection{
			{ClientID: only.client.ID, Name: "Alpha", URI: "https://app.example.com", Scopes: []string{"x"}, Since: start, Remembered: true},
			{
				ClientID: both.client.ID, Name: "beta", URI: "https://app.example.com", Scopes: []string{"a", "openid", "streams:read"},
				Since: start, Used: start.Add(2 * time.Hour), Remembered: true, Grants: 1, // the code was not redeemed
			},
		}
		list := func(now time.Time, limit int) []Connection {
			t.Helper()
			all, err := s.Connections(t.Context(), p.userID, now, limit)
			must(t, err)
			for i := range all {
				slices.Sort(all[i].Scopes)
			}
			return all
		}
		wantSame(t, "connections", list(start.Add(time.Hour), 10), want)
		wantSame(t, "at most one", list(start, 1), want[:1])
		wantSame(t, "after the code expired", list(start.Add(99*time.Hour), 10)[1].Grants, 1)
		wantSame(t, "after the refresh token expired", list(start.Add(101*time.Hour), 10)[1].Grants, 0)

		forget(t, s)
		now := start.Add(time.Hour)
		must(t, s.Disconnect(t.Context(), p.userID, both.client.ID, now, noted("consent.withdraw", both.client.ID)))
		wantGrant(t, s, g.ID, now)
		heard := changes(t, s)
		wantSame(t, "changes", len(heard) == 2 && slices.Contains(heard, ofGrant(g.ID)) && slices.Contains(heard, ofGrant(first.GrantID)), true)
		_, err = s.Consent(t.Context(), p.userID, both.client.ID)
		wantErr(t, "consent", err, provider.ErrNotFound)
		must(t, s.Disconnect(t.Context(), p.userID, only.client.ID, now, Journal{}))
		for _, clientID := range []string{both.client.ID, stranger.client.ID, over.client.ID, "client_none", "\xff"} {
			wantErr(t, "nothing there", s.Disconnect(t.Context(), p.userID, clientID, now, noted("x", "x")), provider.ErrNotFound)
		}
		wantSame(t, "audit", actions(t, s), []string{"consent.withdraw " + both.client.ID})
		wantSame(t, "connections", len(list(now, 10)), 0)
		_, err = s.Consent(t.Context(), stranger.userID, stranger.client.ID)
		must(t, err)
		wantSame(t, "changes", changes(t, s), heard)
	})
}

// TestDisconnectWhileCodesAreRedeemed leaves no grant that lives, whichever comes
// first, and nobody waits for each other.
func TestDisconnectWhileCodesAreRedeemed(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		var codes []provider.Code
		for range 20 {
			_, code := p.authorize(t, s, start)
			codes = append(codes, code)
		}
		together(len(codes)+1, func(i int) {
			if i == len(codes) {
				if err := s.Disconnect(t.Context(), p.userID, p.client.ID, start, Journal{}); err != nil {
					t.Error(err)
				}
				return
			}
			_, err := s.RedeemCode(t.Context(), codes[i].Hash, start, 100, give(newRefresh(start)))
			if err != nil && err != provider.ErrEnded {
				t.Error(err)
			}
		})
		wantSame(t, "that live", count(t, s, "oauth_grants WHERE revoked_at = 0"), 0)
		wantSame(t, "told", count(t, s, "changes WHERE kind = ?", session.Change{Kind: provider.ChangedGrant}.Kind), 20)
	})
}
