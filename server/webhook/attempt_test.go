package webhook_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/server/webhook"
)

func TestOnly2xxIsDelivered(t *testing.T) {
	for _, test := range []struct {
		status int
		state  webhook.State
		error  string
	}{
		{200, webhook.Delivered, ""},
		{201, webhook.Delivered, ""},
		{204, webhook.Delivered, ""},
		{299, webhook.Delivered, ""},
		{300, webhook.Pending, "the server answered 300, and redirects are not followed"},
		{304, webhook.Pending, "the server answered 304, and redirects are not followed"},
		{400, webhook.Pending, "the server answered 400"},
		{401, webhook.Pending, "the server answered 401"},
		{404, webhook.Pending, "the server answered 404"},
		{410, webhook.Dead, "the server answered 410"},
		{500, webhook.Pending, "the server answered 500"},
		{503, webhook.Pending, "the server answered 503"},
	} {
		r := attempt(t, receive(t, httptest.NewServer, status(test.status)).URL, nil)
		if r.Status != test.status || r.State != test.state || r.Error != test.error || r.NextAt.IsZero() != (test.state != webhook.Pending) {
			t.Errorf("%d: %+v", test.status, r)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := receive(t, httptest.NewServer, status(200))
	for _, code := range []int{301, 302, 303, 307, 308} {
		first := receive(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
			http.Redirect(w, r, elsewhere.URL, code)
		})
		if r := attempt(t, first.URL, nil); r.State != webhook.Pending || len(first.requests()) != 1 {
			t.Errorf("%d: %+v, %d requests", code, r, len(first.requests()))
		}
	}
	if n := len(elsewhere.requests()); n != 0 {
		t.Errorf("%d requests went where a redirect led", n)
	}
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	proxy, r := receive(t, httptest.NewServer, status(200)), receive(t, httptest.NewServer, status(200))
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	dns := &names{answers: map[string][]netip.Addr{"hook.example.": {netip.MustParseAddr("127.0.0.1")}}}
	_, port, err := net.SplitHostPort(r.Listener.Addr().String())
	must(t, err)
	got := attempt(t, "http://hook.example:"+port, func(c *webhook.Config) { c.Resolver = dns.resolver() })
	if got.State != webhook.Delivered || len(proxy.requests()) != 0 || len(r.requests()) != 1 {
		t.Errorf("%+v, %d requests through the proxy", got, len(proxy.requests()))
	}
}

// startTLS starts a server on https that takes these versions of TLS.
func startTLS(least, most uint16) func(http.Handler) *httptest.Server {
	return func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.TLS = &tls.Config{MinVersion: least, MaxVersion: most}
		s.StartTLS()
		return s
	}
}

func TestTLSIsVerified(t *testing.T) {
	good := receive(t, startTLS(tls.VersionTLS12, 0), status(200))
	old := receive(t, startTLS(tls.VersionTLS10, tls.VersionTLS11), status(200))
	plain := receive(t, httptest.NewServer, status(200))
	roots := x509.NewCertPool()
	roots.AddCert(good.Certificate())
	local := netip.MustParseAddr("127.0.0.1")
	dns := &names{answers: map[string][]netip.Addr{"example.com.": {local}, "other.example.": {local}}}
	address := func(r *receiver, name string) string {
		_, port, err := net.SplitHostPort(r.Listener.Addr().String())
		must(t, err)
		return "https://" + name + ":" + port + "/"
	}
	for _, test := range []struct {
		what, url string
		roots     *x509.CertPool
		error     string // "" is delivered
	}{
		{"its name", address(good, "example.com"), roots, ""},
		{"its address", address(good, "127.0.0.1"), roots, ""},
		{"another name", address(good, "other.example"), roots, "the certificate is for another name"},
		{"nobody's authority", address(good, "example.com"), nil, "the certificate is by an authority that is not trusted"},
		{"TLS 1.1", address(old, "example.com"), roots, "the TLS handshake failed"},
		{"no TLS", address(plain, "example.com"), roots, "the server does not speak TLS there"},
	} {
		r := attempt(t, test.url, func(c *webhook.Config) { c.RootCAs, c.Resolver = test.roots, dns.resolver() })
		if r.Error != test.error || (r.State == webhook.Delivered) != (test.error == "") {
			t.Errorf("%s: %+v", test.what, r)
		}
	}
	if n := len(good.requests()); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

func TestProblemsAreNamedInAFewWords(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	cut := receive(t, httptest.NewServer, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	dns := &names{}
	for _, test := range []struct{ url, error string }{
		{closed.URL, "the connection was refused"},
		{cut.URL, "the connection broke off without an answer that can be read"},
		{"http://unknown.example/T0KEN", "the host name is unknown"},
		{"http://10.0.0.1/T0KEN", "the address is private"},
		{"gopher://unknown.example/", "want an address that begins with https://"},
	} {
		if r := attempt(t, test.url, func(c *webhook.Config) { c.Resolver = dns.resolver() }); r.Error != test.error || r.Status != 0 {
			t.Errorf("%s: %+v", test.url, r)
		}
	}
	broken := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrUnexpectedEOF }}
	if r := attempt(t, "http://hook.example/", func(c *webhook.Config) { c.Resolver = broken }); r.Error != "the host name cannot be looked up" {
		t.Errorf("no name server: %+v", r)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	var wrote atomic.Int64
	endless := func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat("a\x00\xff\x1bé", 1000))
		for {
			n, err := w.Write(chunk)
			wrote.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	r := attempt(t, receive(t, httptest.NewServer, endless).URL, nil)
	if r.State != webhook.Delivered || len(r.Body) == 0 || len(r.Body) > 1024 || strings.Trim(r.Body, "aé") != "" {
		t.Errorf("an answer without end: %s, %d bytes kept: %.20q", r.State, len(r.Body), r.Body)
	}
	if wrote.Load() > 32<<20 { // what fits into the buffers of both ends, and 65 KB
		t.Errorf("%d bytes of it were taken", wrote.Load())
	}
	headers := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Long", strings.Repeat("a", 1<<20)) }
	if r := attempt(t, receive(t, httptest.NewServer, headers).URL, nil); r.State != webhook.Pending || r.Status != 0 {
		t.Errorf("a megabyte of headers: %+v", r)
	}
	packed := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, strings.Repeat("plain", 100))
		z.Close()
	}
	if r := attempt(t, receive(t, httptest.NewServer, packed).URL, nil); strings.Contains(r.Body, "plain") {
		t.Errorf("the answer was unpacked: %q", r.Body)
	}
	long := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "line 1\n"+strings.Repeat("x", 2000)) }
	if r := attempt(t, receive(t, httptest.NewServer, long).URL, nil); r.Body != "line 1\n"+strings.Repeat("x", 1017) {
		t.Errorf("kept of the answer: %q", r.Body)
	}
}

