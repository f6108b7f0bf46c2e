package store

import (
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

// newDevice is a device authorization of a client.
func newDevice(clientID, source string) provider.Device {
	return provider.Device{
		Hash: newToken(), UserCode: rand.Text()[:12], ClientID: clientID, Scopes: []string{"streams:read"}, Resources: []string{"https://api.example.com/"},
		Source: source, State: provider.DevicePending, CreatedAt: start, ExpiresAt: start.Add(10 * time.Minute), Interval: 5 * time.Second,
	}
}

func TestDeviceIsApprovedAndRedeemedOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p, other := newPair(t, s), newPair(t, s)
		d := newDevice(p.client.ID, "192.0.2.1")
		must(t, s.AddDevice(t.Context(), d, start, 10, 10))
		got, err := s.DeviceByUserCode(t.Context(), d.UserCode, start)
		must(t, err)
		wantSame(t, "by its user code", got, d)
		for _, code := range []string{"nobody's", "\xff", ""} {
			_, err = s.DeviceByUserCode(t.Context(), code, start)
			wantErr(t, "no code", err, provider.ErrNotFound)
		}
		_, err = s.DeviceByUserCode(t.Context(), d.UserCode, d.ExpiresAt)
		wantErr(t, "expired", err, provider.ErrNotFound)
		_, err = s.RedeemDevice(t.Context(), d.Hash, start, 10, newRefresh(start), start)
		wantErr(t, "not approved yet", err, provider.ErrNotFound)

		approve := func(by pair, now time.Time) (provider.Grant, error) {
			g := by.grant(start)
			ctx := WithJournal(t.Context(), noted("device.approve", g.ID))
			return g, s.Authorize(ctx, provider.Authorization{Grant: g, Device: d.Hash}, now)
		}
		_, err = approve(p, d.ExpiresAt)
		wantErr(t, "approved too late", err, provider.ErrUsed)
		_, err = approve(other, start)
		wantErr(t, "approved for another client", err, provider.ErrUsed)
		g, err := approve(p, start)
		must(t, err)
		_, err = approve(p, start)
		wantErr(t, "approved again", err, provider.ErrUsed)
		wantErr(t, "refused afterwards", s.DenyDevice(t.Context(), d.Hash, start), provider.ErrUsed)
		_, err = s.DeviceByUserCode(t.Context(), d.UserCode, start)
		wantErr(t, "not pending any more", err, provider.ErrNotFound)

		d.State, d.GrantID = provider.DeviceApproved, g.ID
		got, of, err := s.PollDevice(t.Context(), d.Hash, p.client.ID, start, 0)
		must(t, err)
		wantSame(t, "polled", got, d)
		wantSame(t, "its grant", of, g)
		forget(t, s)
		first := newRefresh(start)
		redeemed, err := s.RedeemDevice(t.Context(), d.Hash, start, 10, first, start.Add(time.Hour))
		must(t, err)
		g.ExpiresAt = start.Add(time.Hour)
		wantSame(t, "redeemed", redeemed, g)
		r, _, err := s.Refresh(t.Context(), first.Hash)
		must(t, err)
		wantSame(t, "refresh token", r.GrantID, g.ID)
		_, err = s.RedeemDevice(t.Context(), d.Hash, start, 10, newRefresh(start), start.Add(time.Hour))
		wantErr(t, "again", err, provider.ErrUsed)
		_, err = s.RedeemDevice(t.Context(), newToken(), start, 10, newRefresh(start), start.Add(time.Hour))
		wantErr(t, "none", err, provider.ErrNotFound)
		wantGrant(t, s, g.ID, time.Time{})
		wantSame(t, "audit", actions(t, s), []string{"device.approve " + g.ID})
		wantSame(t, "changes", len(changes(t, s)), 0)
	})
}

func TestDeviceOfAGrantThatEnded(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		d := newDevice(p.client.ID, "")
		must(t, s.AddDevice(t.Context(), d, start, 10, 10))
		g := p.grant(start)
		must(t, s.Authorize(t.Context(), provider.Authorization{Grant: g, Device: d.Hash}, start))
		must(t, s.RevokeGrant(t.Context(), g.ID, start))
		for _, want := range []error{provider.ErrEnded, provider.ErrUsed} {
			_, err := s.RedeemDevice(t.Context(), d.Hash, start, 10, newRefresh(start), start.Add(time.Hour))
			wantErr(t, "redeem", err, want)
		}
		wantSame(t, "refresh tokens", count(t, s, "oauth_refresh_tokens"), 0)
	})
}

