package oidc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"
)

const discovery = "/.well-known/openid-configuration"

func authURL(ctx context.Context, rp *oidc.Provider) error {
	_, err := rp.AuthURL(ctx, request())
	return err
}

func TestNewFetchesNothing(t *testing.T) {
	p := start(t, nil)
	if err := p.rp.Status(); err != nil {
		t.Errorf("status before any use: %v", err)
	}
	if n := p.idp.Count(discovery); n != 0 {
		t.Errorf("%d requests before any use", n)
	}
	must(t, authURL(t.Context(), p.rp))
	must(t, authURL(t.Context(), p.rp))
	if n := p.idp.Count(discovery); n != 1 {
		t.Errorf("%d discoveries, want 1", n)
	}
}

func TestProviderThatIsDownIsNotHammered(t *testing.T) {
	p := start(t, nil)
	p.idp.Break("*", oidctest.Cut)
	pause := time.Second
	for want := 1; want <= 9; want++ { // pauses of 1, 2, 4 … 60, 60 s
		wantError(t, authURL(t.Context(), p.rp), oidc.Unreachable, "discovery")
		for range 3 {
			wantError(t, authURL(t.Context(), p.rp), oidc.Unreachable, "asked again in "+pause.String())
		}
		if err := p.rp.Status(); err == nil {
			t.Error("the status is good")
		}
		if n := p.idp.Count(discovery); n != want {
			t.Fatalf("%d requests, want %d", n, want)
		}
		p.clk.pass(pause)
		pause = min(2*pause, time.Minute)
	}
	p.idp.Mend("*")
	p.mustSignIn(t, "alice")
	if err := p.rp.Status(); err != nil {
		t.Errorf("status after recovery: %v", err)
	}
	p.clk.pass(time.Hour) // the next failure is a first one
	p.idp.Break(discovery, oidctest.Status(http.StatusServiceUnavailable))
	before := p.idp.Count(discovery)
	must(t, authURL(t.Context(), p.rp))
	eventually(t, "a failure", func() bool { return p.rp.Status() != nil })
	p.clk.pass(time.Second)
	must(t, authURL(t.Context(), p.rp))
	eventually(t, "another try after a second", func() bool { return p.idp.Count(discovery) == before+2 })
}

func TestManyWaitForOneDiscovery(t *testing.T) {
	p := start(t, nil)
	release := make(chan struct{})
	p.idp.Break(discovery, func(w http.ResponseWriter, r *http.Request) {
		<-release
		w.WriteHeader(http.StatusBadGateway)
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := authURL(t.Context(), p.rp); err == nil {
				t.Error("no error")
			}
		})
	}
	eventually(t, "a request", func() bool { return p.idp.Count(discovery) > 0 })
	close(release)
	wg.Wait()
	if n := p.idp.Count(discovery); n != 1 {
		t.Errorf("%d requests for 50 callers", n)
	}
}

func TestSlowProviderHoldsNobodyLongerThanTheyWait(t *testing.T) {
	p := start(t, func(c *oidc.Config) { c.Timeout = 100 * time.Millisecond })
	p.idp.Break(discovery, p.idp.Hang)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := authURL(ctx, p.rp)
	wantError(t, err, oidc.Unreachable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	wantError(t, authURL(t.Context(), p.rp), oidc.Unreachable) // the time limit of a request
}

func TestMetadataAreRenewedInTheBackgroundAndKeptWhenThatFails(t *testing.T) {
	p := start(t, nil)
	must(t, authURL(t.Context(), p.rp))
	p.clk.pass(2 * time.Hour)
	p.idp.Break(discovery, oidctest.Status(503))
	must(t, authURL(t.Context(), p.rp))
	eventually(t, "a bad status", func() bool { return p.rp.Status() != nil })
	must(t, authURL(t.Context(), p.rp))
	if n := p.idp.Count(discovery); n != 2 {
		t.Errorf("%d requests, want 2: one, and one that failed", n)
	}
	p.idp.Mend(discovery)
	p.idp.AlterMetadata(func(m oidctest.Claims) { m["authorization_endpoint"] = p.idp.URL + "/moved" })
	p.clk.pass(time.Second)
	eventually(t, "the new address", func() bool {
		address, err := p.rp.AuthURL(t.Context(), request())
		return err == nil && strings.HasPrefix(address, p.idp.URL+"/moved?")
	})
	if err := p.rp.Status(); err != nil {
		t.Error(err)
	}
}

func TestWrongIssuerNamesTheRightOne(t *testing.T) {
	p := start(t, func(c *oidc.Config) { c.Issuer += "/" })
	wantError(t, authURL(t.Context(), p.rp), oidc.Misconfigured, `calls itself "`+p.idp.URL+`"`, "-oidc-provider-url")

	p = start(t, nil)
	p.idp.AlterMetadata(func(m oidctest.Claims) { m["issuer"] = "https://login.example/{tenantid}/v2.0" })
	wantError(t, authURL(t.Context(), p.rp), oidc.Misconfigured, "tenant", "your own")
}

func TestBadMetadataAreRefused(t *testing.T) {
	for name, change := range map[string]func(oidctest.Claims){
		"no token endpoint":         func(m oidctest.Claims) { delete(m, "token_endpoint") },
		"no authorization endpoint": func(m oidctest.Claims) { delete(m, "authorization_endpoint") },
		"no keys":                   func(m oidctest.Claims) { delete(m, "jwks_uri") },
		"plain http elsewhere":      func(m oidctest.Claims) { m["token_endpoint"] = "http://id.example.com/token" },
		"a script":                  func(m oidctest.Claims) { m["end_session_endpoint"] = "javascript:alert(1)" },
		"a relative address":        func(m oidctest.Claims) { m["userinfo_endpoint"] = "/userinfo" },
		"HMAC alone":                func(m oidctest.Claims) { m["id_token_signing_alg_values_supported"] = []string{"HS256", "none"} },
		"numbers":                   func(m oidctest.Claims) { m["token_endpoint"] = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, nil)
			p.idp.AlterMetadata(change)
			wantError(t, authURL(t.Context(), p.rp), oidc.Misconfigured)
		})
	}
}

func TestDiscoveryFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault    http.HandlerFunc
		kind     oidc.Kind
		contains string
	}{
		"404":      {oidctest.Status(404), oidc.Misconfigured, "-oidc-provider-url"},
		"500":      {oidctest.Status(500), oidc.Unreachable, "500"},
		"huge":     {oidctest.Huge, oidc.Misconfigured, "larger than"},
		"redirect": {oidctest.Redirect("https://elsewhere.example/"), oidc.Misconfigured, "elsewhere.example"},
		"a page":   {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }, oidc.Misconfigured, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, nil)
			p.idp.Break(discovery, test.fault)
			wantError(t, authURL(t.Context(), p.rp), test.kind, test.contains)
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	p := start(t, nil)
	p.idp.Break(discovery, oidctest.Redirect(p.idp.URL+"/elsewhere"))
	wantError(t, authURL(t.Context(), p.rp), oidc.Misconfigured, "redirect")
	if p.idp.Count("/elsewhere") != 0 {
		t.Error("the redirect was followed")
	}
}

func TestSkippedCertificateChecksAreThisProvidersAlone(t *testing.T) {
	clk := newClock()
	idp := oidctest.New(t, oidctest.Config{Clients: []oidctest.Client{client()}, Users: users(), Now: clk.Now, TLS: true})
	must(t, authURL(t.Context(), relyingParty(t, idp.URL, clk, func(c *oidc.Config) { c.InsecureSkipVerify = true })))
	wantError(t, authURL(t.Context(), relyingParty(t, idp.URL, clk, nil)), oidc.Unreachable, "certificate", "-no-tls-verify")
	if transport, ok := http.DefaultTransport.(*http.Transport); ok && transport.TLSClientConfig != nil && transport.TLSClientConfig.InsecureSkipVerify {
		t.Error("the default transport checks nothing any more")
	}
}

func TestPlainEndpointsOfAnHTTPSIssuerAreRefused(t *testing.T) {
	clk := newClock()
	idp := oidctest.New(t, oidctest.Config{Now: clk.Now, TLS: true})
	idp.AlterMetadata(func(m oidctest.Claims) { m["userinfo_endpoint"] = "http://127.0.0.1:1/userinfo" })
	rp := relyingParty(t, idp.URL, clk, func(c *oidc.Config) { c.InsecureSkipVerify = true })
	wantError(t, authURL(t.Context(), rp), oidc.Misconfigured, "userinfo_endpoint", "https")
}

func TestCloseEndsWhatRuns(t *testing.T) {
	p := start(t, nil)
	p.idp.Break(discovery, p.idp.Hang)
	failed := make(chan error)
	go func() { failed <- authURL(context.Background(), p.rp) }()
	eventually(t, "a request", func() bool { return p.idp.Count(discovery) > 0 })
	p.rp.Close()
	wantError(t, <-failed, oidc.Unreachable)
	p.clk.pass(time.Minute)
	wantError(t, authURL(t.Context(), p.rp), oidc.Unreachable)
}