// A trip is a client without a network.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answers returns a client that always gets the same answer.
func answers(code int, header ...string) trip {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: code, Header: h, Body: http.NoBody}, nil
	}
}

// hang is a client that gets no answer.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A drip is a body that never ends and brings nothing.
type drip struct{ ctx context.Context }

func (d drip) Read([]byte) (int, error) {
	<-d.ctx.Done()
	return 0, d.ctx.Err()
}

func (drip) Close() error { return nil }

func TestAttemptsEndInTime(t *testing.T) {
	slowBody := func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: drip{r.Context()}}, nil
	}
	for _, test := range []struct {
		what   string
		client trip
		state  webhook.State
		error  string
		within time.Duration
	}{
		{"no answer", hang, webhook.Pending, "no answer within 15 seconds", 15 * time.Second},
		{"a body that never ends", slowBody, webhook.Delivered, "", 3 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newMemory()
			id, _ := s.endpoint(t, "https://example.com/")
			d, began := s.emit(t, id), time.Now()
			m := newManager(t, s, nil)
			m.SetClient(test.client)
			stop := run(t, m)
			time.Sleep(test.within - time.Millisecond)
			if n := len(s.resultsOf(d)); n != 0 {
				t.Errorf("%s: a result too early", test.what)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if r := s.resultsOf(d); len(r) != 1 || r[0].State != test.state || r[0].Error != test.error || !r[0].At.Equal(began) {
				t.Errorf("%s: %+v", test.what, r)
			}
			stop()
		})
	}
}

// TestSecretsAreInNoLogAndNoResult sends to a receiver whose URL is a secret, and
// which answers with everything that it was sent.
func TestSecretsAreInNoLogAndNoResult(t *testing.T) {
	r := receive(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		fmt.Fprint(w, "ANSWER")
	})
	log := new(logBuffer)
	s := newMemory()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	var secrets, ids []string
	for _, url := range []string{r.URL + "/T0KEN", "http://unknown.example/T0KEN", closed.URL + "/T0KEN", "http://169.254.169.254/T0KEN", "http://user:T0KEN@127.0.0.1/"} {
		id, secret := s.endpoint(t, url)
		secrets = append(secrets, secret.Reveal()[6:20])
		ids = append(ids, s.emit(t, id))
	}
	lost, _ := s.endpoint(t, r.URL+"/T0KEN")
	s.edit(lost, func(e *webhook.Endpoint) { e.Secret = []byte("T0KEN") })
	ids = append(ids, s.emit(t, lost))
	stop := run(t, newManager(t, s, func(c *webhook.Config) { c.Log, c.Resolver = log.logger(), (&names{}).resolver() }))
	var text strings.Builder
	for _, id := range ids {
		eventually(t, "a result", func() bool { return len(s.resultsOf(id)) > 0 })
		text.WriteString(s.resultsOf(id)[0].Error + "\n")
	}
	stop()
	for _, canary := range append(secrets, "T0KEN", "ANSWER", "v1,", "169.254", "127.0.0.1") {
		if strings.Contains(log.String()+text.String(), canary) {
			t.Errorf("%s is in the log or in a result:\n%s\n%s", canary, log, text.String())
		}
	}
	if !strings.Contains(log.String(), "webhook not delivered") || !strings.Contains(text.String(), "give it a new one") {
		t.Errorf("the log lacks something:\n%s\n%s", log, text.String())
	}
}
