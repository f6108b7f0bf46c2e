package apikey_test

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/keychain/apikey"
)

func TestWhatTakesAwayEndsRequestsAndTheRestDoesNot(t *testing.T) {
	v4, wider := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.0.0/16")
	tests := []struct {
		name   string
		change func(*apikey.Record)
		ends   bool
	}{
		{"revoked", func(r *apikey.Record) { r.RevokedAt = time.Now() }, true},
		{"expired", func(r *apikey.Record) { r.ExpiresAt = time.Now() }, true},
		{"rotated without grace", func(r *apikey.Record) { r.DeprecatedAt, r.ExpiresAt = time.Now(), time.Now() }, true},
		{"scope gone", func(r *apikey.Record) { r.Scopes = r.Scopes[:1] }, true},
		{"scopes gone", func(r *apikey.Record) { r.Scopes = nil }, true},
		{"role", func(r *apikey.Record) { r.Role = "viewer" }, true},
		{"role gone", func(r *apikey.Record) { r.Role = "" }, true},
		{"environment", func(r *apikey.Record) { r.Environment = apikey.Test }, true},
		{"owner", func(r *apikey.Record) { r.Owner, r.UserID = "sub:bob", "usr_bob" }, true},
		{"allow-list narrower", func(r *apikey.Record) { r.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")} }, true},
		{"allow-list elsewhere", func(r *apikey.Record) { r.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")} }, true},

		{"name", func(r *apikey.Record) { r.Name, r.Description = "other", "text" }, false},
		{"metadata", func(r *apikey.Record) { r.Metadata = []byte(`{"a":1}`) }, false},
		{"tier", func(r *apikey.Record) { r.Tier, r.OpsLimit = "free", 1 }, false},
		{"budget", func(r *apikey.Record) { r.Budget.PerDay = 1 }, false},
		{"grace", func(r *apikey.Record) { r.DeprecatedAt, r.ExpiresAt = time.Now(), time.Now().Add(time.Hour) }, false},
		{"earlier expiry", func(r *apikey.Record) { r.ExpiresAt = time.Now().Add(time.Minute) }, false},
		{"more scopes", func(r *apikey.Record) { r.Scopes = []string{"streams:write", "x:y", "streams:read"} }, false},
		{"all scopes", func(r *apikey.Record) { r.Scopes = []string{"*"} }, false},
		{"allow-list gone", func(r *apikey.Record) { r.AllowedIPs = nil }, false},
		{"allow-list wider", func(r *apikey.Record) { r.AllowedIPs = []netip.Prefix{wider} }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				secret, id := b.create(func(r *apikey.Record) { r.AllowedIPs = []netip.Prefix{v4} })
				k := b.hold(t, secret)
				b.store.edit(id, tt.change)
				b.Changed(id)
				synctest.Wait()
				if isEnded(k) != tt.ends {
					t.Errorf("requests under way were ended: %v, want %v", isEnded(k), tt.ends)
				}
				again := b.lookup(t, secret)
				if again.Record().Version != 2 || (again == k) == tt.ends {
					t.Errorf("version is %d, the same key: %v", again.Record().Version, again == k)
				}
				if dead := again.Status(time.Now()) != apikey.Active && again.Status(time.Now()) != apikey.Deprecated; isEnded(again) != dead {
					t.Errorf("a key that is %s has ended: %v", again.Status(time.Now()), isEnded(again))
				}
			})
		})
	}
}

func TestRevokedKeyIsDeadForTheNextRequest(t *testing.T) {
	b := newBench(t, nil)
	secret, id := b.create(nil)
	b.lookup(t, secret)
	b.store.edit(id, func(r *apikey.Record) { r.RevokedAt = time.Now() })
	b.Changed(id)
	if s := b.lookup(t, secret).Status(time.Now()); s != apikey.Revoked {
		t.Errorf("the key is %s", s)
	}
}

func TestRemovedKeyIsGoneAndItsRequestsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		secret, id := b.create(nil)
		k := b.hold(t, secret)
		b.store.remove(id)
		b.Changed(id)
		synctest.Wait()
		if !isEnded(k) || b.Remembered() != 0 {
			t.Errorf("ended: %v, remembered: %d", isEnded(k), b.Remembered())
		}
		_, err := b.Lookup(t.Context(), secret)
		wantErr(t, err, apikey.ErrNotFound)
	})
}

