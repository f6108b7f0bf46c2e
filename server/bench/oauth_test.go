//go:build linux

package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// publicURL is where the authorization server says that it is.
const publicURL = "http://app.example.com"

// benchTokens runs the Go benchmarks of package server about the authorization
// server, each on one core.
func benchTokens(t *testing.T, p plan, tb *table) {
	if !p.full {
		return // it would compile package server again
	}
	figure := func(name, unit string) spread {
		var values []float64
		for _, m := range regexp.MustCompile(`([\d.]+) `+unit).FindAllStringSubmatch(goBenchmark(t, name, "5", "-cpu=1"), -1) {
			values = append(values, number(t, m[1]))
		}
		if len(values) == 0 {
			t.Fatalf("no %s of %s", unit, name)
		}
		return spreadOf(values)
	}
	ratio := figure("ClientCredentials", "ratio")
	tb.add(row{
		what: "client_credentials tokens ÷ ES256 signatures, one core", measured: perSecond(figure("ClientCredentials", "tokens/s").median),
		ratio: ratio.String(), reach: "≥ 0.50", ok: ratio.median >= 0.5,
	})
	for _, b := range []struct{ name, what string }{
		{"Introspect", "introspection of a remembered access token, one core"},
		{"AuthorizeToToken", "authorize with remembered consent, then token, SQLite on disk"},
		{"DurableWrite", "for comparison: one write there that waits for the disk"},
	} {
		ns := figure(b.name, "ns/op").median
		tb.add(row{what: b.what, measured: fmt.Sprintf("%.0f µs, %.0f/s", ns/1e3, 1e9/ns)})
	}
}

// goBenchmark returns what a Go benchmark of package server prints.
func goBenchmark(t *testing.T, name, count string, flags ...string) string {
	t.Helper()
	pattern := "^Benchmark" + strings.ReplaceAll(name, "/", "$/^") + "$"
	args := append([]string{"test", "-run=^$", "-bench=" + pattern, "-benchmem", "-count=" + count, "-benchtime=300ms", "-timeout=20m"}, flags...)
	out, err := exec.Command("go", append(args, "wavegate/server")...).CombinedOutput()
	if err != nil {
		t.Fatalf("go test: %v\n%s", err, out)
	}
	return string(out)
}

// benchOAuth compares requests with an access token, its scope checked, with a
// server that checks nothing, and the token endpoint with a server that signs and
// does nothing else.
func benchOAuth(t *testing.T, p plan, tb *table, binary string, upstream process) {
	guard := writeGuard(t, upstream.addr, p.cost)
	var gate process
	if binary == "" || os.Getenv("WAVEGATE_BENCH_PROFILE") != "" {
		gate = startRole(t, "wavegate", envDir+"="+guard, envPublic+"="+publicURL)
	} else {
		gate = startDaemon(t, binary, guard, "--public-url", publicURL).process
	}
	basic := makeClient(t, gate)
	order := post("/oauth/token", basic, "grant_type=client_credentials&scope=streams%3Aread")
	token := newToken(t, gate, order)

	results := compare(t, p,
		target{"bare ReverseProxy", startRole(t, "proxy", envTarget+"=http://"+upstream.addr), withKey("/v1/streams/str_1", token), upstreamBody},
		target{"access token", gate, withKey("/v1/streams/str_1", token), upstreamBody})
	tb.compare("proxied with access token and scope ÷ bare ReverseProxy", results[1], results[0], 0.95)
	ok := startRole(t, "ok")
	results = compare(t, p,
		target{"handler that writes 200", ok, withKey("/_auth/verify", token, asked...), "\r\n\r\n"},
		target{"access token", gate, withKey("/_auth/verify", token, asked...), "\r\n\r\n"})
	tb.compare("/_auth/verify with access token ÷ a handler that writes 200", results[1], results[0], 0.85)
	results = compare(t, p,
		target{"handler that signs", startRole(t, "signer"), order, "\r\n\r\n"},
		target{"token endpoint", gate, order, "}\n"})
	tb.compare("client_credentials over HTTP ÷ a handler that signs", results[1], results[0], 0.5)
	results = compare(t, p,
		target{"handler that writes 200", ok, withKey("/", token), "\r\n\r\n"},
		target{"introspection", gate, post("/oauth/introspect", basic, "token="+token), "}\n"})
	tb.compare("for comparison: introspection ÷ a handler that writes 200", results[1], results[0], 0)
}

// makeClient makes a client that may have tokens of its own with the one scope, as
// the holder of the access key would, and returns its Authorization header.
func makeClient(t *testing.T, gate process) (basic string) {
	t.Helper()
	const order = `{"name": "bench", "scopes": ["streams:read"], "grant_types": ["client_credentials"]}`
	req, err := http.NewRequest(http.MethodPost, "http://"+gate.addr+"/v1/auth/clients", strings.NewReader(order))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(keyID, keySecret)
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var made struct {
		Client struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		} `json:"client"`
	}
	if err := json.NewDecoder(res.Body).Decode(&made); err != nil || res.StatusCode != http.StatusCreated || made.Client.Secret == "" {
		t.Fatalf("no client: %s, %v", res.Status, err)
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(made.Client.ID+":"+made.Client.Secret))
}

// post writes a request with a form.
func post(path, authorization, form string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: bench\r\nAccept: application/json\r\nAuthorization: %s\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", path, authorization, len(form), form)
}

// newToken sends an order to the token endpoint and returns the access token.
func newToken(t *testing.T, gate process, order []byte) string {
	t.Helper()
	c, err := dial(gate.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(c.ask(t, order), "\r\n\r\n")
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Token == "" {
		t.Fatalf("no access token: %v\n%s", err, body)
	}
	return answer.Token
}

// serveSigner is what the token endpoint is measured against: it signs once with
// ES256 for each request, and says nothing.
func serveSigner(ln net.Listener) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		digest := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
			panic(err)
		}
		w.WriteHeader(http.StatusOK)
	}))
}
