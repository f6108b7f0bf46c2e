package store

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

// TestTokenEndsWithAllThatItStandsOn changes one thing at a time.
func TestTokenEndsWithAllThatItStandsOn(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		other := newPair(t, s)
		for name, tt := range map[string]struct {
			end       func(p pair, g provider.Grant)
			own       bool // the client's own token ends too
			alsoOther bool // only the token is another one
		}{
			"nothing": {func(pair, provider.Grant) {}, false, true},
			"token":   {func(pair, provider.Grant) { must(t, s.RevokeToken(t.Context(), "jti-token", start.Add(time.Hour))) }, true, false},
			"grant":   {func(_ pair, g provider.Grant) { must(t, s.RevokeGrant(t.Context(), g.ID, start)) }, false, false},
			"person":  {func(p pair, _ provider.Grant) { must(t, s.SetDisabled(t.Context(), p.userID, start)) }, false, false},
			"expired": {func(_ pair, g provider.Grant) {
				run(t, s, "UPDATE oauth_grants SET expires_at = ? WHERE id = ?", start.UnixMilli(), g.ID)
			}, false, false},
			"client": {func(p pair, _ provider.Grant) { must(t, s.DeleteClient(t.Context(), p.client.ID, Journal{})) }, true, false},
			"disabled client": {func(p pair, _ provider.Grant) {
				p.client.DisabledAt = start
				_, err := s.ChangeClient(t.Context(), p.client, Journal{})
				must(t, err)
			}, true, false},
		} {
			p := newPair(t, s)
			g, _ := p.redeemed(t, s, start)
			tt.end(p, g)
			jti := "jti-" + name
			state, err := s.TokenState(t.Context(), jti, g.ID, p.client.ID, start)
			must(t, err)
			wantSame(t, name+": ended", state.Revoked, name != "nothing")
			wantSame(t, name+": person", state.UserID, p.userID)
			if tt.alsoOther {
				wantSame(t, name+": grant", state.Grant, g)
			}
			state, err = s.TokenState(t.Context(), jti, "", p.client.ID, start)
			must(t, err)
			wantSame(t, name+": the client's own token", state, provider.TokenState{Revoked: tt.own})
			for what, of := range map[string][2]string{
				"of a grant that is not there": {"grt_none", p.client.ID}, "of another client's grant": {g.ID, other.client.ID}, "of no text": {"\xff", p.client.ID},
			} {
				state, err = s.TokenState(t.Context(), jti, of[0], of[1], start)
				must(t, err)
				wantSame(t, name+": "+what, state, provider.TokenState{Revoked: true})
			}
		}
	})
}

func TestRevokedTokenIsToldOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		for range 2 {
			must(t, s.RevokeToken(t.Context(), "jti", start.Add(time.Hour)))
		}
		wantErr(t, "no text", s.RevokeToken(t.Context(), "\xff", start), session.ErrUnavailable)
		wantSame(t, "changes", changes(t, s), []session.Change{{Kind: provider.ChangedToken, Key: "jti"}})
	})
}

// TestAssertionIsUsedOnce by one of fifty at once, whatever its ID holds (RFC 7523,
// section 3).
func TestAssertionIsUsedOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		for _, jti := range []string{"a", "\x00\xff", strings.Repeat("long", 10_000), ""} {
			var won atomic.Int32
			together(50, func(i int) {
				switch err := stores[i%2].UseAssertion(t.Context(), "client_1", jti, start.Add(time.Hour)); err {
				case nil:
					won.Add(1)
				case provider.ErrUsed:
				default:
					t.Error(err)
				}
			})
			wantSame(t, "used", won.Load(), int32(1))
			must(t, s.UseAssertion(t.Context(), "client_2", jti, start.Add(time.Hour)))
		}
		wantErr(t, "no text", s.UseAssertion(t.Context(), "\xff", "a", start), session.ErrUnavailable)
	})
}
