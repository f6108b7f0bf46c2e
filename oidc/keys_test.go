package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"

	"github.com/go-jose/go-jose/v4"
)

func TestKeyRotationNeedsNoRestart(t *testing.T) {
	p := start(t, nil)
	p.mustSignIn(t, "alice")
	for range 3 {
		p.idp.RotateKeys()
		p.mustSignIn(t, "alice")
	}
	p.mustSignIn(t, "alice")
	if n := p.idp.Count("/jwks"); n != 4 {
		t.Errorf("keys were fetched %d times, want 4: once, and after each rotation", n)
	}
}

func TestKeysThatWereTakenBackAreForgotten(t *testing.T) {
	p := start(t, nil)
	p.mustSignIn(t, "alice")
	p.clk.pass(time.Hour)
	stolen := p.idp.LogoutToken(clientID, "alice", "", nil)
	p.idp.RotateKeys()
	eventually(t, "the old key is refused", func() bool {
		_, err := p.rp.LogoutToken(t.Context(), stolen)
		return err != nil && strings.Contains(err.Error(), "none of the provider's keys")
	})
}

func TestForgedKeyIDsDoNotHammerTheProvider(t *testing.T) {
	p := start(t, nil)
	p.mustSignIn(t, "alice")
	forge := func() {
		token := p.idp.LogoutToken(clientID, "alice", "", func(h, _ oidctest.Claims) { h["kid"] = "made-up" })
		_, err := p.rp.LogoutToken(t.Context(), token)
		wantError(t, err, oidc.Untrusted, "made-up")
	}
	for range 100 {
		forge()
	}
	if n := p.idp.Count("/jwks"); n != 1 {
		t.Errorf("keys were fetched %d times right after they were fetched", n)
	}
	p.clk.pass(11 * time.Second)
	for range 100 {
		forge()
	}
	if n := p.idp.Count("/jwks"); n != 2 {
		t.Errorf("keys were fetched %d times, want once more after a while", n)
	}
	// Whoever signs in meanwhile is not held up by that.
	p.idp.RotateKeys()
	p.mustSignIn(t, "alice")
}

func TestManyUnknownKeysAreOneFetch(t *testing.T) {
	p := start(t, nil)
	p.mustSignIn(t, "alice")
	p.idp.RotateKeys()
	p.clk.pass(time.Minute)
	var wg sync.WaitGroup
	for range 50 {
		token := p.idp.LogoutToken(clientID, "alice", "", nil)
		wg.Go(func() {
			if _, err := p.rp.LogoutToken(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := p.idp.Count("/jwks"); n != 2 {
		t.Errorf("keys were fetched %d times, want 2", n)
	}
}

func TestKeysThatCannotBeHadAreNoRefusal(t *testing.T) {
	p := start(t, nil)
	p.idp.Break("/jwks", oidctest.Status(503))
	_, err := p.signIn(t, "alice")
	wantError(t, err, oidc.Unreachable, "keys")
	p.clk.pass(time.Minute)
	p.idp.Break("/jwks", oidctest.Status(404))
	_, err = p.signIn(t, "alice")
	wantError(t, err, oidc.Misconfigured, "keys")
}

func TestWeakAndUnknownKeysArePassedOver(t *testing.T) {
	p := start(t, nil)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	set := map[string]any{"keys": []any{
		map[string]string{"kty": "future", "kid": "a"},
		map[string]string{"kty": "oct", "kid": "b", "k": "AAAA"},
		jose.JSONWebKey{Key: weak.Public(), KeyID: "weak"},
		jose.JSONWebKey{Key: good.Public(), KeyID: "encryption", Use: "enc"},
		jose.JSONWebKey{Key: good.Public(), KeyID: "other algorithm", Algorithm: "ES512"},
		jose.JSONWebKey{Key: good.Public(), KeyID: "good"},
	}}
	p.idp.Break("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(set); err != nil {
			t.Error(err)
		}
	})
	for _, test := range []struct {
		kid, alg string
		key      any
		ok       bool
	}{
		{"weak", "RS256", weak, false},
		{"encryption", "ES256", good, false},
		{"other algorithm", "ES256", good, false},
		{"good", "ES256", good, true},
	} {
		p.idp.ReplaceIDToken(func(raw string) string {
			return oidctest.SignJWT(oidctest.Claims{"alg": test.alg, "kid": test.kid}, oidctest.ReadClaims(raw), test.key)
		})
		if _, err := p.signIn(t, "alice"); (err == nil) != test.ok {
			t.Errorf("key %q: %v", test.kid, err)
		}
	}
}
