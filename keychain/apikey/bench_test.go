package apikey_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"wavegate/keychain/apikey"
)

func BenchmarkParse(b *testing.B) {
	for _, sum := range []bool{false, true} {
		key := apikey.Generate("wave", apikey.Live, sum)
		b.Run(fmt.Sprint("checksum=", sum), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := apikey.Parse(key); !ok {
					b.Fatal("not parsed")
				}
			}
		})
	}
}

func BenchmarkHasherCurrent(b *testing.B) {
	h := newHasher(b)
	key := apikey.Generate("wave", apikey.Live, false)
	b.ReportAllocs()
	for b.Loop() {
		h.Current(key)
	}
}

// BenchmarkLookupRemembered goes through all remembered keys at random.
func BenchmarkLookupRemembered(b *testing.B) {
	for _, n := range []int{1000, 50_000, 1_000_000} {
		b.Run(fmt.Sprint("keys=", n), func(b *testing.B) {
			m := newBench(b, func(c *apikey.Config) { c.Most = n })
			secrets := make([]string, n)
			for i := range secrets {
				secrets[i], _ = m.create(nil)
				m.lookup(b, secrets[i])
			}
			m.Alive(time.Now().Add(time.Hour)) // the benchmark takes as long as it takes
			asked := make([]string, 1<<14)     // at random, but in memory one after the other, as what was just received is
			for i := range asked {
				asked[i] = strings.Clone(secrets[rand.IntN(n)])
			}
			runtime.GC() // not while it is measured
			ctx, i := context.Background(), 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Lookup(ctx, asked[i%len(asked)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkRequest is all that one request asks of a key.
func BenchmarkRequest(b *testing.B) {
	m := newBench(b, nil)
	secret, _ := m.create(nil)
	m.lookup(b, secret).Used(time.Now(), home)
	ctx, ip := context.Background(), netip.MustParseAddr("192.0.2.9")
	request := func() error {
		k, err := m.Lookup(ctx, secret)
		if err != nil {
			return err
		}
		k.Hold()
		defer k.Release()
		now := time.Now()
		if k.Status(now) != apikey.Active || k.Used(now, ip) {
			return fmt.Errorf("%v is not active, or new here", k)
		}
		return nil
	}
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := request(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := request(); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
