package session_test

import (
	"context"
	"crypto/rand"
	"testing"
)

func BenchmarkGetRemembered(b *testing.B) {
	m := newManager(b, newFaulty(), nil)
	cookie, _, err := m.SignIn(b.Context(), person("ann"))
	must(b, err)
	ctx := b.Context()
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Get(ctx, cookie); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := m.Get(ctx, cookie); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkGetInAFlood is the same while strangers send random cookies.
func BenchmarkGetInAFlood(b *testing.B) {
	m := newManager(b, openSQLite(b), nil)
	cookie, _, err := m.SignIn(b.Context(), person("ann"))
	must(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = m.Get(ctx, rand.Text())
		}
	}()
	for b.Loop() {
		if _, err := m.Get(b.Context(), cookie); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	<-done
}

func BenchmarkTokens(b *testing.B) {
	m := newManager(b, newFaulty(), nil)
	_, s, err := m.SignIn(b.Context(), person("ann"))
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Tokens(s); err != nil {
			b.Fatal(err)
		}
	}
}
