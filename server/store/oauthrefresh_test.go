package store

import (
	"sync"
	"testing"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/session"
)

const grace = 10 * time.Second

func TestRotateReplacesTheToken(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		g, first := p.redeemed(t, s, start)
		now := start.Add(time.Minute)
		next := newRefresh(now)
		next.GrantID, next.Next, next.ConsumedAt = "somebody else's", newToken(), now // which are not its
		got, of, err := s.Rotate(t.Context(), first.Hash, now, grace, nil, next, start.Add(99*time.Hour))
		must(t, err)
		next.GrantID, next.Next, next.ConsumedAt = g.ID, provider.Hash{}, time.Time{}
		g.ExpiresAt = start.Add(99 * time.Hour)
		wantSame(t, "next", got, next)
		wantSame(t, "its grant", of, g)
		r, of, err := s.Refresh(t.Context(), next.Hash)
		must(t, err)
		wantSame(t, "stored", r, next)
		wantSame(t, "stored grant", of, g)
		first.ConsumedAt, first.Next = now, next.Hash
		r, _, err = s.Refresh(t.Context(), first.Hash)
		must(t, err)
		wantSame(t, "the one before", r, first)

		_, _, err = s.Refresh(t.Context(), newToken())
		wantErr(t, "none", err, provider.ErrNotFound)
		_, _, err = s.Rotate(t.Context(), newToken(), now, grace, nil, newRefresh(now), now)
		wantErr(t, "rotate none", err, provider.ErrNotFound)
	})
}

// TestLostAnswerIsGivenAgainWithinGrace and reuse otherwise ends the family (RFC
// 9700, section 4.14.2).
func TestLostAnswerIsGivenAgainWithinGrace(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		now := start.Add(time.Minute)
		for name, tt := range map[string]struct {
			after   time.Duration
			prepare func(g provider.Grant, next provider.Refresh) []provider.Hash // returns the candidates
			want    error
		}{
			"within grace": {grace - time.Millisecond, func(_ provider.Grant, next provider.Refresh) []provider.Hash {
				return []provider.Hash{newToken(), next.Hash}
			}, nil},
			"the clock of another process": {-time.Second, func(_ provider.Grant, next provider.Refresh) []provider.Hash {
				return []provider.Hash{next.Hash}
			}, nil},
			"after grace": {grace, func(_ provider.Grant, next provider.Refresh) []provider.Hash {
				return []provider.Hash{next.Hash}
			}, provider.ErrReplayed},
			"by a token of another key": {0, func(provider.Grant, provider.Refresh) []provider.Hash {
				return []provider.Hash{newToken()}
			}, provider.ErrReplayed},
			"no candidates": {0, func(provider.Grant, provider.Refresh) []provider.Hash { return nil }, provider.ErrReplayed},
			"the next one was used": {0, func(_ provider.Grant, next provider.Refresh) []provider.Hash {
				_, _, err := s.Rotate(t.Context(), next.Hash, now, grace, nil, newRefresh(now), start.Add(time.Hour))
				must(t, err)
				return []provider.Hash{next.Hash}
			}, provider.ErrReplayed},
			"the grant was ended": {0, func(g provider.Grant, next provider.Refresh) []provider.Hash {
				must(t, s.RevokeGrant(t.Context(), g.ID, now))
				return []provider.Hash{next.Hash}
			}, provider.ErrEnded},
		} {
			g, first := p.redeemed(t, s, start)
			next, _, err := s.Rotate(t.Context(), first.Hash, now, grace, nil, newRefresh(now), start.Add(time.Hour))
			must(t, err)
			candidates := tt.prepare(g, next)
			forget(t, s)
			before := count(t, s, "oauth_refresh_tokens")
			got, of, err := s.Rotate(t.Context(), first.Hash, now.Add(tt.after), grace, candidates, newRefresh(now), start.Add(2*time.Hour))
			if err != tt.want {
				t.Fatalf("%s: error %v, want %v", name, err, tt.want)
			}
			wantSame(t, name+": tokens", count(t, s, "oauth_refresh_tokens"), before)
			if err == nil {
				wantSame(t, name+": the same one", got, next)
				wantSame(t, name+": the grant's end", of.ExpiresAt, start.Add(time.Hour))
				wantGrant(t, s, g.ID, time.Time{})
			}
			if err == provider.ErrReplayed {
				wantSame(t, name+": whose it was", of.ID, g.ID)
				wantGrant(t, s, g.ID, now.Add(tt.after))
				wantSame(t, name+": changes", changes(t, s), []session.Change{ofGrant(g.ID)})
			} else {
				wantSame(t, name+": changes", len(changes(t, s)), 0)
			}
		}
	})
}

func TestRefreshTokenThatHasEndedIsNotRotated(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		p := newPair(t, s)
		g, first := p.redeemed(t, s, start)
		_, _, err := s.Rotate(t.Context(), first.Hash, first.ExpiresAt, grace, nil, newRefresh(start), first.ExpiresAt.Add(time.Hour))
		wantErr(t, "expired", err, provider.ErrEnded)
		wantGrant(t, s, g.ID, time.Time{})
		must(t, s.RevokeGrant(t.Context(), g.ID, start))
		_, _, err = s.Rotate(t.Context(), first.Hash, start, grace, nil, newRefresh(start), start.Add(time.Hour))
		wantErr(t, "of a grant that was ended", err, provider.ErrEnded)
		r, _, err := s.Refresh(t.Context(), first.Hash)
		must(t, err)
		wantSame(t, "used", r.ConsumedAt, time.Time{})
	})
}

// TestFiftyRefreshesAtOnceAgree: with the one successor that is derived of the
// token all of them are answered the same, and the family has two tokens.
func TestFiftyRefreshesAtOnceAgree(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		p := newPair(t, s)
		g, first := p.redeemed(t, s, start)
		derived := newRefresh(start)
		var mu sync.Mutex
		seen := map[provider.Hash]int{}
		together(50, func(i int) {
			next, _, err := stores[i%2].Rotate(t.Context(), first.Hash, start, grace, []provider.Hash{derived.Hash}, derived, start.Add(time.Hour))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[next.Hash]++
		})
		wantSame(t, "answers", seen, map[provider.Hash]int{derived.Hash: 50})
		wantSame(t, "tokens", count(t, s, "oauth_refresh_tokens"), 2)
		wantGrant(t, s, g.ID, time.Time{})
	})
}

// TestFiftyRotationsAtOnceLeaveOneSuccessor, where each has one of its own and
// there is no grace: one wins, and the family is ended by the others.
func TestFiftyRotationsAtOnceLeaveOneSuccessor(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		stores := []*Store{s, open(t, Config{URL: url})}
		p := newPair(t, s)
		g, first := p.redeemed(t, s, start)
		var mu sync.Mutex
		seen := map[error]int{}
		together(50, func(i int) {
			_, _, err := stores[i%2].Rotate(t.Context(), first.Hash, start, 0, nil, newRefresh(start), start.Add(time.Hour))
			mu.Lock()
			defer mu.Unlock()
			seen[err]++
		})
		if seen[nil] != 1 || seen[provider.ErrReplayed] != 49 || count(t, s, "oauth_refresh_tokens") != 2 {
			t.Errorf("answers %v", seen)
		}
		wantGrant(t, s, g.ID, start)
	})
}
