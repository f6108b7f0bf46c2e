package provider

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"wavegate/keychain/lookup"
)

const (
	keyTries    = 8                   // to change keys where other processes do the same
	keyLifetime = 90 * 24 * time.Hour // where the rules say nothing
	rsaBits     = 2048
)

// tend makes the key of an algorithm that is due, if one is, once for all who want
// that at the same time.
func (k *keyring) tend(ctx context.Context, alg string) error {
	return k.tending[alg].do(ctx, &k.tasks, func() error {
		return lookup.Safely(k.p.log, "a signing key was made", func() error {
			return k.advance(context.Background(), []string{alg}, rotation.next)
		})
	})
}

// run makes keys at the start and when they are due, until ctx ends.
func (k *keyring) run(ctx context.Context) {
	failed := false
	check := func() {
		for _, alg := range algorithms() {
			if err := k.upkeep(ctx, alg); err != nil && ctx.Err() == nil {
				if !failed {
					k.p.log.Warn("signing keys cannot be made or replaced, it is tried again", "algorithm", alg, "error", err)
				}
				failed = true
				return
			}
		}
		failed = false
	}
	check()
	every(ctx, keyRest, check)
}

// upkeep is tend, which is spared where nothing is due.
func (k *keyring) upkeep(ctx context.Context, alg string) error {
	set, err := k.get(ctx)
	if err != nil {
		return err
	}
	if k.rules().next(set.rows(alg), k.p.now()).none() {
		return nil
	}
	return k.tend(ctx, alg)
}

// rules returns when keys replace each other.
func (k *keyring) rules() rotation {
	r := k.p.cfg.Rules()
	return rotation{lifetime: cmp.Or(r.KeyLifetime, keyLifetime), tokens: r.AccessLifetime}
}

// rotate makes new keys of every algorithm that sign at once. The store is told by ctx
// what to write down with it; its end does not stop what was begun.
func (k *keyring) rotate(ctx context.Context) error {
	return k.advance(context.WithoutCancel(ctx), algorithms(), rotation.atOnce)
}

// A plan is a rule of rotation.
type plan func(rotation, []SigningKey, time.Time) step

// advance writes what a plan says, and starts over where another process was faster.
func (k *keyring) advance(ctx context.Context, algs []string, what plan) error {
	made := map[string]SigningKey{}
	for range keyTries {
		set, err := k.read()
		if err != nil {
			return err
		}
		added, changed, err := k.planned(set, algs, what, made)
		if err != nil || len(added)+len(changed) == 0 {
			return err
		}
		if err := k.write(ctx, set, added, changed); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("the signing keys cannot be changed: %w", ErrConflict)
}

// planned returns what is to be written. Keys are taken from made, and made where
// none is there.
func (k *keyring) planned(set *keyset, algs []string, what plan, made map[string]SigningKey) (added, changed []SigningKey, err error) {
	now := k.p.now().UTC().Truncate(time.Millisecond)
	for _, alg := range algs {
		s := what(k.rules(), set.rows(alg), now)
		changed = append(changed, s.changed...)
		if !s.add {
			continue
		}
		row, ok := made[alg]
		if !ok {
			if row, err = k.generate(alg); err != nil {
				return nil, nil, err
			}
			made[alg] = row
		}
		row.CreatedAt, row.UseAt, row.RetireAt = now, s.useAt, s.retireAt
		added = append(added, row)
	}
	return added, changed, nil
}

// write writes to the store and reads what it has then.
func (k *keyring) write(ctx context.Context, set *keyset, added, changed []SigningKey) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := k.p.store.AddSigningKeys(ctx, set.ids, added, changed); err != nil {
		return fmt.Errorf("the signing keys cannot be changed: %w", err)
	}
	for _, row := range added {
		k.p.log.Info("a signing key was made", "kid", row.ID, "algorithm", row.Algorithm, "use_at", row.UseAt)
	}
	_, err := k.read()
	return err
}

// generate makes a key without times, sealed. It takes long for RSA.
func (k *keyring) generate(alg string) (row SigningKey, err error) {
	private, err := newPrivate(alg)
	if err != nil {
		return row, err
	}
	row.Algorithm = alg
	if row.ID, err = thumbprint(jose.JSONWebKey{Key: private.Public()}); err != nil {
		return row, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return row, err
	}
	defer clear(plain)
	if row.Sealed, err = k.p.cfg.Seal(row.ID, plain); err != nil {
		return row, fmt.Errorf("a signing key cannot be sealed: %w", err)
	}
	return row, nil
}

func newPrivate(alg string) (crypto.Signer, error) {
	if alg == algES256 {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, rsaBits)
}
