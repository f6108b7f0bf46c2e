package apikey_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/keychain/apikey"
)

var (
	home = netip.MustParseAddr("192.0.2.1")
	away = netip.MustParseAddr("2001:db8::1")
)

func TestFirstUseIsWrittenWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.run(t)
		b.follow(t)
		secret, id := b.create(nil)
		for round := range 3 {
			used := time.Now().UTC()
			b.lookup(t, secret).Used(used, home)
			after(11 * time.Second)
			list := b.store.touched(id)
			if len(list) != round+1 || !list[round].UsedAt.Equal(used) {
				t.Fatalf("written were %v, want the use at %v", list, used)
			}
			after(10 * time.Minute)
		}
	})
}

func TestSteadyUseIsWrittenOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.run(t)
		b.follow(t)
		secret, id := b.create(nil)
		k := b.lookup(t, secret)
		var last time.Time
		for range 600 { // ten minutes
			last = time.Now()
			k.Used(last, home)
			time.Sleep(time.Second)
		}
		if n := len(b.store.touched(id)); n < 9 || n > 12 {
			t.Errorf("%d writes in ten minutes of steady use, want about 10", n)
		}
		after(75 * time.Second)
		list := b.store.touched(id)
		if got := list[len(list)-1].UsedAt; last.Sub(got) >= time.Second {
			t.Errorf("the last use was at %v, and the store was told of %v", last, got)
		}
	})
}

func TestLastUsesAreWrittenAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *apikey.Config) { c.Most = 5000 })
		stop := b.run(t)
		for range 2500 { // more than a batch
			secret, _ := b.create(nil)
			b.lookup(t, secret).Used(time.Now(), home)
		}
		must(t, stop())
		n := 0
		for _, batch := range b.store.touches {
			n += len(batch)
		}
		if n != 2500 || len(b.store.touches) != 3 {
			t.Errorf("%d uses were written in %d batches, want 2500 in 3", n, len(b.store.touches))
		}
	})
}

func TestUsesThatCannotBeWrittenAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		stop := b.run(t)
		secret, id := b.create(nil)
		k := b.lookup(t, secret)
		b.store.setDown(true)
		used := time.Now().UTC()
		k.Used(used, home)
		after(35 * time.Second)
		b.store.setDown(false)
		after(10 * time.Second)
		want := []apikey.Touch{{ID: id, UsedAt: used, Networks: []netip.Prefix{apikey.NetworkOf(home)}}}
		if diff := cmp.Diff(want, b.store.touched(id), sameRecord); diff != "" {
			t.Errorf("written was (-want +got):\n%s", diff)
		}
		k.Used(time.Now().Add(2*time.Second), home)
		b.store.setDown(true)
		wantErr(t, stop(), apikey.ErrUnavailable)
	})
}

func TestUsesOfKeysThatWereLetGoAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *apikey.Config) { c.Most = 2 })
		b.run(t)
		secret, id := b.create(func(r *apikey.Record) {
			r.LastUsedAt, r.Networks = time.Now().Add(-5*time.Second), []netip.Prefix{apikey.NetworkOf(home)}
		})
		used := time.Now().UTC()
		b.lookup(t, secret).Used(used, home)
		crowdOut(t, b)
		after(11 * time.Second)
		if list := b.store.touched(id); len(list) != 1 || !list[0].UsedAt.Equal(used) {
			t.Errorf("written was %v", list)
		}
	})
}

func TestUseDuringAWriteIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		secret, id := b.create(nil)
		k := b.lookup(t, secret)
		k.Used(time.Now(), home)
		var last time.Time
		b.store.before = func(_ context.Context, method string) error {
			if method == "TouchKeys" && last.IsZero() {
				last = time.Now().UTC()
				k.Used(last, home)
			}
			return nil
		}
		b.run(t)
		after(75 * time.Second)
		list := b.store.touched(id)
		if len(list) != 2 || !list[1].UsedAt.Equal(last) {
			t.Errorf("written was %v, want also the use at %v", list, last)
		}
	})
}

func TestLastUseNeverMovesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		stop := b.run(t)
		secret, id := b.create(nil)
		k := b.lookup(t, secret)
		late := time.Now().Add(time.Hour).UTC()
		k.Used(late, home)
		k.Used(late.Add(-30*time.Minute), home)
		must(t, stop())
		if list := b.store.touched(id); len(list) != 1 || !list[0].UsedAt.Equal(late) {
			t.Errorf("written was %v, want the use at %v", list, late)
		}
	})
}

