package keychain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func BenchmarkVerifyRemembered(b *testing.B) {
	id, secret := randomText(idText, idLen), randomText(secretText, secretLen)
	c, _ := open(b, id, secret)
	ctx := b.Context()
	c.Verify(ctx, id, secret, nil)
	b.ReportAllocs()
	for b.Loop() {
		c.Verify(ctx, id, secret, nil)
	}
}

// BenchmarkVerifyRememberedInAFlood is the same while strangers keep every
// worker and the whole queue busy.
func BenchmarkVerifyRememberedInAFlood(b *testing.B) {
	c, err := Open(Config{ID: "id", Secret: "secret", Queue: 8})
	must(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := c.Verify(ctx, "id", fmt.Sprint(g, i), nil); errors.Is(err, ErrBusy) {
					select { // as a client that is told to come back would
					case c.checks.slots <- struct{}{}:
						<-c.checks.slots
					case <-ctx.Done():
					}
				}
			}
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Verify(ctx, "id", "secret", nil)
	}
	cancel()
	wg.Wait()
}

func BenchmarkVerifyWrong(b *testing.B) {
	path := tempPath(b)
	must(b, os.WriteFile(path, []byte("id:"+hashOf(b, "secret", bcrypt.DefaultCost)+"\n"), 0o600))
	c, err := Open(Config{Path: path})
	must(b, err)
	for b.Loop() {
		c.Verify(b.Context(), "id", "wrong", nil)
	}
}
