package provider

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"
)

// BenchmarkMintAccess compares an access token with the signature that it cannot do
// without.
func BenchmarkMintAccess(b *testing.B) {
	b.Run("raw signature", func(b *testing.B) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		digest := sha256.Sum256([]byte("text"))
		for b.Loop() {
			if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("token", func(b *testing.B) {
		bench := newKeyBench(nil)
		bench.mint(b, nil)
		c := bench.claims(nil)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bench.mintAccess(context.Background(), c); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkLookup is what a request costs whose token is remembered, and one whose
// token is new.
func BenchmarkLookup(b *testing.B) {
	long := func(c *accessClaims) { c.Scope = strings.Repeat("streams:read ", 17) }
	b.Run("remembered", func(b *testing.B) {
		bench := newKeyBench(nil)
		raws := make([]string, 1000)
		for i := range raws {
			raws[i] = bench.mint(b, func(c *accessClaims) { long(c); c.ID = fmt.Sprintf("jti_%022d", i) })
			bench.lookup(b, raws[i])
		}
		bench.Alive(time.Now().Add(time.Hour)) // the benchmark takes as long as it takes
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := bench.Lookup(context.Background(), raws[i%len(raws)]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(raws[0])), "bytes")
	})
	b.Run("new", func(b *testing.B) {
		bench := newKeyBench(nil)
		raw := bench.mint(b, long)
		b.ReportAllocs()
		for b.Loop() {
			bench.tokens.finish(bench.lookup(b, raw))
		}
	})
}
