package server

import (
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"wavegate/keychain"
	"wavegate/keychain/apikey"
	"wavegate/server/policy"
	"wavegate/server/store"
)

// An admission is a request with an API key or an access token that is decided about
// again and again, from the header on.
type admission struct {
	*Server
	ex  *exchange
	r   *http.Request
	st  *state
	ask policy.Ask
}

// admissionOf makes a key with scopes and a tier, and a request with it.
func admissionOf(tb testing.TB, tier string) *admission {
	tb.Helper()
	dir := tb.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	const text = `upstreams: [{route: /, url: "http://127.0.0.1:1", access: authenticated}]
scopes: {"streams:read": {endpoints: [GET /v1/streams, "GET /v1/streams/:id"]}}
tiers: {wide: {requests_per_minute: 1000000, burst_per_second: 100000, concurrent: 1000, bandwidth_per_month: 100TB}}
`
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	must(os.WriteFile(file, []byte(text), 0o600))
	s, err := New(Config{Listen: "127.0.0.1:0", DataDir: dir, PolicyFile: file, Keychain: keychain.Config{ID: "id", Secret: "secret"}}, io.Discard)
	must(err)
	tb.Cleanup(s.close)
	key := apikey.Generate("wave", apikey.Live, false)
	parts, _ := apikey.Parse(key)
	_, err = s.store.AddKey(tb.Context(), apikey.Record{
		ID: "key_1", Account: "key_1", Hash: s.hasher.Current(key), HashBy: s.hasher.Version(), Prefix: parts.Prefix, Name: "x",
		Environment: apikey.Live, Scopes: []string{"streams:read"}, Tier: tier, Owner: "key:id", CreatedAt: time.Now(), Version: 1,
	}, store.Idempotency{}, store.Journal{})
	must(err)
	return admissionFor(tb, s, "Bearer "+key)
}

// admissionFor makes a request with a credential.
func admissionFor(tb testing.TB, s *Server, authorization string) *admission {
	tb.Helper()
	const host, path = "app.example.com", "/v1/streams/str_1"
	r, err := http.NewRequest(http.MethodGet, "http://"+host+path, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Authorization", authorization)
	st := s.state.Load()
	rt, err := s.gateway.Match(st.policy, host, path)
	if err != nil {
		tb.Fatal(err)
	}
	ex := &exchange{server: s, start: time.Now(), ctx: tb.Context()}
	ex.ClientIP, ex.Host, ex.Path = netip.MustParseAddr("192.0.2.1"), host, path
	return &admission{s, ex, r, st, policy.Ask{Route: rt, Method: r.Method, Path: path}}
}

// run decides a moment later, and lets go of what that took.
func (a *admission) run(tb testing.TB) {
	a.ex.start = a.ex.start.Add(time.Millisecond)
	if err := a.admit(a.ex, a.r, a.st, a.ask, 0); err != nil {
		tb.Fatal(err)
	}
	if a.ex.accounts != nil {
		a.limits.Release(a.ex.start, a.ex.accounts)
	}
	if a.ex.key != nil {
		a.ex.key.Release()
	}
	if a.ex.token != nil {
		a.ex.token.Release()
	}
	a.ex.accounts, a.ex.key, a.ex.token, a.ex.Principal = nil, nil, nil, nil
}

func TestDecisionsAboutAPIKeysAllocateNothing(t *testing.T) {
	for _, tier := range []string{"", "unlimited", "wide"} {
		a := admissionOf(t, tier)
		a.run(t)
		least := 1.0
		for range 1000 { // a pool that is emptied meanwhile is nothing of ours
			least = min(least, testing.AllocsPerRun(1, func() { a.run(t) }))
		}
		if least != 0 {
			t.Errorf("tier %q: every decision allocates", tier)
		}
		if _, limited := map[string]bool{"wide": true}[tier]; limited != (a.ex.verdict.Limit > 0) {
			t.Errorf("tier %q: the verdict is %+v", tier, a.ex.verdict)
		}
	}
}

// fill puts n keys more into the store, and as many of them into memory as go there.
func (a *admission) fill(b *testing.B, n int) {
	b.Helper()
	const remembered, atOnce = 50_000, 10_000
	for done := 0; done < n; {
		var secrets []string
		var records []apikey.Record
		for range min(atOnce, n-done) {
			secret := apikey.Generate("wave", apikey.Live, false)
			id := apikey.NewID()
			secrets = append(secrets, secret)
			records = append(records, apikey.Record{
				ID: id, Account: id, Hash: a.hasher.Current(secret), HashBy: a.hasher.Version(), Prefix: secret[:18], Name: "x",
				Environment: apikey.Live, Scopes: []string{"streams:read"}, Owner: "key:id", CreatedAt: time.Now(), Version: 1,
			})
		}
		if _, err := a.store.ImportKeys(b.Context(), records, store.Journal{}); err != nil {
			b.Fatal(err)
		}
		for _, secret := range secrets[:max(0, min(len(secrets), remembered-done))] {
			if _, err := a.apiKeys.Lookup(b.Context(), secret); err != nil {
				b.Fatal(err)
			}
		}
		done += len(records)
	}
}

// BenchmarkAdmitKey goes from the Authorization header of an API key in use to the
// decision about a request that needs a scope, and lets go of the key.
func BenchmarkAdmitKey(b *testing.B) {
	for _, tt := range []struct {
		name, tier string
		keys       int
	}{{"1k", "", 1000}, {"1M", "", 1_000_000}, {"1k-tier", "wide", 1000}} {
		b.Run(tt.name, func(b *testing.B) {
			a := admissionOf(b, tt.tier)
			a.fill(b, tt.keys)
			a.run(b)
			b.ReportAllocs()
			for b.Loop() {
				a.run(b)
			}
		})
	}
}

// BenchmarkAdmit goes from the Authorization header of a remembered access key
// to the decision about a request that needs a scope.
func BenchmarkAdmit(b *testing.B) {
	dir := b.TempDir()
	file := filepath.Join(dir, "policy.yaml")
	const text = `upstreams: [{route: /, url: "http://127.0.0.1:1", access: authenticated}]
scopes: {"streams:read": {endpoints: [GET /v1/streams, "GET /v1/streams/:id"]}}
access_keys: {id: {scopes: ["streams:read"]}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	s, err := New(Config{
		Listen: "127.0.0.1:0", DataDir: dir, PolicyFile: file,
		Keychain: keychain.Config{ID: "id", Secret: "0123456789012345678901234567890123456789"},
	}, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	defer s.close()
	const path = "/v1/streams/str_1"
	r, err := http.NewRequest(http.MethodGet, "http://app.example.com"+path, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	r.SetBasicAuth("id", "0123456789012345678901234567890123456789")
	st := s.state.Load()
	rt, err := s.gateway.Match(s.state.Load().policy, "app.example.com", path)
	if err != nil {
		b.Fatal(err)
	}
	ex := &exchange{server: s, start: time.Now(), ctx: b.Context()}
	ex.ClientIP = netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		if err := s.admit(ex, r, st, policy.Ask{Route: rt, Method: r.Method, Path: path}, 0); err != nil {
			b.Fatal(err)
		}
	}
}
