package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"wavegate/keychain"
	authz "wavegate/oidc/provider"
	"wavegate/server/store"
)

const (
	oauthOrigin = "http://id.example.com"
	oauthBack   = "https://app.example.com/back"

	// Of RFC 7636, appendix B.
	oauthVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	oauthChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// An oauthBench is a server with a store on disk, one user and one confidential
// client. Requests go to its ServeHTTP, so that what is measured is the server's own
// work, from the first middleware to the log line.
type oauthBench struct {
	*Server
	tb     testing.TB
	client *authz.Client
	basic  string // the client's Authorization header
	cookie string // of the user's session
}

func newOAuthBench(tb testing.TB) *oauthBench {
	tb.Helper()
	dir := tb.TempDir()
	users, rules := filepath.Join(dir, "users"), filepath.Join(dir, "policy.yaml")
	hash, err := bcrypt.GenerateFromPassword([]byte("ann-password"), bcrypt.MinCost)
	if err != nil {
		tb.Fatal(err)
	}
	const text = `upstreams: [{route: /, url: "http://127.0.0.1:1", access: authenticated}]
scopes: {"streams:read": {endpoints: [GET /v1/streams, "GET /v1/streams/:id"]}}
roles: {viewer: {scopes: ["streams:read"], members: ["local|ann"]}}
`
	for file, text := range map[string]string{users: "ann:" + string(hash) + "\n", rules: text} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	s, err := New(Config{
		Listen: "127.0.0.1:0", PublicURL: oauthOrigin, DataDir: dir, PolicyFile: rules,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Users:          keychain.Config{Kind: keychain.LocalUsers, Path: users, Required: true},
	}, io.Discard)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.close)
	before := debug.SetGCPercent(400) // as the program does
	tb.Cleanup(func() { debug.SetGCPercent(before) })
	b := &oauthBench{Server: s, tb: tb}
	b.addClient()
	return b
}

// addClient makes the client, which may do everything that is measured.
func (b *oauthBench) addClient() {
	b.tb.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	secret, kept := authz.NewSecret(now, time.Time{})
	c, err := b.store.AddClient(b.tb.Context(), authz.Client{
		ID: "client_" + strings.Repeat("b", 26), Name: "Bench", Type: authz.Confidential, Owner: "key:id",
		RedirectURIs: []string{oauthBack}, Scopes: []string{"streams:read"}, Secrets: []authz.Secret{kept},
		GrantTypes: []string{authz.GrantCode, authz.GrantRefresh, authz.GrantClientCredentials}, CreatedAt: now, Version: 1,
	}, 10, store.Journal{})
	if err != nil {
		b.tb.Fatal(err)
	}
	b.client, b.basic = &c, "Basic "+base64.StdEncoding.EncodeToString([]byte(c.ID+":"+secret))
}

// An asking is a request that is sent again and again. It takes the answer too, and
// allocates as little as it can beside what it measures.
type asking struct {
	b      *oauthBench
	r      *http.Request
	text   string
	from   *strings.Reader
	header http.Header // of the answer
	status int
	body   []byte
}

// Header implements http.ResponseWriter.
func (a *asking) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *asking) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *asking) Write(p []byte) (int, error) {
	a.body = append(a.body, p...)
	return len(p), nil
}

func (b *oauthBench) asking(method, path, body string, headers ...string) *asking {
	b.tb.Helper()
	a := &asking{b: b, text: body, from: strings.NewReader(body), header: http.Header{}}
	var err error
	if a.r, err = http.NewRequestWithContext(b.tb.Context(), method, oauthOrigin+path, io.NopCloser(a.from)); err != nil {
		b.tb.Fatal(err)
	}
	a.r.RemoteAddr, a.r.ContentLength = "192.0.2.1:4711", int64(len(body))
	if body != "" {
		a.r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		a.r.Header.Set(headers[i], headers[i+1])
	}
	return a
}

// send sends it once more. Any other status than want ends the test.
func (a *asking) send(want int) {
	a.from.Reset(a.text)
	clear(a.header)
	a.status, a.body = 0, a.body[:0]
	a.b.ServeHTTP(a, a.r)
	if a.status != want {
		a.b.tb.Fatalf("%s %s answered %d, want %d\n%s", a.r.Method, a.r.URL, a.status, want, a.body)
	}
}

