package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

const (
	lockWait  = 30 * time.Second     // how long WithLock waits for another holder
	lockRetry = 2 * time.Millisecond // how often it looks
)

// ErrLocked is returned by WithLock when another process held the lock all the
// time. Nothing was done; the caller may try again.
var ErrLocked = errors.New("another process holds the lock")

// WithLock runs fn while it alone, among all processes and goroutines that use
// WithLock, holds the lock of the file at path. All ways through symlinks to
// one file share one lock. The lock is a side file, ".lock" added to the name,
// mode 0600; it is empty and stays, because removing it would let two holders in.
// The lock ends with the process, however it ends. It gives up with ErrLocked
// after half a minute.
func WithLock(path string, fn func() error) error {
	return withLock(path, lockWait, fn)
}

func withLock(path string, wait time.Duration, fn func() error) (err error) {
	target, err := Resolve(path)
	if err != nil {
		return err
	}
	name := target + ".lock"
	lock := flock.New(name, flock.SetPermissions(0o600), flock.SetFlag(os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW))
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	_, err = lock.TryLockContext(ctx, lockRetry)
	if errors.Is(err, context.DeadlineExceeded) {
		lock.Close()
		return fmt.Errorf("%s: %w for %v", name, ErrLocked, wait)
	}
	if err != nil {
		return fmt.Errorf("take the lock: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return fn()
}
