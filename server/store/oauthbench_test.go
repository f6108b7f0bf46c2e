package store

import (
	"testing"

	"wavegate/oidc/provider"
	"wavegate/server/store/storetest"
)

// BenchmarkOAuth is one of each call that a token request or a token's use makes.
func BenchmarkOAuth(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			s := open(b, Config{URL: url(b)})
			p := newPair(b, s)
			b.Run("RedeemCode", func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					_, code := p.authorize(b, s, start)
					b.StartTimer()
					_, err := s.RedeemCode(b.Context(), code.Hash, start, 20, give(newRefresh(start)))
					must(b, err)
				}
			})
			g, r := p.redeemed(b, s, start)
			b.Run("Rotate", func(b *testing.B) {
				var err error
				for b.Loop() {
					r, _, err = s.Rotate(b.Context(), r.Hash, start, 0, []provider.Hash{}, newRefresh(start), r.ExpiresAt)
					must(b, err)
				}
			})
			b.Run("TokenState", func(b *testing.B) {
				for b.Loop() {
					state, err := s.TokenState(b.Context(), "jti", g.ID, p.client.ID, start)
					must(b, err)
					wantSame(b, "ended", state.Revoked, false)
				}
			})
		})
	}
}
