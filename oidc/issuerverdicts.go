package oidc

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	maxVerdicts = 4096            // tokens that are remembered
	verdictFor  = 2 * time.Minute // that a token is believed without another look at its signature
)

// verdicts remember which tokens were right, by their hash, until they expire or
// a while has passed. Only tokens that the issuer signed get this far, so
// strangers cannot fill it.
type verdicts struct {
	most int

	mu    sync.Mutex // guards known
	known map[[sha256.Size]byte]verdict
}

type verdict struct {
	claims IssuerClaims
	until  time.Time
}

func newVerdicts(most int) *verdicts {
	return &verdicts{most: most, known: make(map[[sha256.Size]byte]verdict)}
}

func verdictOf(raw string) [sha256.Size]byte { return sha256.Sum256([]byte(raw)) }

func (v *verdicts) find(name [sha256.Size]byte, now time.Time) (IssuerClaims, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	known, ok := v.known[name]
	return known.claims, ok && now.Before(known.until)
}

func (v *verdicts) add(name [sha256.Size]byte, c IssuerClaims, now time.Time) {
	until := now.Add(verdictFor)
	if c.Expiry.Before(until) {
		until = c.Expiry
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= v.most {
		v.shrink(now)
	}
	v.known[name] = verdict{c, until}
}

// shrink forgets what is over, and where that is nothing a part of the rest. It
// is called with v.mu held.
func (v *verdicts) shrink(now time.Time) {
	for name, known := range v.known {
		if !now.Before(known.until) {
			delete(v.known, name)
		}
	}
	for name := range v.known {
		if len(v.known) <= v.most*3/4 {
			break
		}
		delete(v.known, name) // any: it costs a look at its signature
	}
}
