//go:build linux

package bench

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// makeKey makes an API key with the one scope and the tier of the policy, as a
// user would, and returns it.
func makeKey(t *testing.T, gate process) string {
	t.Helper()
	const order = `{"name": "bench", "scopes": ["streams:read"], "rate_limit_tier": "bench"}`
	req, err := http.NewRequest(http.MethodPost, "http://"+gate.addr+"/v1/auth/keys", strings.NewReader(order))
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
		Key struct{ Key string } `json:"api_key"`
	}
	if err := json.NewDecoder(res.Body).Decode(&made); err != nil || res.StatusCode != http.StatusCreated || made.Key.Key == "" {
		t.Fatalf("no API key: %s, %v", res.Status, err)
	}
	return made.Key.Key
}

// withKey writes a request with an API key and further header lines.
func withKey(path, key string, lines ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: bench\r\nAccept: application/json\r\nAuthorization: Bearer %s\r\n", path, key)
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// benchKeys compares requests with an API key, its scope and its tier with a
// server that checks nothing, proxied and at /_auth/verify.
func benchKeys(t *testing.T, p plan, tb *table, gate, upstream process) {
	key := makeKey(t, gate)
	results := compare(t, p,
		target{"bare ReverseProxy", startRole(t, "proxy", envTarget+"=http://"+upstream.addr), withKey("/v1/streams/str_1", key), upstreamBody},
		target{"API key", gate, withKey("/v1/streams/str_1", key), upstreamBody})
	tb.compare("proxied with API key, scope and tier ÷ bare ReverseProxy", results[1], results[0], 0.95)
	results = compare(t, p,
		target{"handler that writes 200", startRole(t, "ok"), withKey("/_auth/verify", key, asked...), "\r\n\r\n"},
		target{"API key", gate, withKey("/_auth/verify", key, asked...), "\r\n\r\n"})
	tb.compare("/_auth/verify with API key ÷ a handler that writes 200", results[1], results[0], 0.85)
}

// benchStoredKeys measures the program with many API keys in its store: start and
// memory, and the first use of a key.
func benchStoredKeys(t *testing.T, p plan, tb *table, binary string, upstream process) {
	guard, file := writeGuard(t, upstream.addr, p.cost), filepath.Join(t.TempDir(), "keys.db")
	secret := filepath.Join(guard, "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("5ecret", 11)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T) daemon { return startStored(t, binary, guard, file, secret) }
	t.Run("first key", func(t *testing.T) { makeKey(t, start(t).process) })
	all, used := 1000, 20
	if p.full {
		all, used = 1_000_000, 20_000
	}
	keys := fillKeys(t, file, strings.Repeat("5ecret", 11), all, used)

	request := withKey("/v1/streams/str_1", keys[0])
	var starts, memory []float64
	if p.full {
		t.Run("starts", func(t *testing.T) {
			for range 7 {
				d := start(t)
				newFleet(t, target{name: "wavegate", process: d.process, request: request, answer: upstreamBody}, 1)
				starts = append(starts, time.Since(d.started).Seconds())
				memory = append(memory, d.residentMB(t))
			}
		})
		tb.atMost("with 1M stored API keys: start to the first guarded answer", spreadOf(starts).median, 1, "%.2f s")
		tb.atMost("memory then", spreadOf(memory).median, 150, "%.0f MB")
	}
	t.Run("uses", func(t *testing.T) { benchKeyUses(t, tb, start(t), keys) })
}

// startStored starts what is measured with a store that is filled.
func startStored(t *testing.T, binary, guard, file, secret string) daemon {
	t.Helper()
	if binary == "" || os.Getenv("WAVEGATE_BENCH_PROFILE") != "" {
		begun := time.Now()
		return daemon{startRole(t, "wavegate", envDir+"="+guard, envKeys+"=sqlite:"+file), begun}
	}
	return startDaemon(t, binary, guard, "--store", "sqlite:"+file, "--secret-file", secret)
}

// benchKeyUses asks with each key twice, on one connection: the first time it is
// read from the store, the second time it is remembered.
func benchKeyUses(t *testing.T, tb *table, gate daemon, keys []string) {
	c, err := dial(gate.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	var rounds [2][]float64 // milliseconds
	for i := range rounds {
		for _, key := range keys {
			request := withKey("/v1/streams/str_1", key)
			begin := time.Now()
			if got := c.ask(t, request); !strings.HasSuffix(got, upstreamBody) {
				t.Fatalf("answered\n%s", got)
			}
			rounds[i] = append(rounds[i], time.Since(begin).Seconds()*1000)
		}
	}
	first, again := slices.Sorted(slices.Values(rounds[0])), slices.Sorted(slices.Values(rounds[1]))
	n := len(keys)
	tb.atMost("request with an API key that has to be looked up, median", first[n/2], 1, "%.2f ms")
	tb.add(row{what: "its p99", measured: fmt.Sprintf("%.2f ms", first[n*99/100])})
	tb.add(row{what: "for comparison: with one that is remembered, median", measured: fmt.Sprintf("%.2f ms", again[n/2])})
	if n > 1000 {
		tb.add(row{what: fmt.Sprintf("memory with %d API keys in use", n), measured: fmt.Sprintf("%.0f MB", gate.residentMB(t))})
	}
}

// fillKeys copies the one key in the store until there are as many as wanted, and
// returns some that are known.
func fillKeys(t *testing.T, file, secret string, all, used int) (keys []string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=synchronous(OFF)&_pragma=cache_size(-200000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	columns := column(t, tx, "SELECT name FROM pragma_table_info('api_keys')")
	// A copy of the one key, but for what must differ; all belong to different owners.
	values := func(id, hash string) string {
		list := slices.Clone(columns)
		for i, name := range list {
			switch name {
			case "id", "account":
				list[i] = id
			case "hash":
				list[i] = hash
			case "prefix":
				list[i] = "'wave_live_' || " + id
			case "owner":
				list[i] = "'key:' || " + id
			}
		}
		return strings.Join(list, ", ")
	}
	const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
	do := func(query string, args ...any) {
		if _, err := tx.Exec(query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	do("CREATE TEMP TABLE one AS SELECT * FROM api_keys")
	do("INSERT INTO api_keys ("+strings.Join(columns, ", ")+") "+numbers+"SELECT "+
		values("printf('key_%08x', i) || lower(hex(randomblob(9)))", "unhex(printf('%08x', i * 4000) || hex(randomblob(28)))")+" FROM n, one", all-used)
	mac, err := hkdf.Key(sha256.New, []byte(secret), nil, "wavegate api keys", 32)
	if err != nil {
		t.Fatal(err)
	}
	own, err := tx.Prepare("INSERT INTO api_keys (" + strings.Join(columns, ", ") + ") SELECT " + values("?1", "?2") + " FROM one")
	if err != nil {
		t.Fatal(err)
	}
	for i := range used {
		key := fmt.Sprintf("wave_live_%032x", sha256.Sum256(fmt.Append(nil, "key ", i)))[:len("wave_live_")+32]
		h := hmac.New(sha256.New, mac)
		h.Write([]byte(key))
		if _, err := own.Exec(fmt.Sprintf("key_used%d", i), h.Sum(nil)); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	return keys
}
