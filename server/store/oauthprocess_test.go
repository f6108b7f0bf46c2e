package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"wavegate/oidc/provider"
	"wavegate/server/store/storetest"
)

// successor is the refresh token that replaces another one, and can be found again.
func successor(of provider.Hash, now time.Time) provider.Refresh {
	r := newRefresh(now)
	r.Hash = provider.HashOf(string(of[:]))
	return r
}

// rotateForever rotates the refresh tokens of one grant until it is killed, and
// writes each that the store acknowledged.
func rotateForever(s *Store) error {
	ctx := context.Background()
	u, err := s.SignIn(ctx, newRecord(newID("u"), start), newHash(), start)
	if err != nil {
		return err
	}
	client := newClient("sub:ann", start)
	client.DisabledAt = time.Time{}
	if _, err := s.AddClient(ctx, client, 1000, Journal{}); err != nil {
		return err
	}
	p := pair{client, u.ID}
	g := p.grant(start)
	code := p.code(g)
	if err := s.Authorize(ctx, provider.Authorization{Grant: g, Code: code}, start); err != nil {
		return err
	}
	r := newRefresh(start)
	if _, err := s.RedeemCode(ctx, code.Hash, start, 10, give(r)); err != nil {
		return err
	}
	for {
		fmt.Printf("has %x\n", r.Hash)
		if r, _, err = s.Rotate(ctx, r.Hash, start, grace, nil, successor(r.Hash, start), start.Add(time.Hour)); err != nil {
			return err
		}
	}
}

// TestKillInTheMiddleOfRotationsLeavesOneSuccessor: of a family there is one token
// that can be used, and the client finds it with the last that it heard of.
func TestKillInTheMiddleOfRotationsLeavesOneSuccessor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, Config{URL: url})
		rotated := 0
		for round := range 12 {
			c := startChild(t, "rotate", url)
			last := ""
			take := func(line string) {
				if _, hash, whole := strings.Cut(line, " "); whole && len(hash) == 64 {
					last = hash
					rotated++
				}
			}
			for range 1 + round {
				take(c.line(t))
			}
			time.AfterFunc(time.Duration(round*137%1000)*10*time.Microsecond, c.kill) // somewhere within a transaction
			for c.out.Scan() {
				take(c.out.Text())
			}
			raw, err := hex.DecodeString(last)
			must(t, err)
			h, err := parseToken(raw)
			must(t, err)
			next := successor(h, start)
			got, g, err := s.Rotate(t.Context(), h, start, grace, []provider.Hash{next.Hash}, next, start.Add(time.Hour))
			must(t, err)
			wantSame(t, "successor", got.Hash, next.Hash)
			wantSame(t, "tokens that can be used", count(t, s, "oauth_refresh_tokens WHERE grant_id = ? AND consumed_at = 0", g.ID), 1)
			wantGrant(t, s, g.ID, time.Time{})
		}
		if rotated < 50 {
			t.Errorf("too little was done to be killed: %d rotations", rotated)
		}
	})
}