// own asks for a token of the client's own.
func (b *oauthBench) own() *asking {
	b.tb.Helper()
	return b.asking("POST", "/oauth/token", "grant_type=client_credentials&scope=streams%3Aread", "Authorization", b.basic)
}

// accessToken returns a token of the client's own.
func (b *oauthBench) accessToken() string {
	b.tb.Helper()
	a := b.own()
	a.send(http.StatusOK)
	return a.answered().AccessToken
}

func (a *asking) answered() (t authz.TokenAnswer) {
	a.b.tb.Helper()
	if err := json.Unmarshal(a.body, &t); err != nil {
		a.b.tb.Fatal(err)
	}
	return t
}

// signIn gives the bench a session of the user.
func (b *oauthBench) signIn() {
	b.tb.Helper()
	a := b.asking("POST", "/_auth/login", "username=ann&password=ann-password", "Sec-Fetch-Site", "same-origin")
	a.send(http.StatusSeeOther)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if strings.HasSuffix(c.Name, "wavegate") {
			b.cookie = c.Name + "=" + c.Value
		}
	}
}

// authorize asks for a code of the user's.
func (b *oauthBench) authorize() *asking {
	b.tb.Helper()
	query := url.Values{
		"response_type": {"code"}, "client_id": {b.client.ID}, "redirect_uri": {oauthBack}, "scope": {"streams:read"},
		"state": {"s"}, "code_challenge": {oauthChallenge}, "code_challenge_method": {"S256"},
	}
	return b.asking("GET", "/oauth/authorize?"+query.Encode(), "", "Cookie", b.cookie)
}

// consent lets the user agree to what authorize asks for, for the next time too.
func (b *oauthBench) consent() {
	b.tb.Helper()
	page := b.authorize()
	page.send(http.StatusOK)
	_, after, _ := strings.Cut(string(page.body), `name="request" value="`)
	request, _, _ := strings.Cut(after, `"`)
	form := url.Values{"request": {request}, "decision": {"allow"}, "remember": {"1"}}
	b.asking("POST", "/oauth/authorize/decision", form.Encode(), "Cookie", b.cookie, "Sec-Fetch-Site", "same-origin").send(http.StatusSeeOther)
}

// BenchmarkClientCredentials compares the tokens that a client gets on its own
// behalf with the signatures that they cannot do without. The two take turns and
// processor time is what counts, so that whatever else the machine does falls out.
// With -cpu 1, "ratio" is the one of docs/performance.md.
func BenchmarkClientCredentials(b *testing.B) {
	bench := newOAuthBench(b)
	ask := bench.own()
	ask.send(http.StatusOK)
	sign := signing(b)
	const turn = 200
	var signatures time.Duration
	b.ReportAllocs()
	began, n := processorTime(b), 0
	for ; b.Loop(); n++ {
		if n%turn == 0 {
			b.StopTimer()
			signatures += sign(turn)
			b.StartTimer()
		}
		ask.send(http.StatusOK)
	}
	signature := signatures.Seconds() / float64((n+turn-1)/turn*turn)
	token := (processorTime(b) - began - signatures).Seconds() / float64(n)
	b.ReportMetric(1/token, "tokens/s")
	b.ReportMetric(1/signature, "signatures/s")
	b.ReportMetric(signature/token, "ratio")
}

