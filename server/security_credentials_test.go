package server

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"wavegate/keychain"
	"wavegate/server/limit"
)

// withoutLockouts lets a test try as often as it wants.
func withoutLockouts(ts *testServer) *testServer {
	ts.lockouts = limit.NewLockouts(limit.LockoutConfig{KeyTries: 1 << 30, IPTries: 1 << 30})
	return ts
}

// tryPair asks with a pair, without a connection between.
func (ts *testServer) tryPair(id, secret string) int {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", basic(id, secret))
	w := httptest.NewRecorder()
	ts.ServeHTTP(w, r)
	return w.Code
}

func TestEveryTruncationAndBitFlipOfAKeyIsRefused(t *testing.T) {
	t.Parallel()
	const id, secret = "KEYID1", "sEcReT5"
	ts := withoutLockouts(configured(t, withKeys(t, id+":"+secret), func(c *Config) { c.Upstreams = []string{"static://200"} }))
	if got := ts.tryPair(id, secret); got != 200 {
		t.Fatalf("the right pair: %d", got)
	}
	refused := func(id, secret string) {
		t.Helper()
		if got := ts.tryPair(id, secret); got != 401 && got != 400 {
			t.Errorf("%q with %q: %d", id, secret, got)
		}
	}
	for i := range len(id) {
		refused(id[:i], secret)
		refused(id[i+1:], secret)
	}
	for i := range len(secret) {
		refused(id, secret[:i])
		refused(id, secret[i+1:])
	}
	flip := func(s string, bit int) string {
		b := []byte(s)
		b[bit/8] ^= 1 << (bit % 8)
		return string(b)
	}
	for bit := range len(id) * 8 {
		refused(flip(id, bit), secret)
	}
	for i := range secret { // keychain flips every bit of a secret
		refused(id, flip(secret, i*8+i%7))
	}
	header := basic(id, secret)
	for i := len("Basic "); i < len(header); i++ { // the literal bytes of the header too
		value := header[:i] + string(header[i]^1) + header[i+1:]
		if a := wire(t, ts.Addr(), plainGet("/", "a", "Authorization: "+value)); a.StatusCode != 401 && a.StatusCode != 400 {
			t.Errorf("%q: %d", value, a.StatusCode)
		}
	}
	for _, other := range []string{"", id + secret, id + ":" + secret, strings.ToLower(id), " " + id, id + " ", id + "\u00a0", "\ufeff" + id} {
		refused(other, secret)
		refused(id, other)
	}
}

func TestUnknownAndWrongAnswerByteForByteAlike(t *testing.T) {
	t.Parallel()
	app := newRawApp(t)
	ts := configured(t, withKeys(t, "id:secret"), func(c *Config) {
		c.Upstreams, c.TrustedProxies = []string{app.url}, prefixes("127.0.0.0/8")
	})
	volatile := regexp.MustCompile(`[0-9a-f]{32}|(?m)^(Date|Retry-After): .*$`)
	// The same walk, tries and a lock at the end, with one ID.
	walk := func(id string, subnet int) []string {
		var out []string
		for i := range 12 {
			from := fmt.Sprintf("X-Forwarded-For: 198.51.%d.%d", subnet, i)
			auth := "Authorization: " + basic(id, fmt.Sprint("wrong", i))
			for _, request := range []string{
				plainGet("/", "app.test", from, auth), plainGet("/", "app.test", from, auth, "Accept: text/html"),
				plainGet("/_auth/verify", "app.test", from, auth, "X-Original-Method: GET", "X-Original-URL: https://app.test/"),
				plainGet("/_auth/forward", "app.test", from, auth, "X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: app.test", "X-Forwarded-Uri: /"),
				"POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n" + from + "\r\n" + auth + "\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"register_app\":{}}",
				"HEAD / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n" + from + "\r\n" + auth + "\r\n\r\n",
			} {
				out = append(out, volatile.ReplaceAllString(ts.raw(request), ""))
			}
		}
		return out
	}
	known := walk("id", 1)
	if !strings.HasPrefix(known[0], "HTTP/1.1 401 ") || !strings.HasPrefix(known[len(known)-1], "HTTP/1.1 429 ") || len(app.take()) > 0 {
		t.Fatalf("the walk goes from %q to %q", known[0], known[len(known)-1])
	}
	for i, id := range []string{"unknown", "\xff", keychain.DefaultID} {
		got := walk(id, 2+i)
		for step := range got {
			if got[step] != known[step] {
				t.Errorf("%.20q, step %d: answer\n%s\nbut for a known ID\n%s", id, step, got[step], known[step])
				break
			}
		}
	}
}

