package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"wavegate/server/identity"
)

// benchUpstream answers as a small API does.
func benchUpstream(b *testing.B) string {
	up := newUpstream(b, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"str_1","status":"live"}`)
	})
	return up.URL
}

// benchRequests sends requests from several connections.
func benchRequests(b *testing.B, target string) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := http.NewRequestWithContext(b.Context(), "GET", target+"/v1/streams/str_1?x=1", nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer wave_live_0123456789abcdef0123456789abcdef")
			resp, err := client.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
}

// BenchmarkProxied compares a request through the gateway, identity headers
// and assertion included, with one through a bare httputil.ReverseProxy.
func BenchmarkProxied(b *testing.B) {
	up := benchUpstream(b)
	b.Run("bare", func(b *testing.B) {
		target, err := url.Parse(up)
		if err != nil {
			b.Fatal(err)
		}
		bare := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite:   func(pr *httputil.ProxyRequest) { pr.SetURL(target) },
			Transport: &http.Transport{MaxIdleConnsPerHost: maxIdlePerHost},
		})
		defer bare.Close()
		benchRequests(b, bare.URL)
	})
	b.Run("gateway", func(b *testing.B) {
		who := &identity.Principal{Method: identity.MethodAPIKey, Subject: "u-1", KeyID: "key_1", Scopes: []string{"streams:read"}, Ended: b.Context()}
		f := newFront(b, frontConfig{
			Config: Config{Signer: newSigner(b), CookieNames: []string{"__Host-wave"}}, policy: route(up),
			who: func(*http.Request) *identity.Principal { return who },
		})
		benchRequests(b, f.URL)
	})
}

func BenchmarkCleanPath(b *testing.B) {
	for name, path := range map[string]string{"plain": "/v1/streams/str_1", "escaped": "/v1/streams/a%20b%2Fc"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				CleanPath(path)
			}
		})
	}
}
