package provider

import (
	"context"
	"encoding/json"
	"time"
)

// JWKS returns the public keys that verify tokens, as a list of JWKs in JSON (the
// value of "keys"): the current ones, those that come next, and those that were
// used a while ago.
func (p *Provider) JWKS(ctx context.Context) ([]byte, error) {
	list, _, err := p.keys.published(ctx)
	if err != nil {
		return nil, err
	}
	public := make([]json.RawMessage, len(list))
	for i, k := range list {
		public[i] = k.public
	}
	return json.Marshal(public)
}

// The states of a key.
const (
	stateNext    = "next"
	stateCurrent = "current"
	stateRetired = "retired"
)

// A KeyInfo is a signing key as it may be shown.
type KeyInfo struct {
	ID, Algorithm              string
	State                      string // "next", "current" or "retired"
	CreatedAt, UseAt, RetireAt time.Time
}

// Keys lists the signing keys, newest first.
func (p *Provider) Keys(ctx context.Context) ([]KeyInfo, error) {
	list, set, err := p.keys.published(ctx)
	if err != nil {
		return nil, err
	}
	now := p.now()
	infos := make([]KeyInfo, len(list))
	for i, k := range list {
		infos[i] = KeyInfo{k.ID, k.Algorithm, k.state(set.current(k.Algorithm, now)), k.CreatedAt, k.UseAt, k.RetireAt}
	}
	return infos, nil
}

func (k *signer) state(current *signer) string {
	switch {
	case current != nil && k.ID == current.ID:
		return stateCurrent
	case current != nil && k.UseAt.After(current.UseAt):
		return stateNext
	}
	return stateRetired
}
