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
	"wavegate/server/policy"
)

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
