package provider

import (
	"context"
	"slices"
	"time"
)

// ended reports whether nothing may come of a grant any more.
func (s *memStore) ended(g Grant, now time.Time) bool {
	return !g.RevokedAt.IsZero() || !now.Before(g.ExpiresAt) || !s.clientLives(g.ClientID) || s.gone[g.UserID]
}

// end ends a grant that is there and was not revoked yet.
func (s *memStore) end(id string, now time.Time) {
	g, ok := s.grants[id]
	if !ok || !g.RevokedAt.IsZero() {
		return
	}
	g.RevokedAt = kept(now)
	s.grants[id] = g
	s.changed(ChangedGrant, id)
}

func (s *memStore) endWhere(now time.Time, which func(Grant) bool) {
	for id, g := range s.grants {
		if which(g) {
			s.end(id, now)
		}
	}
}

// give moves the end of a grant, keeps its first refresh token, and ends the
// oldest of the person's grants to the client beyond most.
func (s *memStore) give(g Grant, first Refresh, grantEnds, now time.Time, most int) Grant {
	g.ExpiresAt = kept(grantEnds)
	s.grants[g.ID] = g
	s.keepRefresh(first)
	var living []Grant
	for _, o := range s.grants {
		if o.UserID == g.UserID && o.ClientID == g.ClientID && o.ID != g.ID && !s.ended(o, now) {
			living = append(living, o)
		}
	}
	slices.SortFunc(living, func(a, b Grant) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for _, o := range living[:max(0, len(living)+1-most)] {
		s.end(o.ID, now)
	}
	return g
}

func (s *memStore) keepRefresh(r Refresh) {
	if r.Hash == (Hash{}) {
		return
	}
	r.CreatedAt, r.ExpiresAt = kept(r.CreatedAt), kept(r.ExpiresAt)
	s.refreshes[r.Hash] = r
}

func (s *memStore) Code(ctx context.Context, h Hash) (c Code, g Grant, err error) {
	err = s.do(ctx, "Code", func() error {
		var ok bool
		if c, ok = s.codes[h]; !ok {
			return ErrNotFound
		}
		g = s.grants[c.GrantID]
		return nil
	})
	return c, g, err
}

func (s *memStore) Refresh(ctx context.Context, h Hash) (r Refresh, g Grant, err error) {
	err = s.do(ctx, "Refresh", func() error {
		var ok bool
		if r, ok = s.refreshes[h]; !ok {
			return ErrNotFound
		}
		g = s.grants[r.GrantID]
		return nil
	})
	return r, g, err
}

func (s *memStore) RedeemCode(ctx context.Context, h Hash, now time.Time, most int, decide func(Code, Grant) (Refresh, time.Time, error)) (given Grant, err error) {
	err = s.do(ctx, "RedeemCode", func() error {
		c, ok := s.codes[h]
		if !ok {
			return ErrNotFound
		}
		if !c.ConsumedAt.IsZero() {
			s.end(c.GrantID, now)
			return ErrReplayed
		}
		c.ConsumedAt = kept(now)
		s.codes[h] = c
		g := s.grants[c.GrantID]
		if s.ended(g, now) {
			return ErrEnded
		}
		first, ends, err := decide(c, g)
		if err != nil {
			return err
		}
		given = s.give(g, first, ends, now, most)
		return nil
	})
	if err != nil {
		return Grant{}, err
	}
	return given, nil
}

func (s *memStore) Rotate(ctx context.Context, h Hash, now time.Time, grace time.Duration, candidates []Hash, next Refresh, grantEnds time.Time) (r Refresh, g Grant, err error) {
	err = s.do(ctx, "Rotate", func() error {
		old, ok := s.refreshes[h]
		if !ok {
			return ErrNotFound
		}
		g = s.grants[old.GrantID]
		if !old.ConsumedAt.IsZero() {
			return s.again(old, g, now, grace, candidates, &r)
		}
		if s.ended(g, now) || !now.Before(old.ExpiresAt) {
			return ErrEnded
		}
		old.ConsumedAt, old.Next = kept(now), next.Hash
		s.refreshes[h] = old
		s.keepRefresh(next)
		g.ExpiresAt = kept(grantEnds)
		s.grants[g.ID] = g
		r = s.refreshes[next.Hash]
		return nil
	})
	if err != nil {
		return Refresh{}, Grant{}, err
	}
	return r, g, nil
}

// again answers a refresh token that was used before.
func (s *memStore) again(old Refresh, g Grant, now time.Time, grace time.Duration, candidates []Hash, r *Refresh) error {
	next, ok := s.refreshes[old.Next]
	if ok && next.ConsumedAt.IsZero() && slices.Contains(candidates, old.Next) && now.Before(old.ConsumedAt.Add(grace)) {
		if s.ended(g, now) {
			return ErrEnded
		}
		*r = next
		return nil
	}
	s.end(g.ID, now)
	return ErrReplayed
}

func (s *memStore) RevokeGrant(ctx context.Context, id string, now time.Time) error {
	return s.do(ctx, "RevokeGrant", func() error {
		s.end(id, now)
		return nil
	})
}

func (s *memStore) RevokeToken(ctx context.Context, jti string, expires time.Time) error {
	return s.do(ctx, "RevokeToken", func() error {
		s.revoked[jti] = expires
		s.changed(ChangedToken, jti)
		return nil
	})
}

func (s *memStore) TokenState(ctx context.Context, jti, grantID, clientID string, now time.Time) (st TokenState, err error) {
	err = s.do(ctx, "TokenState", func() error {
		_, revoked := s.revoked[jti]
		st.Revoked = revoked || !s.clientLives(clientID)
		if grantID == "" {
			return nil
		}
		g, ok := s.grants[grantID]
		st.Revoked = st.Revoked || !ok || s.ended(g, now)
		st.Grant, st.UserID = g, g.UserID
		return nil
	})
	return st, err
}
