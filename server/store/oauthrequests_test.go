package store

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

// pushed is a pushed request of a client.
func pushed(clientID, source string) provider.Pushed {
	return provider.Pushed{
		Hash: newToken(), ClientID: clientID, Params: "scope=openid&state=%00", Source: source, ExpiresAt: start.Add(90 * time.Second),
	}
}

func TestPushedRequestIsUsedOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p, other := newPair(t, s), newPair(t, s)
		r := pushed(p.client.ID, "192.0.2.1")
		must(t, s.Push(t.Context(), r, start, 10, 10))
		for range 2 {
			got, err := s.Pushed(t.Context(), r.Hash, start.Add(89*time.Second))
			must(t, err)
			wantSame(t, "looked at", got, r)
		}
		_, err := s.Pushed(t.Context(), r.Hash, r.ExpiresAt)
		wantErr(t, "expired", err, provider.ErrNotFound)
		err = s.Authorize(t.Context(), provider.Authorization{Grant: other.grant(start), Pushed: r.Hash}, start)
		wantErr(t, "by another client", err, provider.ErrUsed)
		g := p.grant(start)
		must(t, s.Authorize(t.Context(), provider.Authorization{Grant: g, Code: p.code(g), Pushed: r.Hash}, r.ExpiresAt.Add(time.Minute)))
		g2 := p.grant(start)
		err = s.Authorize(t.Context(), provider.Authorization{Grant: g2, Code: p.code(g2), Pushed: r.Hash}, start)
		wantErr(t, "again", err, provider.ErrUsed)
		_, err = s.Pushed(t.Context(), r.Hash, start)
		wantErr(t, "looked at again", err, provider.ErrNotFound)
		wantSame(t, "grants", count(t, s, "oauth_grants"), 1)
	})
}

// TestOpenRequestsAreBounded by source and by client, also with fifty at once on
// two processes; what has expired does not count.
func TestOpenRequestsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		for name, tt := range map[string]struct {
			add   func(s *Store, clientID, source string, now time.Time) error
			table string
		}{
			"pushed": {func(s *Store, clientID, source string, now time.Time) error {
				return s.Push(t.Context(), pushed(clientID, source), now, 5, 12)
			}, "oauth_pushed"},
			"devices": {func(s *Store, clientID, source string, now time.Time) error {
				return s.AddDevice(t.Context(), newDevice(clientID, source), now, 5, 12)
			}, "oauth_devices"},
		} {
			var added atomic.Int32
			all := func(n int, source func(i int) string) {
				together(n, func(i int) {
					switch err := tt.add(stores[i%2], "client_1", source(i), start); err {
					case nil:
						added.Add(1)
					case provider.ErrTooMany:
					default:
						t.Error(err)
					}
				})
			}
			all(50, func(int) string { return "192.0.2.1" })
			wantSame(t, name+" of one source", added.Load(), int32(5))
			all(50, func(i int) string { return "192.0.2." + string(rune('2'+i%8)) })
			wantSame(t, name+" of one client", added.Load(), int32(12))
			wantErr(t, name+": the source, for another client", tt.add(s, "client_2", "192.0.2.1", start), provider.ErrTooMany)
			must(t, tt.add(s, "client_2", "198.51.100.1", start))
			must(t, tt.add(s, "client_1", "192.0.2.1", start.Add(time.Hour)))
			wantSame(t, name, count(t, s, tt.table), 14)
		}
	})
}

func TestAuthorizeAsksWhetherClientAndPersonAreThere(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		off := p.client
		off.DisabledAt = start
		off, err := s.ChangeClient(t.Context(), off, Journal{})
		must(t, err)
		try := func(change func(*provider.Grant)) error {
			g := p.grant(start)
			if change != nil {
				change(&g)
			}
			ctx := WithJournal(t.Context(), noted("grant.create", g.ID))
			return s.Authorize(ctx, provider.Authorization{Grant: g, Code: p.code(g), Consent: &provider.Consent{Scopes: []string{"a"}}}, start)
		}
		wantErr(t, "client disabled", try(nil), provider.ErrEnded)
		off.DisabledAt = time.Time{}
		_, err = s.ChangeClient(t.Context(), off, Journal{})
		must(t, err)
		wantErr(t, "no client", try(func(g *provider.Grant) { g.ClientID = "client_none" }), provider.ErrEnded)
		wantErr(t, "no person", try(func(g *provider.Grant) { g.UserID = "usr_none" }), provider.ErrEnded)
		wantErr(t, "no text", try(func(g *provider.Grant) { g.UserID = "\xff" }), provider.ErrEnded)
		wantErr(t, "a nonce that is no text", try(func(g *provider.Grant) { g.Nonce = "\x00" }), session.ErrUnavailable)
		must(t, s.SetDisabled(t.Context(), p.userID, start))
		wantErr(t, "person disabled", try(nil), provider.ErrEnded)
		wantSame(t, "rows", count(t, s, "oauth_grants")+count(t, s, "oauth_codes")+count(t, s, "oauth_consents")+len(actions(t, s)), 0)
		must(t, s.SetDisabled(t.Context(), p.userID, time.Time{}))
		must(t, try(nil))
		wantSame(t, "audit", len(actions(t, s)), 1)
	})
}

// TestGrantWithoutAnEndEndsWithItsCode, or with its device, so that a code that is
// never redeemed leaves nothing.
func TestGrantWithoutAnEndEndsWithItsCode(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		g := p.grant(start)
		g.ExpiresAt = time.Time{}
		code := p.code(g)
		must(t, s.Authorize(t.Context(), provider.Authorization{Grant: g, Code: code}, start))
		_, got, err := s.Code(t.Context(), code.Hash)
		must(t, err)
		wantSame(t, "of a code", got.ExpiresAt, code.ExpiresAt)

		d := newDevice(p.client.ID, "")
		must(t, s.AddDevice(t.Context(), d, start, 10, 10))
		g.ID = newID("grt_")
		must(t, s.Authorize(t.Context(), provider.Authorization{Grant: g, Device: d.Hash}, start))
		_, got, err = s.PollDevice(t.Context(), d.Hash, p.client.ID, start, 0)
		must(t, err)
		wantSame(t, "of a device", got.ExpiresAt, d.ExpiresAt)
	})
}

// TestRevokingAGrantTwiceIsOneChange: the second finds it as it should be.
func TestRevokingAGrantTwiceIsOneChange(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		g, _ := p.redeemed(t, s, start)
		forget(t, s)
		ctx := WithJournal(context.WithoutCancel(t.Context()), noted("grant.revoke", g.ID))
		for i := range 3 {
			must(t, s.RevokeGrant(ctx, g.ID, start.Add(time.Duration(i)*time.Second)))
		}
		for _, id := range []string{"grt_none", "\xff", ""} {
			must(t, s.RevokeGrant(ctx, id, start))
		}
		wantGrant(t, s, g.ID, start)
		wantSame(t, "changes", changes(t, s), []session.Change{ofGrant(g.ID)})
		wantSame(t, "audit", actions(t, s), []string{"grant.revoke " + g.ID})
	})
}