func TestDisabledOwnerEndsAllTheirKeysAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		var held []*apikey.Key
		var secrets []string
		for range 3 {
			secret, _ := b.create(nil)
			secrets, held = append(secrets, secret), append(held, b.hold(t, secret))
		}
		other, _ := b.create(func(r *apikey.Record) { r.UserID = "usr_bob" })
		stays := b.hold(t, other)
		b.ChangedUser("")
		b.store.setDisabled("usr_ann", true)
		b.ChangedUser("usr_ann")
		synctest.Wait()
		for i, k := range held {
			if !isEnded(k) {
				t.Errorf("%v of a disabled user goes on", k)
			}
			_, err := b.Lookup(t.Context(), secrets[i])
			wantErr(t, err, apikey.ErrNotFound)
		}
		if isEnded(stays) {
			t.Error("the key of another user has ended")
		}
		b.store.setDisabled("usr_ann", false)
		b.ChangedUser("usr_ann")
		if k := b.lookup(t, secrets[0]); k == held[0] || isEnded(k) {
			t.Error("the key of a user who is back is dead")
		}
	})
}

// TestChangeBetweenReadAndRememberIsSeen revokes a key after the store has read
// it and before the memory has it.
func TestChangeBetweenReadAndRememberIsSeen(t *testing.T) {
	for name, tell := range map[string]func(*bench, string){
		"key":  func(b *bench, id string) { b.Changed(id) },
		"user": func(b *bench, _ string) { b.ChangedUser("usr_ann") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			secret, id := b.create(nil)
			var once sync.Once
			b.store.read = func() {
				once.Do(func() {
					b.store.edit(id, func(r *apikey.Record) { r.RevokedAt = time.Now() })
					tell(b, id)
				})
			}
			if s := b.lookup(t, secret).Status(time.Now()); s != apikey.Revoked {
				t.Errorf("the key is %s, want revoked", s)
			}
			if n := b.store.called("ByHash"); n != 2 {
				t.Errorf("the store was read %d times, want twice", n)
			}
		})
	}
}

// TestChangedRacingLookupNeverLeavesAStaleKeyBelieved changes a key again and
// again while others look it up, and asks after each change.
func TestChangedRacingLookupNeverLeavesAStaleKeyBelieved(t *testing.T) {
	b := newBench(t, func(c *apikey.Config) { c.Most = 3 })
	secret, id := b.create(nil)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var looked atomic.Int64
	for i := range 4 {
		others := make([]string, 5)
		for j := range others {
			others[j], _ = b.create(nil)
		}
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if k, err := b.Lookup(context.Background(), secret); err == nil && n%2 == i%2 {
					k.Hold()
					k.Used(time.Now(), netip.AddrFrom4([4]byte{10, 0, byte(n), 1}))
					k.Release()
				}
				_, _ = b.Lookup(context.Background(), others[n%5])
				looked.Add(1)
			}
		})
	}
	for v := int64(2); v < 300; v++ {
		b.store.edit(id, func(r *apikey.Record) {
			if r.Name = fmt.Sprint(v); v%3 == 0 {
				r.Scopes = []string{fmt.Sprint("s:", v)}
			}
		})
		b.Changed(id)
		if got := b.lookup(t, secret).Record().Version; got != v {
			t.Fatalf("version %d is believed after version %d was told", got, v)
		}
		for seen := looked.Load(); v%10 == 0 && looked.Load() < seen+4; {
			runtime.Gosched()
		}
	}
	cancel()
	wg.Wait()
}

func TestHoldAfterAChangeIsTold(t *testing.T) {
	for name, tell := range map[string]func(*bench, string){
		"changed": func(b *bench, id string) { b.Changed(id) },
		"lost":    func(b *bench, _ string) { b.Lost() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				secret, id := b.create(nil)
				k := b.lookup(t, secret)
				b.store.edit(id, func(r *apikey.Record) { r.RevokedAt = time.Now() })
				tell(b, id)
				synctest.Wait()
				if isEnded(k) || b.store.called("ByHash") != 1 {
					t.Error("a key that nobody holds was read again")
				}
				k.Hold()
				synctest.Wait()
				if !isEnded(k) {
					t.Error("who held the key after its revocation was not told")
				}
			})
		})
	}
}

func TestLostAsksAboutEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		secret, id := b.create(nil)
		quiet, _ := b.create(nil)
		held, other := b.hold(t, secret), b.hold(t, quiet)
		b.store.edit(id, func(r *apikey.Record) { r.RevokedAt = time.Now() }) // and nobody says so
		b.Lost()
		synctest.Wait()
		if !isEnded(held) || isEnded(other) {
			t.Errorf("revoked ended: %v, untouched ended: %v", isEnded(held), isEnded(other))
		}
		if b.lookup(t, quiet) != other {
			t.Error("there are two of one key")
		}
	})
}

func TestBelievedOnlyWhileTheStoreIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		secret, _ := b.create(nil)
		stop := b.follow(t)
		b.lookup(t, secret)
		b.store.setDown(true)
		time.Sleep(10 * time.Minute)
		b.lookup(t, secret) // followed all the time
		stop()
		time.Sleep(59 * time.Second)
		b.lookup(t, secret)
		time.Sleep(3 * time.Second)
		_, err := b.Lookup(t.Context(), secret)
		wantErr(t, err, apikey.ErrUnavailable)
		b.store.setDown(false)
		b.lookup(t, secret)
		before := b.store.called("ByHash")
		b.lookup(t, secret) // confirmed a moment ago
		if b.store.called("ByHash") != before {
			t.Error("a key that was just confirmed is asked about again")
		}
	})
}

func TestChangeDuringAnOutageIsHeardAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.run(t)
		secret, id := b.create(nil)
		quiet, quietID := b.create(nil)
		k, stays := b.hold(t, secret), b.hold(t, quiet)
		b.store.edit(id, func(r *apikey.Record) { r.RevokedAt = time.Now() })
		b.store.setDown(true)
		b.Changed(id)
		b.Changed(quietID)
		after(20 * time.Second)
		if isEnded(k) || isEnded(stays) {
			t.Error("keys were ended while nothing was known")
		}
		if n := b.store.called("ByHash"); n > 20 {
			t.Errorf("the store was asked %d times in 20 s of outage", n)
		}
		b.store.setDown(false)
		after(16 * time.Second)
		if !isEnded(k) || isEnded(stays) {
			t.Errorf("revoked ended: %v, untouched ended: %v", isEnded(k), isEnded(stays))
		}
	})
}

func TestChangeThatNobodyExplainsEndsTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.run(t)
		secret, id := b.create(nil)
		k := b.hold(t, secret)
		b.store.before = func(ctx context.Context, method string) error { // hangs
			if method == "ByHash" {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		b.Changed(id)
		after(55 * time.Second)
		if isEnded(k) {
			t.Error("the key was ended before StaleAfter")
		}
		after(15 * time.Second)
		if !isEnded(k) {
			t.Error("the key goes on although nobody knows what it is")
		}
		b.store.before = nil
		if again := b.lookup(t, secret); again == k || isEnded(again) {
			t.Error("the key does not come back with the store")
		}
	})
}

func TestHeldKeysEndWhenTheyExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.run(t)
		b.follow(t)
		in := func(d time.Duration) func(*apikey.Record) {
			return func(r *apikey.Record) { r.ExpiresAt = time.Now().Add(d) }
		}
		var held []*apikey.Key
		var ids []string
		var secrets []string
		for _, d := range []time.Duration{time.Hour, time.Minute, time.Minute, 30 * time.Minute} {
			secret, id := b.create(in(d))
			held, ids, secrets = append(held, b.hold(t, secret)), append(ids, id), append(secrets, secret)
		}
		b.store.edit(ids[2], in(2*time.Hour)) // later than it was
		b.Changed(ids[2])
		b.store.edit(ids[3], func(r *apikey.Record) { r.DeprecatedAt, r.ExpiresAt = time.Now(), time.Now().Add(10*time.Minute) })
		b.Changed(ids[3])
		want := func(ended ...bool) {
			t.Helper()
			for i, k := range held {
				if isEnded(k) != ended[i] {
					t.Errorf("after %v key %d has ended: %v", time.Since(k.Record().CreatedAt), i, isEnded(k))
				}
			}
		}
		after(59 * time.Second)
		want(false, false, false, false)
		after(2 * time.Second)
		want(false, true, false, false)
		after(9 * time.Minute)
		want(false, true, false, true)
		after(55 * time.Minute)
		want(true, true, false, true)
		before := b.store.called("ByHash")
		if k := b.lookup(t, secrets[1]); k.Status(time.Now()) != apikey.Expired || b.store.called("ByHash") != before {
			t.Error("an expired key is not remembered as such")
		}
		b.store.edit(ids[1], in(time.Hour))
		b.Changed(ids[1])
		if k := b.lookup(t, secrets[1]); isEnded(k) || k.Status(time.Now()) != apikey.Active {
			t.Error("a key whose expiry was moved on is dead")
		}
	})
}

func TestLookupsAfterTheEndStillWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		stop := b.run(t)
		secret, id := b.create(nil)
		k := b.hold(t, secret)
		must(t, stop())
		b.Changed(id)
		if b.lookup(t, secret) != k {
			t.Error("the key is not found after Run")
		}
	})
}
