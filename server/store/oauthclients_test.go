package store

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

func TestAddClientKeepsEverything(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		whole := newClient("sub:ann", start)
		bare := provider.Client{ID: "client_1", Type: provider.Public, CreatedAt: start, Version: 1}
		for _, c := range []provider.Client{whole, bare} {
			added, err := s.AddClient(t.Context(), c, 10, noted("client.create", c.ID))
			must(t, err)
			wantSame(t, "added", added, c)
			got, err := s.Client(t.Context(), c.ID)
			must(t, err)
			wantSame(t, "stored", got, c)
		}
		wantSame(t, "audit", actions(t, s), []string{"client.create " + whole.ID, "client.create client_1"})
		wantSame(t, "changes", changes(t, s), []session.Change{ofClient(whole.ID), ofClient("client_1")})
		for _, id := range []string{"client_none", "\xff\x00", ""} {
			_, err := s.Client(t.Context(), id)
			wantErr(t, "none", err, provider.ErrNotFound)
		}
	})
}

func TestClientTextsThatDecideAreNotMended(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		shown := newClient("sub:ann", start)
		shown.Name = "a\x00b\xff"
		wantSame(t, "name", addClient(t, s, shown).Name, "a\uFFFDb\uFFFD")
		for name, change := range map[string]func(*provider.Client){
			"owner":    func(c *provider.Client) { c.Owner = "sub:\xff" },
			"scope":    func(c *provider.Client) { c.Scopes = []string{"\xff"} },
			"redirect": func(c *provider.Client) { c.RedirectURIs = []string{"https://a\x00"} },
			"uri":      func(c *provider.Client) { c.URI = "\x00" },
			"hint":     func(c *provider.Client) { c.Secrets[0].Hint = "\xff" },
		} {
			c := newClient("sub:ann", start)
			change(&c)
			_, err := s.AddClient(t.Context(), c, 100, Journal{})
			wantErr(t, name, err, session.ErrUnavailable)
		}
		wantSame(t, "clients", count(t, s, "oauth_clients"), 1)
	})
}

// TestFiftyClientsAtOnceStayWithinTheOwnersBound has two processes be asked.
func TestFiftyClientsAtOnceStayWithinTheOwnersBound(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		addClient(t, s, newClient("sub:bob", start))
		var added atomic.Int32
		together(50, func(i int) {
			_, err := stores[i%2].AddClient(t.Context(), newClient("sub:ann", start), 5, noted("client.create", ""))
			switch err {
			case nil:
				added.Add(1)
			case provider.ErrTooMany:
			default:
				t.Error(err)
			}
		})
		wantSame(t, "added", added.Load(), int32(5))
		wantSame(t, "clients", count(t, s, "oauth_clients WHERE owner = 'sub:ann'"), 5)
		wantSame(t, "audit", len(actions(t, s)), 5)
		_, err := s.AddClient(t.Context(), newClient("sub:eve", start), 0, Journal{})
		wantErr(t, "none allowed", err, provider.ErrTooMany)
	})
}

func TestChangeClient(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		was := addClient(t, s, newClient("sub:ann", start))
		forget(t, s)
		c := was
		c.Name, c.RedirectURIs, c.PostLogoutRedirectURIs, c.Scopes, c.GrantTypes = "new", []string{"https://b.example.com/"}, nil, nil, nil
		c.PKCEOptional, c.FirstParty, c.Introspect, c.JWKS, c.IDTokenAlg, c.URI, c.Tier = false, false, false, nil, "", "", ""
		c.Secrets, c.DisabledAt = was.Secrets[1:], time.Time{}
		want := c
		want.Version = 2
		// What stays, whatever the record says.
		c.Type, c.Owner, c.UserID, c.Dynamic, c.CreatedAt = provider.Public, "x", "x", false, start.Add(time.Hour)
		got, err := s.ChangeClient(t.Context(), c, noted("client.change", c.ID))
		must(t, err)
		wantSame(t, "changed", got, want)
		got, err = s.Client(t.Context(), c.ID)
		must(t, err)
		wantSame(t, "stored", got, want)
		wantSame(t, "changes", changes(t, s), []session.Change{ofClient(c.ID)})
		found, err := s.Clients(t.Context(), ClientFilter{Search: "NEW"}, "", 10)
		must(t, err)
		wantSame(t, "found by its new name", len(found), 1)

		_, err = s.ChangeClient(t.Context(), was, noted("client.change", c.ID))
		wantErr(t, "of an older version", err, provider.ErrConflict)
		for _, id := range []string{"client_none", "\xff"} {
			was.ID = id
			_, err = s.ChangeClient(t.Context(), was, noted("client.change", id))
			wantErr(t, "of none", err, provider.ErrNotFound)
		}
		wantSame(t, "audit", actions(t, s), []string{"client.change " + c.ID})
		wantSame(t, "changes", len(changes(t, s)), 1)
	})
}

func TestClientsAreListedNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		var want []string
		for i := range 7 {
			c := newClient(fmt.Sprint("sub:", i%2), start.Add(time.Duration(i/2)*time.Second))
			c.ID, c.Name = fmt.Sprint("client_", i), fmt.Sprint("Ünder_", i)
			addClient(t, s, c)
			want = append([]string{c.ID}, want...)
		}
		pages := func(f ClientFilter) (all []string) {
			for after := ""; ; after = all[len(all)-1] {
				some, err := s.Clients(t.Context(), f, after, 2)
				must(t, err)
				for _, c := range some {
					all = append(all, c.ID)
				}
				if len(some) < 2 {
					return all
				}
			}
		}
		wantSame(t, "all", pages(ClientFilter{}), want)
		wantSame(t, "of one", pages(ClientFilter{Owner: "sub:1"}), []string{"client_5", "client_3", "client_1"})
		wantSame(t, "by name", pages(ClientFilter{Search: "üNDER_3"}), []string{"client_3"})
		wantSame(t, "signs of LIKE mean nothing", pages(ClientFilter{Search: "%"}), []string(nil))
		wantSame(t, "both", pages(ClientFilter{Owner: "sub:0", Search: "_3"}), []string(nil))
		for _, f := range []ClientFilter{{Search: strings.Repeat("x", maxSearch+1)}, {Owner: "\xff"}} {
			wantSame(t, "nothing", pages(f), []string(nil))
		}
		none, err := s.Clients(t.Context(), ClientFilter{}, "client_none", 10)
		must(t, err)
		wantSame(t, "behind the end", len(none), 0)
	})
}

// TestDeletedClientIsDeadAtOnce: its tokens, codes and consents mean nothing any
// more, long before their rows are removed.
func TestDeletedClientIsDeadAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		other := pair{liveClient(t, s), p.userID}
		g, refresh := p.redeemed(t, s, start)
		kept, _ := other.redeemed(t, s, start)
		_, code := p.authorize(t, s, start)
		must(t, s.Authorize(t.Context(), provider.Authorization{Grant: p.grant(start), Consent: &provider.Consent{Scopes: []string{"a"}}}, start))
		forget(t, s)
		must(t, s.DeleteClient(t.Context(), p.client.ID, noted("client.delete", p.client.ID)))
		wantSame(t, "changes", changes(t, s), []session.Change{ofClient(p.client.ID)})
		wantSame(t, "audit", actions(t, s), []string{"client.delete " + p.client.ID})

		_, err := s.Client(t.Context(), p.client.ID)
		wantErr(t, "the client", err, provider.ErrNotFound)
		for _, grantID := range []string{"", g.ID} {
			state, err := s.TokenState(t.Context(), "jti", grantID, p.client.ID, start)
			must(t, err)
			wantSame(t, "its token ended", state.Revoked, true)
		}
		_, _, err = s.Rotate(t.Context(), refresh.Hash, start, 0, nil, newRefresh(start), start.Add(time.Hour))
		wantErr(t, "its refresh token", err, provider.ErrEnded)
		_, err = s.RedeemCode(t.Context(), code.Hash, start, 10, give(newRefresh(start)))
		wantErr(t, "its code", err, provider.ErrEnded)
		wantErr(t, "consent", s.Authorize(t.Context(), provider.Authorization{Grant: p.grant(start)}, start), provider.ErrEnded)
		apps, err := s.Connections(t.Context(), p.userID, start, 10)
		must(t, err)
		wantSame(t, "connected apps", len(apps), 1)
		for _, id := range []string{p.client.ID, "\xff"} {
			wantErr(t, "again", s.DeleteClient(t.Context(), id, noted("client.delete", id)), provider.ErrNotFound)
		}

		_, err = s.SweepOAuth(t.Context(), start, time.Time{}, 1000)
		must(t, err)
		left := count(t, s, "oauth_removals") + count(t, s, "oauth_consents") +
			count(t, s, "oauth_grants WHERE client_id = ?", p.client.ID) + count(t, s, "oauth_refresh_tokens WHERE grant_id = ?", g.ID)
		wantSame(t, "what is left of it", left, 0)
		wantGrant(t, s, kept.ID, time.Time{})
		wantSame(t, "other refresh tokens", count(t, s, "oauth_refresh_tokens"), 1)
	})
}