func TestDeniedDevice(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		d := newDevice(p.client.ID, "")
		must(t, s.AddDevice(t.Context(), d, start, 10, 10))
		wantErr(t, "too late", s.DenyDevice(t.Context(), d.Hash, d.ExpiresAt), provider.ErrUsed)
		ctx := WithJournal(t.Context(), noted("device.deny", "x"))
		must(t, s.DenyDevice(ctx, d.Hash, start))
		wantErr(t, "again", s.DenyDevice(ctx, d.Hash, start), provider.ErrUsed)
		wantErr(t, "approved", s.Authorize(ctx, provider.Authorization{Grant: p.grant(start), Device: d.Hash}, start), provider.ErrUsed)
		got, _, err := s.PollDevice(t.Context(), d.Hash, p.client.ID, start, 0)
		must(t, err)
		wantSame(t, "state", got.State, provider.DeviceDenied)
		wantSame(t, "audit", actions(t, s), []string{"device.deny x"})
	})
}

// TestPollsThatComeTooEarlySlowTheDeviceDown (RFC 8628, section 3.5).
func TestPollsThatComeTooEarlySlowTheDeviceDown(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		d := newDevice("client_1", "")
		must(t, s.AddDevice(t.Context(), d, start, 10, 10))
		var last time.Time
		for _, poll := range []struct{ at, interval int }{ // seconds, with the interval that is to be kept
			{0, 5}, {5, 5}, {9, 5}, {18, 10}, {28, 15}, {48, 20}, {700, 20},
		} {
			now := start.Add(time.Duration(poll.at) * time.Second)
			got, g, err := s.PollDevice(t.Context(), d.Hash, "client_1", now, 5*time.Second)
			must(t, err)
			d.PolledAt, d.Interval = last, time.Duration(poll.interval)*time.Second
			wantSame(t, fmt.Sprint(poll.at, " s"), got, d)
			wantSame(t, "no grant", g, provider.Grant{})
			last = now
		}
		for _, clientID := range []string{"client_2", "", "\xff"} {
			_, _, err := s.PollDevice(t.Context(), d.Hash, clientID, start, 0)
			wantErr(t, "of another client", err, provider.ErrNotFound)
		}
	})
}

func TestUserCodeIsGivenAgainOnceItExpired(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		first, second := newDevice("client_1", ""), newDevice("client_2", "")
		second.UserCode = first.UserCode
		second.ExpiresAt = second.ExpiresAt.Add(time.Hour)
		must(t, s.AddDevice(t.Context(), first, start, 10, 10))
		wantErr(t, "taken", s.AddDevice(t.Context(), second, start, 10, 10), provider.ErrConflict)
		must(t, s.AddDevice(t.Context(), second, first.ExpiresAt, 10, 10))
		got, err := s.DeviceByUserCode(t.Context(), first.UserCode, first.ExpiresAt)
		must(t, err)
		wantSame(t, "whose it is", got, second)
		second.Source = "\xff"
		wantErr(t, "no text", s.AddDevice(t.Context(), second, start, 10, 10), session.ErrUnavailable)
	})
}

// TestFiftyRedeemersOfOneDevice has two processes be asked at once.
func TestFiftyRedeemersOfOneDevice(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		p := newPair(t, s)
		d := newDevice(p.client.ID, "")
		must(t, s.AddDevice(t.Context(), d, start, 10, 10))
		var approved, won atomic.Int32
		together(50, func(i int) {
			switch err := stores[i%2].Authorize(t.Context(), provider.Authorization{Grant: p.grant(start), Device: d.Hash}, start); err {
			case nil:
				approved.Add(1)
			case provider.ErrUsed:
			default:
				t.Error(err)
			}
		})
		together(50, func(i int) {
			switch _, err := stores[i%2].RedeemDevice(t.Context(), d.Hash, start, 10, newRefresh(start), start.Add(time.Hour)); err {
			case nil:
				won.Add(1)
			case provider.ErrUsed:
			default:
				t.Error(err)
			}
		})
		wantSame(t, "approved and redeemed", []int32{approved.Load(), won.Load()}, []int32{1, 1})
		wantSame(t, "grants and tokens", count(t, s, "oauth_grants")+count(t, s, "oauth_refresh_tokens"), 2)
	})
}