// signing returns what makes n signatures with ES256, and says how long it took.
func signing(b *testing.B) func(n int) time.Duration {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("text"))
	return func(n int) time.Duration {
		begin := processorTime(b)
		for range n {
			if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
				b.Fatal(err)
			}
		}
		return processorTime(b) - begin
	}
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkAuthorizeToToken is the way of somebody who agreed before: from their
// browser at the authorization endpoint to the app's access and refresh token. The
// store is SQLite on the disk of the temporary folder ($TMPDIR); each half is one
// transaction there, which waits for the disk. BenchmarkDurableWrite is that wait.
func BenchmarkAuthorizeToToken(b *testing.B) {
	bench := newOAuthBench(b)
	bench.signIn()
	bench.consent()
	authorize := bench.authorize()
	const rest = "grant_type=authorization_code&redirect_uri=https%3A%2F%2Fapp.example.com%2Fback&code_verifier=" + oauthVerifier + "&code="
	redeem := bench.asking("POST", "/oauth/token", rest, "Authorization", bench.basic)
	b.ReportAllocs()
	for b.Loop() {
		authorize.send(http.StatusSeeOther)
		back, err := url.Parse(authorize.header.Get("Location"))
		if err != nil {
			b.Fatal(err)
		}
		redeem.text = rest + back.Query().Get("code")
		redeem.r.ContentLength = int64(len(redeem.text))
		redeem.send(http.StatusOK)
	}
	if redeem.answered().RefreshToken == "" {
		b.Fatal("there is no refresh token")
	}
}

// BenchmarkDurableWrite is one small write that waits for the disk of the temporary
// folder.
func BenchmarkDurableWrite(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4<<10)
	for b.Loop() {
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIntrospect asks about a remembered access token, as an app behind another
// gateway does.
func BenchmarkIntrospect(b *testing.B) {
	bench := newOAuthBench(b)
	ask := bench.asking("POST", "/oauth/introspect", "token="+bench.accessToken(), "Authorization", bench.basic)
	ask.send(http.StatusOK)
	b.ReportAllocs()
	for b.Loop() {
		ask.send(http.StatusOK)
	}
	if !strings.Contains(string(ask.body), `"active":true`) {
		b.Fatalf("the token is not active: %s", ask.body)
	}
}

// BenchmarkVerifyToken asks /_auth/verify with a remembered access token, as nginx
// does.
func BenchmarkVerifyToken(b *testing.B) {
	bench := newOAuthBench(b)
	ask := bench.asking("GET", "/_auth/verify", "", "Authorization", "Bearer "+bench.accessToken(),
		"X-Original-URL", "https://app.example.com/v1/streams/str_1", "X-Original-Method", "GET", "X-Forwarded-For", "203.0.113.7")
	ask.send(http.StatusOK)
	b.ReportAllocs()
	for b.Loop() {
		ask.send(http.StatusOK)
	}
}

// tokenAdmission is an admission whose credential is an access token.
func (b *oauthBench) tokenAdmission(token string) *admission {
	b.tb.Helper()
	a := admissionFor(b.tb, b.Server, "Bearer "+token)
	a.run(b.tb)
	return a
}

func TestDecisionsAboutAccessTokensAllocateNothing(t *testing.T) {
	bench := newOAuthBench(t)
	a := bench.tokenAdmission(bench.accessToken())
	least := 1.0
	for range 1000 { // as with API keys
		least = min(least, testing.AllocsPerRun(1, func() { a.run(t) }))
	}
	if least != 0 {
		t.Error("every decision allocates")
	}
}

// BenchmarkAdmitToken goes from the Authorization header of an access token to the
// decision about a request that needs a scope: of one that is remembered, and of one
// that comes for the first time, whose signature is checked and about which the
// store is asked.
func BenchmarkAdmitToken(b *testing.B) {
	b.Run("remembered", func(b *testing.B) {
		bench := newOAuthBench(b)
		a := bench.tokenAdmission(bench.accessToken())
		b.ReportAllocs()
		for b.Loop() {
			a.run(b)
		}
	})
	b.Run("first", func(b *testing.B) {
		bench := newOAuthBench(b)
		a := bench.tokenAdmission(bench.accessToken())
		ask := bench.own()
		var unused []string
		b.ReportAllocs()
		for b.Loop() {
			if len(unused) == 0 { // many at once: to stop the clock takes longer than what is measured
				b.StopTimer()
				for range 1000 {
					ask.send(http.StatusOK)
					unused = append(unused, "Bearer "+ask.answered().AccessToken)
				}
				b.StartTimer()
			}
			a.r.Header["Authorization"] = unused[:1]
			unused = unused[1:]
			a.run(b)
		}
	})
}
