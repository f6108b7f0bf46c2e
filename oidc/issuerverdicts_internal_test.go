package oidc

import (
	"fmt"
	"testing"
	"time"
)

func TestVerdictsAreBounded(t *testing.T) {
	const most = 100
	v, now := newVerdicts(most), time.Now()
	add := func(n int, life time.Duration) [32]byte {
		name := verdictOf(fmt.Sprint(n))
		v.add(name, IssuerClaims{Subject: fmt.Sprint(n), Expiry: now.Add(life)}, now)
		return name
	}
	for n := range 10 * most {
		name := add(n, time.Hour)
		if c, ok := v.find(name, now); !ok || c.Subject != fmt.Sprint(n) {
			t.Fatalf("token %d was forgotten at once", n)
		}
		if len(v.known) > most {
			t.Fatalf("%d tokens are remembered, over %d", len(v.known), most)
		}
	}
	if len(v.known) < most/2 {
		t.Errorf("only %d tokens are remembered", len(v.known))
	}
	// What has expired goes first, and what has not stays.
	v = newVerdicts(most)
	lasting := add(0, time.Hour)
	for n := range most - 1 {
		add(n+1, time.Second)
	}
	now = now.Add(time.Minute)
	add(most, time.Hour)
	if _, ok := v.find(lasting, now); !ok || len(v.known) != 2 {
		t.Errorf("%d tokens are remembered, want the two that live", len(v.known))
	}
}
