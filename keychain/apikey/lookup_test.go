package apikey_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/keychain/apikey"
)

func TestLookupFindsWhatTheStoreHas(t *testing.T) {
	b := newBench(t, nil)
	secret, id := b.create(nil)
	for range 3 {
		if k := b.lookup(t, secret); k.Record().ID != id || k.Status(time.Now()) != apikey.Active || isEnded(k) {
			t.Errorf("%v is %s, ended: %v", k, k.Status(time.Now()), isEnded(k))
		}
	}
	if n := b.store.called("ByHash"); n != 1 {
		t.Errorf("the store was asked %d times, want once", n)
	}
}

func TestLookupIsExactToTheByte(t *testing.T) {
	b := newBench(t, nil)
	secret, _ := b.create(nil)
	b.lookup(t, secret)
	for _, wrong := range []string{
		strings.ToUpper(secret), " " + secret, secret + " ", secret[:len(secret)-1], secret + "0", secret + "\x00",
		strings.Replace(secret, "live", "test", 1), "Wave" + secret[4:], "", strings.Repeat("x", 100_000),
	} {
		_, err := b.Lookup(t.Context(), wrong)
		wantErr(t, err, apikey.ErrNotFound)
	}
}

func TestRevokedAndExpiredKeysAreRememberedAsSuch(t *testing.T) {
	b := newBench(t, nil)
	now := time.Now()
	for want, change := range map[apikey.Status]func(*apikey.Record){
		apikey.Revoked:    func(r *apikey.Record) { r.RevokedAt = now.Add(-time.Hour) },
		apikey.Expired:    func(r *apikey.Record) { r.ExpiresAt = now.Add(-time.Hour) },
		apikey.Deprecated: func(r *apikey.Record) { r.DeprecatedAt, r.ExpiresAt = now.Add(-time.Hour), now.Add(time.Hour) },
	} {
		secret, _ := b.create(change)
		before := b.store.called("ByHash")
		b.lookup(t, secret)
		k := b.lookup(t, secret)
		if k.Status(now) != want || isEnded(k) != (want != apikey.Deprecated) {
			t.Errorf("the key is %s, ended: %v; want %s", k.Status(now), isEnded(k), want)
		}
		if n := b.store.called("ByHash") - before; n != 1 {
			t.Errorf("the store was asked %d times about a key that is %s, want once", n, want)
		}
	}
}

func TestOlderSecretsAndImportedHashesAreFound(t *testing.T) {
	old := newHasher(t, secretOf(1))
	b := newBench(t, func(c *apikey.Config) { c.Hasher = newHasher(t, secretOf(2), secretOf(1)) })
	older := apikey.Generate("wave", apikey.Live, false)
	imported := "sk_abc123"
	for _, secret := range []string{older, imported} {
		b.createFor(secret, func(r *apikey.Record) {
			r.Hash, r.HashBy = old.Current(secret), old.Version()
			if secret == imported {
				r.Hash, r.HashBy = sha256.Sum256([]byte(secret)), apikey.ImportedSHA256
			}
		})
		before := b.store.called("ByHash")
		k := b.lookup(t, secret)
		if b.lookup(t, secret) != k || b.store.called("ByHash") != before+1 {
			t.Errorf("the second look at a key hashed by %s went to the store", k.Record().HashBy)
		}
	}
}

func TestForeignShapesAreNotLookedUpUnlessKeysWereImported(t *testing.T) {
	b := newBench(t, nil)
	for i := range 20 {
		_, err := b.Lookup(t.Context(), fmt.Sprint("Bearer of nothing ", i))
		wantErr(t, err, apikey.ErrNotFound)
	}
	if n, m := b.store.called("ByHash"), b.store.called("HasImported"); n != 0 || m != 1 {
		t.Errorf("the store was asked %d times for keys and %d times for imports, want 0 and 1", n, m)
	}
	secret := "sk_abc123"
	_, err := b.Lookup(t.Context(), secret)
	wantErr(t, err, apikey.ErrNotFound)
	id := b.createFor(secret, func(r *apikey.Record) {
		r.Hash, r.HashBy = sha256.Sum256([]byte(secret)), apikey.ImportedSHA256
	})
	b.Changed(id)
	b.lookup(t, secret)
}

func TestImportDuringTheQuestionIsNotMissed(t *testing.T) {
	b := newBench(t, nil)
	secret := "sk_abc123"
	var once sync.Once
	b.store.before = func(_ context.Context, method string) error {
		if method != "HasImported" {
			return nil
		}
		once.Do(func() { // what was read before the import arrives after it
			b.Changed("key_other")
		})
		return nil
	}
	_, err := b.Lookup(t.Context(), secret)
	wantErr(t, err, apikey.ErrNotFound)
	b.createFor(secret, func(r *apikey.Record) {
		r.Hash, r.HashBy = sha256.Sum256([]byte(secret)), apikey.ImportedSHA256
	})
	b.lookup(t, secret)
}

func TestStrangersAreRememberedForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		stranger := apikey.Generate("wave", apikey.Live, false)
		ask := func() {
			t.Helper()
			_, err := b.Lookup(t.Context(), stranger)
			wantErr(t, err, apikey.ErrNotFound)
		}
		for range 10 {
			ask()
		}
		if n := b.store.called("ByHash"); n != 1 {
			t.Errorf("the store was asked %d times, want once", n)
		}
		time.Sleep(6 * time.Second)
		ask()
		if n := b.store.called("ByHash"); n != 2 {
			t.Errorf("the store was asked %d times in all, want twice", n)
		}
		b.createFor(stranger, nil)
		b.Changed("key_any")
		b.lookup(t, stranger)
	})
}