func TestLockoutSeesOneAccountBehindItsAliases(t *testing.T) {
	ts := configured(t, withKeys(t, "Account:secret", "other:secret"), func(c *Config) {
		c.Upstreams, c.TrustedProxies = []string{"static://200"}, prefixes("127.0.0.0/8")
	})
	try := func(from int, value string) int {
		return wire(t, ts.Addr(), plainGet("/", "a", fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", from), "Authorization: "+value)).StatusCode
	}
	token := func(id string) string { return strings.TrimPrefix(basic(id, "wrong"), "Basic ") }
	aliases := []string{
		"Basic " + token("Account"), "basic " + token("account"), "BASIC " + token("ACCOUNT"), "bAsIc  " + token(" Account"), "Basic " + token("Account "),
		"Basic   " + token("aCCOUNT"), "Basic " + token("  account  "), "BasiC " + token("accounT"), "Basic " + token("\u00a0Account"), "Basic " + token("Account\u2003"),
	}
	for i, value := range aliases {
		if got := try(i, value); got != 401 {
			t.Errorf("%q: %d", value, got)
		}
	}
	if got := try(99, basic("Account", "secret")); got != 429 {
		t.Errorf("after ten wrong tries under as many names: %d, want 429", got)
	}
	if got := try(99, basic("other", "secret")); got != 200 {
		t.Errorf("another account: %d", got)
	}
}

func TestOneAttackerNeverBlocksAnotherAccount(t *testing.T) {
	t.Parallel()
	ts := configured(t, withKeys(t, "victim:v", "attacker:a"), func(c *Config) {
		c.Upstreams, c.TrustedProxies = []string{"static://200"}, prefixes("127.0.0.0/8")
	})
	try := func(from, id, secret string) int {
		return wire(t, ts.Addr(), plainGet("/", "a", "X-Forwarded-For: "+from, "Authorization: "+basic(id, secret))).StatusCode
	}
	if try("192.0.2.1", "victim", "v") != 200 {
		t.Fatal("the victim's own pair")
	}
	for i := range 12 {
		from := fmt.Sprintf("203.0.113.%d", i)
		try(from, "victim", fmt.Sprint("x", i))
		try(from, fmt.Sprint("noise", i), "x")
	}
	for i := range 21 { // also from one address, with a key of the attacker's own in between
		try("203.0.113.200", "attacker", "a")
		try("203.0.113.200", fmt.Sprint("guess", i), "x")
	}
	if got := try("192.0.2.1", "victim", "v"); got != 200 {
		t.Errorf("the victim from a known source: %d", got)
	}
	if got := try("192.0.2.1", "attacker", "a"); got != 200 {
		t.Errorf("another account from there: %d", got)
	}
	if got := try("203.0.113.77", "victim", "v"); got != 429 {
		t.Errorf("the locked key from elsewhere: %d, want 429", got)
	}
	if got := try("203.0.113.200", "attacker", "a"); got != 429 {
		t.Errorf("the attacker's address: %d, want 429: a key of one's own buys no guesses", got)
	}
}

// TestCanarySecretIsFoundNowhere pushes one secret through everything that
// takes input, the unusual ways too, and looks for it in everything that comes out.
func TestCanarySecretIsFoundNowhere(t *testing.T) {
	t.Parallel()
	const canary = "canary-0123456789"
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })) // every request ends in an error
	defer app.Close()
	ts := configured(t, withKeys(t, "id:secret", "good:"+canary), func(c *Config) {
		c.TrustedProxies, c.LogLevel, c.MetricsListen = prefixes("127.0.0.0/8"), "debug", "127.0.0.1:0"
		withPolicy(t, "upstreams:\n  - {route: /, url: "+app.URL+"}\n  - {route: /public, url: "+app.URL+", access: public}\n")(c)
	})
	ts.lockouts = limit.NewLockouts(limit.LockoutConfig{KeyTries: 3, IPTries: 500}) // locks are logged
	ts.table = append(ts.table, route{"*", "/_auth/panic", func(*exchange, *http.Request) error { var s *Server; return s.verify(nil, nil) }})
	encoded := strings.TrimPrefix(basic("id", canary), "Basic ")
	credentials := []string{
		"Authorization: " + basic("id", canary), "Authorization: " + basic(canary, "x"), "Authorization: " + basic("good", canary), "Authorization: " + basic("good", canary) + "=",
		"Authorization: Bearer " + canary, "Authorization: " + canary, "Authorization: Digest " + canary, "Authorization: Basic " + canary, "authorization:" + canary,
		"X-API-Key: " + canary, "X-API-Key: " + canary + "\r\nX-API-Key: " + canary, "Proxy-Authorization: Basic " + encoded,
		"Cookie: __Host-wave=" + canary, "Wave-Access-Token: " + canary, "Wave-Assertion: " + canary, "X-Forwarded-Access-Token: " + canary,
		"X-Forwarded-Proto: " + canary, "X-Forwarded-For: " + canary, "Traceparent: " + canary, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: " + canary,
		"X-Forwarded-For: 192.0.2.1\r\nX-Original-Method: GET\r\nX-Original-URL: https://app.test/x?token=" + canary, "X-Original-Method: GET\r\nX-Original-URL: https://user:" + canary + "@app.test/",
		"X-Original-Method: " + canary + "\r\nX-Original-URL: https://app.test/", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /x?token=" + canary,
	}
	out := map[string]string{}
	for _, line := range credentials {
		for _, target := range []string{
			"/", "/public", "/x?token=" + canary, "http://user:" + canary + "@app.test/", "/_auth/verify", "/_auth/forward", "/_auth/forward/x?token=" + canary, "/_auth/panic?" + canary,
			"/_health/ready?" + canary, "/oauth/jwks?" + canary, "/%zz?" + canary, "/../?" + canary,
		} {
			out[line+" "+target] = ts.raw(plainGet(target, "app.test", line))
			out[line+" html "+target] = ts.raw(plainGet(target, "app.test", line, "Accept: text/html"))
		}
	}
	for _, body := range []string{
		`{"register_app":{"key_secret":"` + canary + `"}}`, `{"register_app":{"mode":"x","route":"/_auth","address":"http://u:` + canary + `@h/","key_id":"a","key_secret":"` + canary + `"}}`,
		`{"register_app":{"mode":"unicast","route":"/r","address":"http://127.0.0.1:1","key_id":"a","key_secret":"` + canary + `"}}`, `{"register_app":"` + canary + `"}`, `{"unregister_app":{"route":"` + canary + `"}}`,
	} {
		a := ts.do("POST", "/", body, "Authorization", basic("id", "secret"), "Content-Type", "application/json")
		out[body] = a.body + fmt.Sprint(a.Header)
	}
	ts.get("/r/x") // the app that was registered last cannot be reached
	res, err := http.Get("http://" + ts.MetricsAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	metrics, _ := io.ReadAll(res.Body)
	out["metrics"], out["log"] = string(metrics), ts.log.String()
	for _, needed := range []string{`"msg":"panic"`, `"msg":"lockout"`, `"code":"bad_gateway"`} {
		if !strings.Contains(out["log"], needed) {
			t.Errorf("the log has no %s: the test says little", needed)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(out)) {
		for _, secret := range []string{canary, encoded, strings.TrimPrefix(basic("good", canary), "Basic ")} {
			if i := strings.Index(out[what], secret); i >= 0 {
				t.Errorf("%q shows it: …%s…", what, out[what][max(0, i-200):i])
			}
		}
	}
}

func TestWhatAKeyOpenedEndsWhenItIsRemovedOrChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "kc")
	others := keychainLine(t, "other", "o")
	for name, change := range map[string]func(){
		"removed":         func() { must(t, keychain.Remove(path, "alice")) },
		"another secret":  func() { writeFile(t, path, keychainLine(t, "alice", "new")+others) },
		"swapped file":    func() { must(t, os.Rename(writeFile(t, filepath.Join(dir, "next"), others), path)) },
		"emptied file":    func() { writeFile(t, path, "# nobody\n") },
		"deleted file":    func() { must(t, os.Remove(path)) },
		"the same secret": func() { writeFile(t, path, keychainLine(t, "alice", "a")+others) }, // another hash is another key
	} {
		writeFile(t, path, keychainLine(t, "alice", "a")+others)
		ts := guarded(t, func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			c.Read(r.Context())
		}, func(c *Config) { c.Keychain = keychain.Config{Path: path, Required: true} })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		ws, _, err := websocket.Dial(ctx, ts.URL+"/", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {basic("alice", "a")}}})
		if err != nil {
			t.Fatal(err)
		}
		change()
		if _, _, err := ws.Read(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("%s: the socket stays open: %v", name, err)
		}
		ws.CloseNow()
		cancel()
		eventually(t, name+": sockets are counted off", func() bool { return ts.upgraded.count() == 0 })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestConcurrentWritersOfAServedKeychainLoseNothing(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	lines.WriteString(keychainLine(t, "id", "secret"))
	for i := range 20 {
		lines.WriteString(keychainLine(t, fmt.Sprintf("key%02d", i), "secret"))
	}
	path := writeFile(t, filepath.Join(t.TempDir(), "kc"), lines.String())
	ts := configured(t, func(c *Config) {
		c.Upstreams, c.Keychain = []string{"static://200"}, keychain.Config{Path: path, Required: true}
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := (keychain.File{Path: path}).Add("new", "secret"); err != nil {
			t.Error(err)
		}
	})
	for i := range 18 {
		wg.Go(func() {
			if err := keychain.Remove(path, fmt.Sprintf("key%02d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := keychain.List(path)
	if want := []string{"id", "key18", "key19", "new"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("keys %v %v, want %v", got, err, want)
	}
	eventually(t, "the server holds what the file holds", func() bool { return ts.keychain.Len() == 4 && ts.keychain.Has("new") })
	for _, id := range []string{"id", "key18", "key19"} {
		if status := ts.tryPair(id, "secret"); status != 200 {
			t.Errorf("%s: %d", id, status)
		}
	}
	if ts.keychain.Has("key00") {
		t.Error("the server holds a removed key")
	}
}

func TestFiftyRacingRegistrationsOfOneRouteHaveOneOwner(t *testing.T) {
	ts := configured(t, withKeys(t, "k0:s", "k1:s", "k2:s", "k3:s", "k4:s"))
	for i := range 5 {
		ts.tryPair(fmt.Sprint("k", i), "s") // remembered from here on
	}
	var mu sync.Mutex
	owners := map[string]int{}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			id := fmt.Sprint("k", i%5)
			body := fmt.Sprintf(`{"register_app":{"mode":"unicast","route":"/contested","address":"http://127.0.0.1:%d","key_id":%q,"key_secret":"x"}}`, 1000+i, id)
			if a := ts.do("POST", "/", body, "Authorization", basic(id, "s"), "Content-Type", "application/json"); a.StatusCode == 200 {
				mu.Lock()
				defer mu.Unlock()
				owners[id]++
			} else if a.StatusCode != 403 {
				t.Errorf("%s: %d %s", id, a.StatusCode, a.body)
			}
		})
	}
	wg.Wait()
	list := ts.gateway.Apps().List()
	if len(owners) != 1 || len(list) != 1 || owners[list[0].Owner] != 10 {
		t.Errorf("answered with success to %v, the owner is %v", owners, list)
	}
}