func TestNewNetworkIsOneThatWasNeverSeenAfterOthers(t *testing.T) {
	b := newBench(t, nil)
	secret, _ := b.create(nil)
	k := b.lookup(t, secret)
	steps := []struct {
		ip  string
		new bool
	}{
		{"192.0.2.1", false}, // the first of all
		{"192.0.2.200", false},
		{"::ffff:192.0.2.7", false}, // mapped is the same network
		{"192.0.3.1", true},
		{"192.0.3.1", false},
		{"2001:db8:1:2::1", true},
		{"2001:db8:1:3::1", false}, // same /48
		{"2001:db8:2::1%eth0", true},
		{"", false}, // a Unix socket
	}
	for _, s := range steps {
		ip, _ := netip.ParseAddr(s.ip)
		if got := k.Used(time.Now(), ip); got != s.new {
			t.Errorf("%q is a new network: %v, want %v", s.ip, got, s.new)
		}
	}
}

func TestNetworksOfTheStoreAreKnown(t *testing.T) {
	b := newBench(t, nil)
	secret, _ := b.create(func(r *apikey.Record) { r.Networks = []netip.Prefix{apikey.NetworkOf(home)} })
	k := b.lookup(t, secret)
	if k.Used(time.Now(), home) || !k.Used(time.Now(), away) || k.Used(time.Now(), away) {
		t.Error("a known network is new, or a new one is not")
	}
}

func TestNetworksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		stop := b.run(t)
		secret, id := b.create(nil)
		k := b.lookup(t, secret)
		news := 0
		for i := range 500 {
			if k.Used(time.Now(), netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})) {
				news++
			}
		}
		must(t, stop())
		if list := b.store.touched(id); news != apikey.MaxNetworks-1 || len(list) != 1 || len(list[0].Networks) != apikey.MaxNetworks {
			t.Errorf("%d networks were new, written was %v", news, list)
		}
	})
}

func TestNetworksSurviveAChangeOfTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		secret, id := b.create(nil)
		k := b.hold(t, secret)
		k.Used(time.Now(), home)
		k.Used(time.Now(), away)
		b.store.edit(id, func(r *apikey.Record) { r.Scopes = nil })
		b.Changed(id)
		synctest.Wait()
		again := b.lookup(t, secret)
		if again == k {
			t.Fatal("the key lost its scopes and goes on")
		}
		if again.Used(time.Now(), home) || again.Used(time.Now(), away) {
			t.Error("networks that the store was not yet told of are new again")
		}
	})
}

func TestRacingUsesFindOneNewNetwork(t *testing.T) {
	b := newBench(t, nil)
	secret, _ := b.create(nil)
	k := b.lookup(t, secret)
	k.Used(time.Now(), home)
	var news atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if k.Used(time.Now(), away) {
				news.Add(1)
			}
		})
	}
	wg.Wait()
	if n := news.Load(); n != 1 {
		t.Errorf("%d requests came from a new network, want 1", n)
	}
}

func TestUsedAllocatesNothing(t *testing.T) {
	b := newBench(t, nil)
	secret, _ := b.create(nil)
	k := b.lookup(t, secret)
	now := time.Now()
	k.Used(now, home)
	if n := testing.AllocsPerRun(100, func() { k.Used(now.Add(2*time.Second), home) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestValueIsMadeOnceForEachRecordAndPolicy(t *testing.T) {
	b := newBench(t, nil)
	secret, id := b.create(nil)
	k := b.lookup(t, secret)
	made := 0
	value := func(under any) any {
		return k.Value(under, func(k *apikey.Key) any {
			made++
			return fmt.Sprint(k.Record().Name, made)
		})
	}
	one, two := new(int), new(int)
	for _, step := range []struct {
		under any
		want  string
	}{{one, "deploy1"}, {one, "deploy1"}, {two, "deploy2"}, {two, "deploy2"}, {one, "deploy3"}} {
		if got := value(step.under); got != step.want {
			t.Errorf("the value is %v, want %v", got, step.want)
		}
	}
	b.store.edit(id, func(r *apikey.Record) { r.Name = "other" })
	b.Changed(id)
	k = b.lookup(t, secret)
	if got := value(one); got != "other4" {
		t.Errorf("the value after a change is %v", got)
	}
	if k.Value(two, func(*apikey.Key) any { return nil }) != nil || value(two) != "other5" {
		t.Error("nil was kept")
	}
}