// TestUnknownThatArrivesAfterAChangeIsNotKept has a key appear between the read
// that did not find it and the moment when that would be remembered.
func TestUnknownThatArrivesAfterAChangeIsNotKept(t *testing.T) {
	b := newBench(t, nil)
	secret := apikey.Generate("wave", apikey.Live, false)
	var once sync.Once
	b.store.read = func() {
		once.Do(func() { b.Changed(b.createFor(secret, nil)) })
	}
	_, err := b.Lookup(t.Context(), secret)
	wantErr(t, err, apikey.ErrNotFound)
	b.lookup(t, secret)
}

func TestStoreThatFailsIsUnavailable(t *testing.T) {
	b := newBench(t, nil)
	b.store.setDown(true)
	for _, secret := range []string{apikey.Generate("wave", apikey.Live, false), "sk_abc"} {
		_, err := b.Lookup(t.Context(), secret)
		wantErr(t, err, apikey.ErrUnavailable)
		wantErr(t, err, errDown)
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
}

func TestStoreThatPanicsIsUnavailable(t *testing.T) {
	var log strings.Builder
	b := newBench(t, func(c *apikey.Config) { c.Log = logTo(&log) })
	secret, _ := b.create(nil)
	b.store.before = func(context.Context, string) error { panic("with " + secret) }
	_, err := b.Lookup(t.Context(), secret)
	wantErr(t, err, apikey.ErrUnavailable)
	if strings.Contains(log.String(), secret) || !strings.Contains(log.String(), "panic") {
		t.Errorf("the log is %q, want a panic without the secret", log.String())
	}
}

func TestOneLookupForAllWhoAsk(t *testing.T) {
	b := newBench(t, nil)
	for round := range 100 {
		secret, _ := b.create(nil)
		keys := make([]*apikey.Key, 50)
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() { keys[i], _ = b.Lookup(context.Background(), secret) })
		}
		wg.Wait()
		for _, k := range keys {
			if k == nil || k != keys[0] {
				t.Fatal("not everybody got the same key")
			}
		}
		if n := b.store.called("ByHash"); n != round+1 {
			t.Fatalf("the store was asked %d times for %d keys", n, round+1)
		}
	}
}

// TestKeyThatArrivedMeanwhileIsNotReadAgain has one caller find a key at the very
// moment when another, who did not see it in memory, is about to ask the store.
func TestKeyThatArrivedMeanwhileIsNotReadAgain(t *testing.T) {
	looks := 0
	var meanwhile func()
	b := newBench(t, func(c *apikey.Config) {
		c.Now = func() time.Time {
			if looks++; looks == 2 {
				meanwhile()
			}
			return time.Now()
		}
	})
	secret, _ := b.create(nil)
	var first *apikey.Key
	meanwhile = func() { first = b.lookup(t, secret) }
	looks = 0
	if k := b.lookup(t, secret); first == nil || k != first || b.store.called("ByHash") != 1 {
		t.Errorf("the store was asked %d times, and the keys are the same: %v", b.store.called("ByHash"), k == first)
	}
}

func TestStrangersWaitForTheirTurnAndOthersDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		secret, id := b.create(nil)
		b.lookup(t, secret)
		release := make(chan struct{})
		stranger := apikey.Generate("wave", apikey.Live, false)
		b.store.before = func(context.Context, string) error {
			<-release
			return nil
		}
		errs := make(chan error, 30)
		for range 30 {
			go func() {
				_, err := b.Lookup(context.Background(), apikey.Generate("wave", apikey.Live, false))
				errs <- err
			}()
		}
		synctest.Wait()
		if n := b.store.called("ByHash"); n != 1+8 {
			t.Errorf("%d strangers are looked up at once, want 8", n-1)
		}
		b.lookup(t, secret) // remembered: no wait
		gone, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the client went away"))
		_, err := b.Lookup(gone, stranger)
		wantErr(t, err, apikey.ErrUnavailable)
		b.Changed(id) // a known key has its own turn
		go func() {
			_, err := b.Lookup(context.Background(), secret)
			errs <- err
		}()
		synctest.Wait()
		if n := b.store.called("ByHash"); n != 1+8+1 {
			t.Errorf("the known key waits behind strangers: %d look-ups", n)
		}
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		close(release)
		busy := 0
		for range 31 {
			if err := <-errs; errors.Is(err, apikey.ErrUnavailable) {
				busy++
			}
		}
		if busy != 22 {
			t.Errorf("%d strangers were sent away after five seconds, want 22", busy)
		}
	})
}

func TestLookupOfAKnownKeyAllocatesNothing(t *testing.T) {
	b := newBench(t, nil)
	secret, _ := b.create(nil)
	b.lookup(t, secret)
	if n := leastAllocs(func() {
		k, err := b.Lookup(t.Context(), secret)
		if err != nil || k.Status(noon) != apikey.Active {
			t.Fatal(err)
		}
		k.Hold()
		k.Release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	b := newBench(t, nil)
	secret, _ := b.create(nil)
	k := b.lookup(t, secret)
	_, digits, _ := strings.Cut(secret, "_live_")
	for _, v := range []any{k, k.Record(), *k.Record()} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(format, v); strings.Contains(got, digits) {
				t.Errorf("%s of %T is %s", format, v, got)
			}
		}
	}
	if got, want := fmt.Sprint(k), "API key "+k.Record().ID; got != want {
		t.Errorf("a key prints as %q, want %q", got, want)
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := apikey.New(apikey.Config{Most: -1, StaleAfter: -1}, newFake())
	for _, want := range []string{"Hasher", "number of API keys", "StaleAfter"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one that names %s", err, want)
		}
	}
}
