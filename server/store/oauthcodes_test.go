package store

import (
	"context"
	"database/sql"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

func TestCodeIsRedeemedOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		g, code := p.authorize(t, s, start)
		gotCode, gotGrant, err := s.Code(t.Context(), code.Hash)
		must(t, err)
		wantSame(t, "code", gotCode, code)
		wantSame(t, "grant", gotGrant, g)
		_, _, err = s.Code(t.Context(), newToken())
		wantErr(t, "no code", err, provider.ErrNotFound)
		_, err = s.RedeemCode(t.Context(), newToken(), start, 10, refuse)
		wantErr(t, "redeem none", err, provider.ErrNotFound)
		forget(t, s)

		now, first := start.Add(time.Second), newRefresh(start)
		used := code
		used.ConsumedAt = now
		ended := g
		ended.ExpiresAt = start.Add(time.Hour)
		got, err := s.RedeemCode(t.Context(), code.Hash, now, 10, func(c provider.Code, asked provider.Grant) (provider.Refresh, time.Time, error) {
			wantSame(t, "code that is decided about", c, used)
			wantSame(t, "grant that is decided about", asked, g)
			return first, ended.ExpiresAt, nil
		})
		must(t, err)
		wantSame(t, "redeemed", got, ended)
		first.GrantID = g.ID
		r, of, err := s.Refresh(t.Context(), first.Hash)
		must(t, err)
		wantSame(t, "refresh token", r, first)
		wantSame(t, "its grant", of, ended)
		wantSame(t, "changes", len(changes(t, s)), 0)

		for range 2 { // RFC 9700, section 2.1.1; RFC 6749, section 4.1.2
			replayed, err := s.RedeemCode(t.Context(), code.Hash, now.Add(time.Second), 10, give(newRefresh(start)))
			wantErr(t, "again", err, provider.ErrReplayed)
			wantSame(t, "whose it was", replayed.ID, g.ID)
		}
		wantGrant(t, s, g.ID, now.Add(time.Second))
		wantSame(t, "changes", changes(t, s), []session.Change{ofGrant(g.ID)})
		wantSame(t, "refresh tokens", count(t, s, "oauth_refresh_tokens"), 1)
	})
}

func TestCodeWithoutRefreshToken(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		_, code := p.authorize(t, s, start)
		_, err := s.RedeemCode(t.Context(), code.Hash, start, 10, func(provider.Code, provider.Grant) (provider.Refresh, time.Time, error) {
			return provider.Refresh{}, start.Add(time.Hour), nil
		})
		must(t, err)
		wantSame(t, "refresh tokens", count(t, s, "oauth_refresh_tokens"), 0)
	})
}

// TestRefusedCodeIsBurnt: one wrong try uses it up (RFC 9700, section 4.5), and
// nothing comes of its grant.
func TestRefusedCodeIsBurnt(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		g, code := p.authorize(t, s, start)
		_, err := s.RedeemCode(t.Context(), code.Hash, start, 10, refuse)
		wantSame(t, "the decision's own error", err == errRefused, true)
		wantGrant(t, s, g.ID, start)
		_, err = s.RedeemCode(t.Context(), code.Hash, start, 10, give(newRefresh(start)))
		wantErr(t, "the right try after it", err, provider.ErrReplayed)

		g, code = p.authorize(t, s, start)
		must(t, s.RevokeGrant(t.Context(), g.ID, start))
		for _, want := range []error{provider.ErrEnded, provider.ErrReplayed} {
			_, err = s.RedeemCode(t.Context(), code.Hash, start, 10, give(newRefresh(start)))
			wantErr(t, "of a grant that was ended", err, want)
		}
		_, code = p.authorize(t, s, start)
		_, err = s.RedeemCode(t.Context(), code.Hash, start.Add(time.Hour), 10, give(newRefresh(start)))
		wantErr(t, "of a grant that has expired", err, provider.ErrEnded)
		wantSame(t, "refresh tokens", count(t, s, "oauth_refresh_tokens"), 0)
		wantSame(t, "codes that can be used", count(t, s, "oauth_codes WHERE consumed_at = 0"), 0)
	})
}

