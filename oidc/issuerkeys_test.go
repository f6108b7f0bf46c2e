package oidc_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"
)

func TestIssuerKeyRotationNeedsNoRestart(t *testing.T) {
	s := startIssuer(t, nil)
	_, err := s.verify(t, s.token(nil))
	must(t, err)
	for range 3 {
		s.clk.pass(11 * time.Second)
		s.idp.RotateKeys()
		_, err = s.verify(t, s.token(nil))
		must(t, err)
	}
	if n := s.idp.Count("/jwks"); n != 4 {
		t.Errorf("keys were fetched %d times, want once and after each rotation", n)
	}
}

func TestIssuerForgedKeyIDsDoNotHammerIt(t *testing.T) {
	s := startIssuer(t, nil)
	_, err := s.verify(t, s.token(nil))
	must(t, err)
	s.idp.AlterHeader(func(h oidctest.Claims) { h["kid"] = "made-up" })
	var wg sync.WaitGroup
	for range 100 {
		raw := s.token(nil)
		wg.Go(func() {
			_, err := s.is.Verify(t.Context(), raw)
			wantIs(t, "a key nobody has", err, oidc.ErrIssuerToken)
		})
	}
	wg.Wait()
	if n := s.idp.Count("/jwks"); n != 1 {
		t.Errorf("keys were fetched %d times right after they were fetched", n)
	}
	s.clk.pass(11 * time.Second)
	for range 100 {
		_, err := s.verify(t, s.token(nil))
		wantIs(t, "a key nobody has", err, oidc.ErrIssuerToken)
	}
	if n := s.idp.Count("/jwks"); n != 2 {
		t.Errorf("keys were fetched %d times, want once more after a while", n)
	}
}

func TestIssuerThatIsDownIsNoRefusal(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"503": oidctest.Status(503), "404": oidctest.Status(404), "redirect": oidctest.Redirect("https://example.com/"),
		"cut": oidctest.Cut, "huge": oidctest.Huge, "empty": oidctest.Status(200),
	} {
		for _, path := range []string{"/jwks", "/.well-known/openid-configuration"} {
			var log strings.Builder
			s := startIssuer(t, func(c *oidc.IssuerConfig) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			s.idp.Break(path, fault)
			raw := s.token(nil)
			for range 20 {
				_, err := s.verify(t, raw)
				wantIs(t, name, err, oidc.ErrIssuerUnavailable)
				if strings.Contains(err.Error(), "-oidc-") {
					t.Errorf("%s: advice about another setting: %v", name, err)
				}
			}
			if n := s.idp.Count(path); n > 2 || s.is.Status() == nil {
				t.Errorf("%s %s: %d requests at once, status %v", name, path, n, s.is.Status())
			}
			s.idp.Mend(path)
			s.clk.pass(10 * time.Second)
			_, err := s.verify(t, raw)
			wantIs(t, name+" is over", err, nil)
			s.is.Close() // nobody writes the log any more
			if path == "/jwks" && !strings.Contains(log.String(), "cannot be fetched") {
				t.Errorf("%s: nothing in the log: %s", name, log.String())
			}
		}
	}
}

func TestIssuerThatGoesDownIsStillKnown(t *testing.T) {
	s := startIssuer(t, nil)
	_, err := s.verify(t, s.token(nil))
	must(t, err)
	s.idp.Break("*", oidctest.Cut)
	s.clk.pass(2 * time.Hour)
	_, err = s.verify(t, s.token(nil))
	wantIs(t, "keys of before", err, nil)
	s.clk.pass(time.Hour)
	s.idp.RotateKeys()
	_, err = s.verify(t, s.token(nil))
	wantIs(t, "a key that cannot be fetched", err, oidc.ErrIssuerUnavailable)
}

func TestIssuerWaitsNoLongerThanItsCaller(t *testing.T) {
	s := startIssuer(t, nil)
	s.idp.Break("/jwks", s.idp.Hang)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	raw := s.token(nil)
	go func() {
		_, err := s.is.Verify(ctx, raw)
		done <- err
	}()
	eventually(t, "the keys are asked for", func() bool { return s.idp.Count("/jwks") == 1 })
	cancel()
	wantIs(t, "given up", <-done, oidc.ErrIssuerUnavailable)
	s.is.Close()
	_, err := s.verify(t, raw)
	wantIs(t, "closed", err, oidc.ErrIssuerUnavailable)
}

func TestIssuerThatCallsItselfOtherwiseIsNotBelieved(t *testing.T) {
	s := startIssuer(t, nil)
	for what, change := range map[string]func(oidctest.Claims){
		"another name": func(m oidctest.Claims) { m["issuer"] = "https://evil.example" },
		"no keys":      func(m oidctest.Claims) { delete(m, "jwks_uri") },
		"plain http":   func(m oidctest.Claims) { m["jwks_uri"] = "http://keys.example.com/" },
	} {
		s.idp.AlterMetadata(change)
		_, err := s.verify(t, s.token(nil))
		wantIs(t, what, err, oidc.ErrIssuerUnavailable)
		s.clk.pass(time.Minute)
	}
}

func TestIssuerKeysMayBeNamed(t *testing.T) {
	clk := newClock()
	idp := oidctest.New(t, oidctest.Config{Clients: []oidctest.Client{client()}, Now: clk.Now})
	s := trust{idp, issuer(t, idp.URL, clk, func(c *oidc.IssuerConfig) { c.JWKSURL = idp.URL + "/jwks" }), clk}
	idp.Break("/.well-known/openid-configuration", oidctest.Status(404))
	_, err := s.verify(t, s.token(nil))
	must(t, err)
	if n := idp.Count("/.well-known/openid-configuration"); n != 0 {
		t.Errorf("%d requests for discovery", n)
	}
}

// TestIssuerRemembersNoTokenLongerThanItLives looks at the tokens that are
// remembered: the same token again must cost no key, and be refused in time.
func TestIssuerRemembersNoTokenLongerThanItLives(t *testing.T) {
	s := startIssuer(t, nil)
	raw := s.token(oidctest.Claims{"exp": s.clk.Now().Add(90 * time.Second).Unix()})
	long := s.token(oidctest.Claims{"exp": s.clk.Now().Add(24 * time.Hour).Unix()})
	for _, token := range []string{raw, long} {
		_, err := s.verify(t, token)
		must(t, err)
	}
	s.clk.pass(89 * time.Second)
	s.idp.RotateKeys()
	for _, token := range []string{raw, long} {
		_, err := s.verify(t, token)
		wantIs(t, "remembered", err, nil)
	}
	if n := s.idp.Count("/jwks"); n != 1 {
		t.Errorf("keys were fetched %d times", n)
	}
	s.clk.pass(time.Second)
	if _, err := s.verify(t, raw); err == nil {
		t.Error("an expired token was taken")
	}
	s.clk.pass(time.Minute)
	_, err := s.verify(t, s.token(nil)) // has the new keys fetched
	must(t, err)
	_, err = s.verify(t, long)
	wantIs(t, "signed by a key that is gone", err, oidc.ErrIssuerToken)
}
