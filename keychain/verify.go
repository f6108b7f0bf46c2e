package keychain

import (
	"context"
	"errors"

	"golang.org/x/crypto/bcrypt"
)

// Errors of Verify. ErrRefused is the one answer to every wrong pair; callers
// must not add to it what they may know of the reason.
var (
	ErrRefused = errors.New("the key ID or its secret is wrong")
	ErrBusy    = errors.New("too many key checks are waiting")
)

// Verify returns the key whose ID and secret these are.
//
// A pair that was right before costs a microsecond and waits for nobody. Every
// other one costs a bcrypt comparison, also when the ID is unknown, on one of
// the few workers. admit, unless it is nil, is called right before each
// comparison, while the worker is held; when it returns an error, that error is
// returned and nothing is compared. Callers that ask about the same pair at the
// same time share one comparison and the admit of one of them.
//
// Other errors: ErrRefused for a wrong pair; ErrBusy when the queue is full;
// ctx's error when it ends before the comparison begins. A comparison that has
// begun is always waited for, so that its outcome can be counted.
func (c *Keychain) Verify(ctx context.Context, id, secret string, admit func() error) (*Key, error) {
	if secret == "" || len(secret) > maxSecret || secretProblem(secret) != "" {
		return nil, ErrRefused // before any ID is looked at: alike for all of them
	}
	t := c.table.Load()
	e, hash := t.find(id)
	pair := c.tags.of(hash, id, secret)
	if e.remembers(&pair) {
		return e.key, nil
	}
	return c.verifySlowly(ctx, e, hash, id, secret, pair, admit)
}

func (c *Keychain) verifySlowly(ctx context.Context, e *entry, hash, id, secret string, pair tag, admit func() error) (*Key, error) {
	ok, err := c.checks.check(ctx, pair, hash, secret, admit, e)
	if err != nil {
		return nil, err
	}
	if !ok || e == nil {
		return nil, ErrRefused
	}
	if c.table.Load().entries[id] != e {
		return c.Verify(ctx, id, secret, admit) // the file changed meanwhile; ask what it says now
	}
	return e.key, nil
}

func compareBcrypt(hash, secret string) bool {
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(secret)) == nil
}
