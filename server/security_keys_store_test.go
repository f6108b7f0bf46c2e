package server

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/store/storetest"
)

// TestSecretsOfKeysAreFoundNowhere pushes keys through every call and looks for
// them in what is not the one answer that reveals them.
func TestSecretsOfKeysAreFoundNowhere(t *testing.T) {
	t.Parallel()
	var dir string
	ts := keyServer(t, func(c *Config) { c.LogLevel, c.MetricsListen, dir = "debug", "127.0.0.1:0", c.DataDir })
	ts.subscribe()
	var secrets []string
	seen := map[string]string{}
	see := func(what string, a answer) { seen[what+" "+fmt.Sprint(len(seen))] = fmt.Sprint(a.Header) + a.body }
	made := ts.makeKey("all", `{"name":"canary","scopes":["*"]}`)
	self := ts.do("POST", "/api/v1/keys/apikey/rotate", "", by(made.Key)...).want(t, 200, "").object(t)["new_api_key"].(string)
	trial := ts.do("POST", "/api/v1/onboarding/temp-key", "").want(t, 200, "").object(t)["api_key"].(string)
	secrets = append(secrets, made.Key, self, trial, "wave_live_"+strings.Repeat("c", 32))
	for _, secret := range secrets {
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/v1/auth/keys", ""},
			{"GET", "/v1/auth/keys/" + made.ID, ""},
			{"GET", "/v1/auth/keys/export", ""},
			{"GET", "/v1/auth/status", ""},
			{"POST", "/v1/auth/keys/verify", `{"key":"` + secret + `"}`},
			{"POST", "/v1/auth/keys", `{"name":"x","scopes":["` + secret + `"],"role":"` + secret + `","environment":"` + secret + `","rate_limit_tier":"` + secret + `","allowed_ips":["` + secret + `"],"expires_at":"` + secret + `","owner":"` + secret + `"}`},
			{"PATCH", "/v1/auth/keys/" + made.ID, `{"scopes":["` + secret + `"],"role":"` + secret + `"}`},
			{"POST", "/v1/auth/keys/import", `{"hash":"` + secret + `","owner":"` + secret + `"}`},
			{"POST", "/api/v1/user/api-keys", `{"environment":"` + secret + `"}`},
			{"GET", "/v1/streams", ""},
		} {
			see(c.path, ts.do(c.method, c.path, c.body, by("root")...))
			see(c.path, ts.do(c.method, c.path, c.body, by(secret)...))
			see(c.path, ts.do(c.method, c.path, c.body, "X-API-Key", secret))
		}
	}
	for _, path := range []string{"/v1/auth/audit", "/v1/auth/usage", "/v1/auth/keys?all=true", "/v1/auth/keys/export?all=true", "/v1/auth/lockouts"} {
		see(path, ts.do("GET", path, "", by("root")...))
	}
	res, err := http.Get("http://" + ts.MetricsAddr().String() + "/metrics")
	must(t, err)
	defer res.Body.Close()
	metrics, err := io.ReadAll(res.Body)
	must(t, err)
	seen["metrics"] = string(metrics)
	must(t, ts.stop())
	seen["log"] = ts.log.String()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		must(t, err)
		seen[filepath.Base(name)] = string(data)
	}
	for where, text := range seen {
		for i, secret := range secrets {
			if strings.Contains(text, secret[len("wave_live_")+8:]) {
				t.Errorf("secret %d is in %s: %.300s", i, where, text)
			}
		}
	}
	if len(seen) < 100 || !strings.Contains(seen["log"], made.ID) && !strings.Contains(seen["log"], "/v1/auth/keys") {
		t.Errorf("only %d places were looked at", len(seen))
	}
}

func TestKeysWithoutAStoreAreNeitherMadeNorChanged(t *testing.T) {
	t.Parallel()
	cable, database := newCable(t, storetest.Postgres(t))
	ts := keyServer(t, func(c *Config) { c.Store = database })
	k := ts.makeKey("all", `{"name":"kept","scopes":["streams:read"]}`)
	before := ts.stored(k.ID)
	ts.do("GET", "/v1/streams", "", by(k.Key)...).want(t, 200, "")
	cable.pull()
	eventually(t, "readiness tells", func() bool { return ts.do("GET", "/_health/ready", "").StatusCode == 503 })
	for _, c := range []struct{ as, method, path, body string }{
		{"all", "POST", "/v1/auth/keys", `{"name":"lost"}`},
		{"all", "GET", "/v1/auth/keys", ""},
		{"all", "GET", "/v1/auth/keys/export", ""},
		{"all", "GET", "/v1/auth/keys/" + k.ID, ""},
		{"all", "PATCH", "/v1/auth/keys/" + k.ID, `{"name":"lost"}`},
		{"all", "DELETE", "/v1/auth/keys/" + k.ID, ""},
		{"all", "POST", "/v1/auth/keys/" + k.ID + "/rotate", ""},
		{"all", "POST", "/v1/auth/keys/verify", `{"key":"wave_live_00000000000000000000000000000000"}`},
		{"root", "POST", "/v1/auth/keys/import", `{"hash":"` + strings.Repeat("0", 64) + `"}`},
		{"all", "POST", "/api/v1/user/api-keys", `{"environment":"live"}`},
		{"all", "DELETE", "/api/v1/user/api-keys/" + k.ID, ""},
		{"all", "GET", "/api/v1/user/api-keys", ""},
		{"", "POST", "/api/v1/onboarding/temp-key", ""},
		{"wave_live_" + strings.Repeat("0", 32), "GET", "/v1/streams", ""},
	} {
		var as []string
		if c.as != "" {
			as = by(c.as)
		}
		a := ts.do(c.method, c.path, c.body, as...)
		if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, `"store_unavailable"`) {
			t.Errorf("%s %s: %d, Retry-After %q, %s", c.method, c.path, a.StatusCode, a.Header.Get("Retry-After"), a.body)
		}
	}
	cable.plug()
	eventually(t, "it works again", func() bool { return ts.do("GET", "/v1/auth/keys", "", by("all")...).StatusCode == 200 })
	after := ts.stored(k.ID)
	before.LastUsedAt, after.LastUsedAt = noTime, noTime
	before.Networks, after.Networks = nil, nil
	if diff := cmp.Diff(before, after, cmp.Comparer(samePrefix)); diff != "" || len(ts.storedKeys()) != 1 {
		t.Errorf("%d keys; the one that there was:\n%s", len(ts.storedKeys()), diff)
	}
	for range keysAnHour { // what failed was not counted
		ts.do("POST", "/api/v1/user/api-keys", `{"environment":"live"}`, by("all")...).want(t, 201, "")
	}
	ts.do("POST", "/api/v1/user/api-keys", `{"environment":"live"}`, by("all")...).want(t, 429, "rate_limit_exceeded")
}