// TestFiftyRedeemersOfOneCode has two processes be asked at once. The others end
// what the one was given.
func TestFiftyRedeemersOfOneCode(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		p := newPair(t, s)
		g, code := p.authorize(t, s, start)
		var won, replayed atomic.Int32
		together(50, func(i int) {
			_, err := stores[i%2].RedeemCode(t.Context(), code.Hash, start, 10, give(newRefresh(start)))
			switch err {
			case nil:
				won.Add(1)
			case provider.ErrReplayed:
				replayed.Add(1)
			default:
				t.Error(err)
			}
		})
		if won.Load() != 1 || replayed.Load() != 49 || count(t, s, "oauth_refresh_tokens") != 1 {
			t.Errorf("%d won, %d replayed", won.Load(), replayed.Load())
		}
		wantGrant(t, s, g.ID, start)
	})
}

// TestOldestGrantsBeyondTheBoundAreEnded also where they are made at once: the
// grant that was just redeemed is never among them.
func TestOldestGrantsBeyondTheBoundAreEnded(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p, other := newPair(t, s), newPair(t, s)
		p2 := pair{other.client, p.userID}
		kept, _ := p2.redeemed(t, s, start)
		var grants []provider.Grant
		for i := range 5 {
			g, _ := p.redeemed(t, s, start.Add(time.Duration(i)*time.Second))
			grants = append(grants, g)
		}
		forget(t, s)
		now := start.Add(10 * time.Second)
		g, code := p.authorize(t, s, start.Add(-time.Second)) // the oldest of all
		_, err := s.RedeemCode(t.Context(), code.Hash, now, 3, give(newRefresh(now)))
		must(t, err)
		for i, old := range grants {
			wantGrant(t, s, old.ID, map[bool]time.Time{true: now}[i < 3])
		}
		wantGrant(t, s, g.ID, time.Time{})
		wantGrant(t, s, kept.ID, time.Time{})
		wantSame(t, "changes", count(t, s, "changes WHERE kind = ?", provider.ChangedGrant), 3)

		var codes []provider.Code
		for range 20 {
			_, code := p.authorize(t, s, now)
			codes = append(codes, code)
		}
		together(len(codes), func(i int) {
			// Those that are not redeemed yet count, and may be ended before they are.
			_, err := s.RedeemCode(t.Context(), codes[i].Hash, now, 3, give(newRefresh(now)))
			if err != nil && err != provider.ErrEnded {
				t.Error(err)
			}
		})
		wantSame(t, "that live", count(t, s, "oauth_grants WHERE client_id = ? AND user_id = ? AND revoked_at = 0", p.client.ID, p.userID), 3)
	})
}

// A conflict has the statements that add a refresh token fail, so many times, as
// those of a transaction that the database wants repeated.
type conflict struct {
	querier
	left *int
}

func (c *conflict) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if strings.HasPrefix(query, "INSERT INTO oauth_refresh_tokens") && *c.left > 0 {
		*c.left--
		return nil, &pgconn.PgError{Code: "40001"}
	}
	return c.querier.ExecContext(ctx, query, args...)
}

// TestRepeatedTransactionDecidesAgain: what an attempt that was undone had decided
// does not count.
func TestRepeatedTransactionDecidesAgain(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		g, code := p.authorize(t, s, start)
		left, asked := 1, 0
		s.watch = func(q querier) querier { return &conflict{q, &left} }
		first := newRefresh(start)
		_, err := s.RedeemCode(t.Context(), code.Hash, start, 10, func(provider.Code, provider.Grant) (provider.Refresh, time.Time, error) {
			asked++
			return first, first.ExpiresAt, nil
		})
		s.watch = nil
		must(t, err)
		if asked != 2 || left != 0 {
			t.Errorf("%d decisions, %d failures left", asked, left)
		}
		wantGrant(t, s, g.ID, time.Time{})
		wantSame(t, "refresh tokens", count(t, s, "oauth_refresh_tokens"), 1)
	})
}
