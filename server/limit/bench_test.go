package limit

import (
	"fmt"
	"testing"
	"time"
)

// wide is a tier that bounds everything and refuses nothing here.
var wide = Tier{
	Name: "wide", RequestsPerMinute: 60_000_000, BurstPerSecond: 1_000_000,
	Concurrent: 1 << 30, BandwidthPerMonth: 1 << 60,
}

// BenchmarkTakeRelease is a whole request: Take, some bytes, Release.
func BenchmarkTakeRelease(b *testing.B) {
	for _, tier := range []Tier{{}, wide} {
		for _, n := range []int{1, 2} {
			for _, others := range []int{0, 99_000} {
				b.Run(fmt.Sprintf("tier=%s/accounts=%d/others=%d", tier.Name, n, others), func(b *testing.B) {
					m, accounts := benchMemory(tier, n, others)
					at := time.Now()
					b.ReportAllocs()
					for b.Loop() {
						at = at.Add(time.Microsecond)
						v, err := m.Take(b.Context(), at, accounts)
						if err != nil || v.Reason != None {
							b.Fatal(v, err)
						}
						m.Release(at, accounts)
					}
				})
			}
		}
	}
}

func BenchmarkTake(b *testing.B) {
	m, accounts := benchMemory(wide, 2, 0)
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Microsecond)
		if v, err := m.Take(b.Context(), at, accounts); err != nil || v.Reason != None {
			b.Fatal(v, err)
		}
	}
}

func BenchmarkSpend(b *testing.B) {
	m, accounts := benchMemory(wide, 2, 0)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if !m.Spend(now, accounts, 1) {
			b.Fatal("nothing left")
		}
	}
}

// BenchmarkTakeReleaseParallel has each goroutine use a key of its own, and all of
// them one owner.
func BenchmarkTakeReleaseParallel(b *testing.B) {
	for _, shared := range []bool{false, true} {
		b.Run(fmt.Sprintf("shared=%v", shared), func(b *testing.B) {
			m, _ := benchMemory(wide, 0, 0)
			owner := &Account{Name: "user:owner", Tier: wide}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				accounts := []*Account{{Name: fmt.Sprintf("key:%p", pb), Tier: wide}, {Name: fmt.Sprintf("user:%p", pb), Tier: wide}}
				if shared {
					accounts[1] = owner
				}
				for pb.Next() {
					now := time.Now()
					if _, err := m.Take(b.Context(), now, accounts); err != nil {
						b.Error(err)
					}
					m.Release(now, accounts)
				}
			})
		})
	}
}

func benchMemory(tier Tier, n, others int) (*Memory, []*Account) {
	m := NewMemory(MemoryConfig{})
	for i := range others {
		m.states.make(fmt.Sprintf("ip:%d", i))
	}
	var accounts []*Account
	for i := range n {
		accounts = append(accounts, &Account{Name: fmt.Sprintf("key:key_01234567890123456789%d", i), Tier: tier})
	}
	return m, accounts
}
