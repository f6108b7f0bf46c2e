package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"wavegate/keychain"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestOnlyTheRightPairOpens(t *testing.T) {
	ts := guarded(t, hello)
	ts.get("/x").want(t, 200, "")
	wrong := map[string]string{
		"unknown ID":          basic("nobody", "secret"),
		"wrong secret":        basic("id", "secreT"),
		"case-flipped ID":     basic("ID", "secret"),
		"empty secret":        basic("id", ""),
		"secret of 73 bytes":  basic("id", strings.Repeat("x", 73)),
		"published pair":      basic(keychain.DefaultID, keychain.DefaultSecret),
		"secret and a suffix": basic("id", "secret "),
	}
	var first string
	for name, value := range wrong {
		a := ts.do("GET", "/x", "", "Authorization", value).want(t, 401, "invalid_access_key")
		if a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
		same := strings.ReplaceAll(a.body, a.Header.Get("X-Request-Id"), "")
		if first == "" {
			first = same
		}
		if same != first {
			t.Errorf("%s: answer %q differs from %q: it tells which IDs exist", name, same, first)
		}
	}
	ts.do("GET", "/x", "", "Authorization", "Bearer wave_live_"+strings.Repeat("0", 32)).want(t, 401, "invalid_api_key")
	ts.do("GET", "/x", "", "Authorization", basic("id", "secret"), "X-API-Key", "k").want(t, 400, "invalid_request")
}

func TestPublishedPairWorksFromThisMachineAlone(t *testing.T) {
	published := basic(keychain.DefaultID, keychain.DefaultSecret)
	free := func(c *Config) { c.Keychain = keychain.Config{Path: filepath.Join(t.TempDir(), "none")} }

	ts := guarded(t, hello, free)
	ts.do("GET", "/", "", "Authorization", published).want(t, 200, "")
	if !strings.Contains(ts.log.String(), "published default access key") {
		t.Error("no warning")
	}
	for _, header := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"} {
		ts.do("GET", "/", "", "Authorization", published, header, "192.0.2.1").want(t, 401, "invalid_access_key")
	}

	behind := guarded(t, hello, free, func(c *Config) { c.TrustedProxies = prefixes("127.0.0.1/32") })
	behind.do("GET", "/", "", "Authorization", published, "X-Forwarded-For", "192.0.2.1").want(t, 401, "invalid_access_key")
	behind.do("GET", "/", "", "Authorization", published, "X-Forwarded-For", "127.0.0.1").want(t, 401, "invalid_access_key")
}

func TestKeychainThatWasGivenAndIsMissingOrEmptyIsAStartUpError(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "missing"), writeFile(t, filepath.Join(dir, "empty"), "# nobody\n\n")} {
		cfg := testConfig(t)
		cfg.Keychain = keychain.Config{Path: path, Required: true}
		if _, err := New(cfg, &lockedBuffer{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", path, err)
		}
	}
}

func TestKeychainRemovedAtRunTimeOpensNothing(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "kc"), keychainLine(t, "alice", "a"))
	ts := guarded(t, hello, func(c *Config) { c.Keychain = keychain.Config{Path: path} })
	ts.do("GET", "/", "", "Authorization", basic("alice", "a")).want(t, 200, "")
	writeFile(t, path, "")
	eventually(t, "alice is out", func() bool {
		return ts.do("GET", "/", "", "Authorization", basic("alice", "a")).StatusCode == 401
	})
	ts.do("GET", "/", "", "Authorization", basic(keychain.DefaultID, keychain.DefaultSecret)).want(t, 401, "invalid_access_key")
}

func TestPublicRouteKeepsTheAppsOwnCredentialAndDropsOurs(t *testing.T) {
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Authorization")) },
		func(c *Config) {
			c.PolicyFile = writeFile(t, filepath.Join(t.TempDir(), "p.yaml"), "upstreams:\n  - {route: /open, url: "+c.Upstreams[0]+", access: public}\n")
			c.Upstreams = nil
		})
	foreign := basic("app-user", "x")
	if got := ts.do("GET", "/open", "", "Authorization", foreign).want(t, 200, "").body; got != foreign {
		t.Errorf("the app saw %q, want its own credential", got)
	}
	if got := ts.get("/open").body; got != "" {
		t.Errorf("the app saw our credential %q", got)
	}
}

func TestLockoutOfAKeyAndOfAnAddress(t *testing.T) {
	ts := guarded(t, hello, func(c *Config) {
		c.TrustedProxies = prefixes("127.0.0.1/32")
		c.Keychain = keychain.Config{Path: writeFile(t, filepath.Join(t.TempDir(), "kc"), keychainLine(t, "id", "secret")), Required: true}
	})
	from := func(ip, id, secret string) answer {
		return ts.do("GET", "/", "", "Authorization", basic(id, secret), "X-Forwarded-For", ip)
	}
	from("198.51.100.1", "id", "secret").want(t, 200, "") // a source that knows the key

	for i := range 10 {
		from(fmt.Sprintf("203.0.113.%d", i), "id", "wrong").want(t, 401, "invalid_access_key")
	}
	a := from("203.0.113.99", "id", "secret").want(t, 429, "locked_out")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	from("198.51.100.1", "id", "secret").want(t, 200, "")
	from("203.0.113.99", " ID ", "secret").want(t, 429, "locked_out") // an alias of the same account

	for i := range 20 {
		from("2001:db8::"+fmt.Sprint(i), fmt.Sprint("guess", i), "wrong").want(t, 401, "invalid_access_key")
	}
	from("2001:db8::ffff", "id", "secret").want(t, 429, "locked_out") // the same /64
	from("2001:db8:0:1::1", "guess", "wrong").want(t, 401, "invalid_access_key")
	if len(ts.lines("lockout")) < 2 {
		t.Errorf("log: %v", ts.lines("lockout"))
	}
	if strings.Contains(ts.log.String(), "guess1") {
		t.Error("what a stranger typed as an ID is in the log: it may be a secret")
	}
}

func TestParallelGuessesAreNoMoreThanGuessesInARow(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "kc"), keychainLine(t, "alice", "a"))
	ts := guarded(t, hello, func(c *Config) { c.Keychain = keychain.Config{Path: path, Required: true, Workers: 4} })
	var mu sync.Mutex
	count := map[int]int{}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			a := ts.do("GET", "/", "", "Authorization", basic("alice", fmt.Sprint("guess", i)))
			mu.Lock()
			defer mu.Unlock()
			count[a.StatusCode]++
		})
	}
	wg.Wait()
	if count[401] > 10 || count[401]+count[429] != 50 {
		t.Errorf("answers %v, want at most 10 checked guesses", count)
	}
}
