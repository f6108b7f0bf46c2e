package session_test

import (
	"strings"
	"testing"
	"time"

	"wavegate/server/session"
)

func TestConfigListsEveryProblem(t *testing.T) {
	bad := session.Config{Lifetime: -1, Idle: -1, StaleAfter: -1, CacheBytes: -1, Keys: [][]byte{secretKey(1), []byte("short")}}
	err := bad.Validate()
	for _, want := range []string{"lifetime", "idle", "StaleAfter", "CacheBytes", "key 2 has 5 bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not speak of %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "short") {
		t.Error("a key is in the error")
	}
	if _, err := session.New(session.Config{}, newFaulty()); err == nil {
		t.Error("a Manager without a key to seal with")
	}
	m := newManager(t, newFaulty(), nil)
	if m.Lifetime() != 30*24*time.Hour {
		t.Errorf("lifetime %v", m.Lifetime())
	}
}
