package oidc_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"
)

// exchange hands a callback whose code nobody gave out to the token endpoint.
func (p pair) exchange(ctx context.Context, code string) error {
	_, err := p.rp.Exchange(ctx, oidc.Callback{Code: code, Issuer: p.idp.URL, Nonce: "n", Verifier: oauth2.GenerateVerifier(), RedirectURL: callbackURL})
	return err
}

// silence has five requests in a row go without an answer.
func (p pair) silence(t *testing.T) {
	t.Helper()
	p.idp.Break("/token", oidctest.Cut)
	before := p.idp.Count("/token")
	for range 5 {
		wantError(t, p.exchange(t.Context(), "x"), oidc.Unreachable, "token endpoint")
	}
	if n := p.idp.Count("/token") - before; n != 5 {
		t.Fatalf("%d of 5 requests were made", n)
	}
}

func TestTokenEndpointThatIsSilentIsNotHammered(t *testing.T) {
	p := start(t, nil)
	login := p.mustSignIn(t, "alice")
	p.silence(t)
	before := p.idp.Count("/token")
	for _, seconds := range []int{1, 2, 4, 8, 10, 10} {
		pause := time.Duration(seconds) * time.Second
		for range 3 {
			wantError(t, p.exchange(t.Context(), "x"), oidc.Unreachable, "token endpoint", "asked again in "+pause.String())
			_, err := p.refresh(t, login)
			wantError(t, err, oidc.Unreachable, "asked again in")
		}
		if n := p.idp.Count("/token"); n != before {
			t.Fatalf("%d requests during a pause of %s", n-before, pause)
		}
		p.clk.pass(pause)
		wantError(t, p.exchange(t.Context(), "x"), oidc.Unreachable, "token endpoint")
		before++
	}
	p.idp.Mend("/token")
	p.clk.pass(10 * time.Second)
	if _, err := p.refresh(t, login); err != nil { // nothing was sent during the pauses: it is not spent
		t.Error(err)
	}
	p.mustSignIn(t, "bob")
}

func TestOneCallerAloneProbesASilentTokenEndpoint(t *testing.T) {
	p := start(t, nil)
	p.silence(t)
	before := p.idp.Count("/token")
	release := make(chan struct{})
	p.idp.Break("/token", func(w http.ResponseWriter, r *http.Request) {
		<-release
		p.idp.Serve(w, r)
	})
	p.clk.pass(time.Second)
	var wg sync.WaitGroup
	wg.Go(func() {
		wantError(t, p.exchange(t.Context(), "probe"), oidc.Stale, "invalid_grant")
	})
	eventually(t, "the probe", func() bool { return p.idp.Count("/token") == before+1 })
	for range 20 {
		wantError(t, p.exchange(t.Context(), "x"), oidc.Unreachable, "token endpoint")
	}
	close(release)
	wg.Wait()
	if n := p.idp.Count("/token") - before; n != 1 {
		t.Errorf("%d probes, want 1", n)
	}
	p.mustSignIn(t, "alice") // a refusal is an answer
}

func TestProbeWhoseCallerLeavesHandsOver(t *testing.T) {
	p := start(t, nil)
	p.silence(t)
	p.clk.pass(time.Second)
	p.idp.Break("/token", p.idp.Hang)
	before := p.idp.Count("/token")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { wantError(t, p.exchange(ctx, "x"), oidc.Unreachable) })
	eventually(t, "the probe", func() bool { return p.idp.Count("/token") > before })
	cancel()
	wg.Wait()
	p.idp.Mend("/token")
	p.mustSignIn(t, "alice")
}

func TestAnswersAndCallersThatLeaveBeginNoPause(t *testing.T) {
	p := start(t, nil)
	must(t, authURL(t.Context(), p.rp))
	for name, fault := range map[string]http.HandlerFunc{
		"a refusal": p.idp.Serve, "500": oidctest.Status(500), "429": oidctest.Status(429), "a redirect": oidctest.Redirect("/x"), "huge": oidctest.Huge,
		"a page": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
	} {
		p.idp.Break("/token", fault)
		before := p.idp.Count("/token")
		for range 12 {
			if err := p.exchange(t.Context(), "x"); err == nil {
				t.Fatalf("%s: it signs in", name)
			}
		}
		if n := p.idp.Count("/token") - before; n != 12 {
			t.Errorf("%s: %d requests, want 12", name, n)
		}
	}
	for range 12 {
		ctx, cancel := context.WithCancel(t.Context())
		p.idp.Break("/token", func(w http.ResponseWriter, r *http.Request) {
			cancel()
			p.idp.Hang(w, r)
		})
		wantError(t, p.exchange(ctx, "x"), oidc.Unreachable)
	}
	p.idp.Mend("/token")
	p.mustSignIn(t, "alice")
	for range 3 { // four in a row are not five
		p.idp.Break("/token", oidctest.Cut)
		for range 4 {
			wantError(t, p.exchange(t.Context(), "x"), oidc.Unreachable)
		}
		p.idp.Mend("/token")
		p.mustSignIn(t, "alice")
	}
}

func TestAnswerThatNeverEndsCountsAsSilence(t *testing.T) {
	p := start(t, func(c *oidc.Config) { c.Timeout = 50 * time.Millisecond })
	p.idp.Break("/token", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		p.idp.Hang(w, r)
	})
	for range 5 {
		wantError(t, p.exchange(t.Context(), "x"), oidc.Unreachable)
	}
	wantError(t, p.exchange(t.Context(), "x"), oidc.Unreachable, "asked again in 1s")
	if n := p.idp.Count("/token"); n != 5 {
		t.Errorf("%d requests, want 5", n)
	}
}

func TestProviderThatHangsCostsNoMoreThanItsConnections(t *testing.T) {
	p := start(t, nil)
	must(t, authURL(t.Context(), p.rp))
	var mu sync.Mutex
	now, most := 0, 0
	release := make(chan struct{})
	p.idp.Break("/token", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		<-release
		mu.Lock()
		now--
		mu.Unlock()
		p.idp.Serve(w, r)
	})
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { wantError(t, p.exchange(t.Context(), "x"), oidc.Stale) })
	}
	eventually(t, "64 requests", func() bool { return p.idp.Count("/token") >= 64 })
	close(release)
	wg.Wait()
	if most != 64 {
		t.Errorf("%d connections at a time, want 64", most)
	}
}
