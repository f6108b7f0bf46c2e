package server

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"wavegate/server/limit"
)

// A keyCanary pushes API keys into everything that takes input, and looks for their
// secret parts in everything that comes out.
type keyCanary struct {
	attacked
	secrets map[string]string // whole keys, by what they are
	mu      sync.Mutex        // guards seen: webhooks arrive beside
	seen    map[string]string // by where it came from
}

func (c *keyCanary) see(where, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[fmt.Sprintf("%s (%d)", where, len(c.seen))] = text
}

// keep sees an answer, but for the fields that reveal a key, which it learns.
func (c *keyCanary) keep(what string, a answer) answer {
	c.t.Helper()
	text := a.body
	if a.StatusCode < 300 {
		for _, secret := range c.revealed(what, a) {
			text = strings.ReplaceAll(text, secret, "")
		}
	}
	c.see(what, fmt.Sprint(a.Header)+text)
	return a
}

// revealed returns the keys that an answer is there to show.
func (c *keyCanary) revealed(what string, a answer) []string {
	var v struct {
		Key    string `json:"key"`
		Trial  string `json:"api_key"`
		Fresh  string `json:"new_api_key"`
		New    minted `json:"new_key"`
		Minted minted
	}
	_ = json.Unmarshal([]byte(a.body), &v) // other shapes leave it empty
	var made struct {
		Key minted `json:"api_key"`
	}
	_ = json.Unmarshal([]byte(a.body), &made)
	var all []string
	for _, key := range []string{v.Key, v.Trial, v.Fresh, v.New.Key, made.Key.Key} {
		if key != "" {
			all = append(all, key)
			c.secrets[fmt.Sprint(what, " ", len(c.secrets))] = key
		}
	}
	return all
}

// canaryBodies put a secret into every field that a call of the API has, one way or the
// other.
func canaryBodies(secret string) []string {
	q := fmt.Sprintf("%q", secret)
	all := `"description":%[1]s,"environment":%[1]s,"role":%[1]s,"scopes":[%[1]s],"allowed_ips":[%[1]s],"metadata":{"a":%[1]s},"rate_limit_tier":%[1]s,"owner":%[1]s,` +
		`"expires_at":%[1]s,"url":%[1]s,"events":[%[1]s],"ip":%[1]s,"grace_period_hours":%[1]s,"hash":%[1]s,"request":%[1]s,"as":%[1]s,"disabled":%[1]s,"ops_limit":%[1]s,"budget":{"operations_per_day":%[1]s}`
	return []string{
		`{"name":"good"}`, `{"environment":"test"}`, // with nothing but the headers
		fmt.Sprintf(`{"name":%s}`, q), fmt.Sprintf(`{"name":"x","description":"see %s here"}`, secret), fmt.Sprintf(`{"name":"x","metadata":{%s:1}}`, q),
		fmt.Sprintf(`{"name":"x","metadata":{"a":[{"b":%s}]}}`, q), fmt.Sprintf(`{"name":"x","metadata":{"a":"\u0077%s"}}`, secret[1:]), fmt.Sprintf(`{"name":"x","owner":"sub:%s"}`, secret),
		fmt.Sprintf(`{"name":%[1]s,`+all+`}`, q), fmt.Sprintf(`{%s:1}`, q), q, "[" + q, secret, fmt.Sprintf(`{"key":%s}`, q), fmt.Sprintf(`{"url":"http://127.0.0.1:1/%s"}`, secret),
		fmt.Sprintf(`{"url":"http://127.0.0.1:1/?k=%s"}`, strings.ReplaceAll(secret, "_", "%5F")), fmt.Sprintf(`{"url":"http://127.0.0.1:1/","description":%s}`, q),
		fmt.Sprintf(`{"hash":"%064d","name":%s,"metadata":{"k":%s}}`, len(secret), q, q), fmt.Sprintf(`{"register_app":{"mode":"unicast","route":"/r","address":"http://u:%[1]s@127.0.0.1:1","key_id":%[2]s,"key_secret":%[2]s}}`, secret, q),
	}
}

// push sends a key through every line of the route table.
func (c *keyCanary) push(secret string) {
	c.t.Helper()
	query := url.Values{}
	for _, name := range []string{"cursor", "limit", "q", "owner", "role", "status", "environment", "all", "actor", "action", "target", "ip", "from", "to", "key", "by", "span", "kind", "subject", "format", "state", "next", secret} {
		query.Set(name, secret)
	}
	everywhere := []string{"Idempotency-Key", secret, "User-Agent", secret, "Referer", "https://x/" + secret, "Origin", "https://" + secret, "X-Request-Id", secret, "Wave-Key-ID", secret, "Wave-Session-ID", secret, "Traceparent", secret, "Cookie", "wavegate=" + secret + "; x=" + secret}
	credentials := [][]string{nil, {"Authorization", basic("root", "secret")}, {"Authorization", "Bearer " + secret}, {"X-API-Key", secret}, {"Authorization", secret}, {"Authorization", basic(secret, secret)}, {"Authorization", "Digest " + secret}}
	methods := func(rt route) []string {
		if rt.method == "*" {
			return []string{"GET"}
		}
		return []string{rt.method}
	}
	table := append(c.table, route{"GET", "/things", nil}, route{"POST", "/" + secret, nil}, route{"GET", "/broken/" + secret, nil}, route{"POST", "/", nil})
	for _, rt := range table {
		path := rt.path
		for _, name := range []string{"{id}", "{prefix}", "{delivery_id}"} {
			path = strings.ReplaceAll(path, name, secret)
		}
		for _, method := range methods(rt) {
			for i, credential := range credentials {
				what := method + " " + rt.path
				headers := append([]string{"X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i)}, credential...)
				c.keep(what, c.do(method, path+"?"+query.Encode(), "", append(headers, "Accept", "application/json")...))
				c.keep(what, c.do(method, path, "", append(headers, everywhere...)...))
				if method == "GET" || method == "DELETE" || i == 0 || i > 2 { // without a credential no body is read
					continue
				}
				for n, body := range canaryBodies(secret) {
					c.keep(fmt.Sprint(what, " body ", n), c.do(method, path, body, append(headers, "Content-Type", "application/json", "Idempotency-Key", secret+fmt.Sprint(what, i, n))...))
				}
			}
		}
	}
}

// TestSecretAPIKeysAreFoundNowhere pushes keys of every kind through every endpoint.
func TestSecretAPIKeysAreFoundNowhere(t *testing.T) {
	t.Parallel()
	c := &keyCanary{secrets: map[string]string{}, seen: map[string]string{}}
	hooks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.see("webhook "+r.Header.Get("webhook-id"), fmt.Sprint(r.Header)+string(body))
		w.WriteHeader(http.StatusInternalServerError) // what it was told is kept, with what it says
		_, _ = w.Write(body)
	}))
	defer hooks.Close()
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/broken") {
			panic(http.ErrAbortHandler)
		}
	}))
	defer app.Close()
	c.attacked = attackIn(t, app.URL, "", func(cfg *Config) { cfg.LogLevel, cfg.MetricsListen = "debug", "127.0.0.1:0" })
	c.lockouts = limit.NewLockouts(limit.LockoutConfig{KeyTries: 3, IPTries: 4000}) // locks of keys are told
	c.table = append(c.table, route{"GET", "/_auth/panic", func(*exchange, *http.Request) error { var s *Server; return s.status(nil, nil) }})
	c.by("root", "POST", "/v1/auth/webhooks", `{"url":"`+hooks.URL+`","all":true}`).want(t, 201, "")

	// Keys in every state.
	live, rotated, dead := c.mint("root", `"scopes":["*"]`), c.mint("ci", `"scopes":["*"]`), c.mint("ci", `"scopes":["*"]`)
	c.secrets["live"], c.secrets["rotated"], c.secrets["revoked"] = live.Key, rotated.Key, dead.Key
	c.secrets["unknown"], c.secrets["wrong"] = "wave_live_00000000"+strings.Repeat("c", 24), dead.Prefix+strings.Repeat("d", 24)
	c.keep("self-rotation", c.do("POST", "/api/v1/keys/apikey/rotate", "", bearer(rotated.Key)...))
	c.keep("rotation", c.by("root", "POST", "/v1/auth/keys/"+live.ID+"/rotate", `{"grace_period_hours":1}`))
	c.keep("revocation", c.by("ci", "DELETE", "/v1/auth/keys/"+dead.ID, ""))
	c.keep("trial", c.do("POST", "/api/v1/onboarding/temp-key", ""))
	c.keep("short", c.by("ci", "POST", "/api/v1/user/api-keys", `{"environment":"dev"}`))
	for _, secret := range []string{c.secrets["unknown"], c.secrets["wrong"], c.secrets["revoked"], live.Key} {
		c.push(secret)
	}
	for _, path := range []string{"/v1/auth/audit", "/v1/auth/audit/export", "/v1/auth/usage?all=true&by=key,owner,route", "/v1/auth/keys?all=true", "/v1/auth/keys/export?all=true", "/v1/auth/lockouts", "/v1/auth/webhooks?all=true"} {
		c.keep(path, c.by("root", "GET", path, ""))
	}
	res, err := http.Get("http://" + c.MetricsAddr().String() + "/metrics")
	must(t, err)
	metrics, err := io.ReadAll(res.Body)
	must(t, err)
	res.Body.Close()
	c.see("metrics", string(metrics))
	must(t, c.stop())
	c.see("log", c.log.String())
	c.readDatabase(filepath.Join(c.cfg.DataDir, "wavegate.db"))
	c.look()
}

// readDatabase sees every column of every row of every table.
func (c *keyCanary) readDatabase(file string) {
	c.t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	must(c.t, err)
	defer db.Close()
	tables := c.rows(db, "SELECT name FROM sqlite_master WHERE type = 'table'")
	for _, table := range tables {
		for _, row := range c.rows(db, `SELECT * FROM "`+table+`"`) {
			c.see("table "+table, row)
		}
	}
	if len(tables) < 10 {
		c.t.Errorf("only the tables %q", tables)
	}
}

// rows returns the rows of a query as text.
func (c *keyCanary) rows(db *sql.DB, query string) (all []string) {
	c.t.Helper()
	rows, err := db.QueryContext(c.t.Context(), query)
	must(c.t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(c.t, err)
	for rows.Next() {
		values, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		must(c.t, rows.Scan(into...))
		var texts []string
		for _, v := range values {
			texts = append(texts, string(v))
		}
		all = append(all, strings.Join(texts, "\x1f"))
	}
	must(c.t, rows.Err())
	return all
}

// look searches everything seen for the secret part of every key.
func (c *keyCanary) look() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	found := 0
	for what, key := range c.secrets {
		secret := key[len(key)-24:]
		for where, text := range c.seen {
			if at := strings.Index(text, secret); at >= 0 && found < 20 {
				found++
				c.t.Errorf("%s shows the %s key: …%q", where, what, text[max(0, at-160):at])
			}
		}
	}
	places := map[string]int{}
	for where := range c.seen {
		kind, _, _ := strings.Cut(where, " ")
		places[kind]++
	}
	for kind, least := range map[string]int{"webhook": 5, "table": 100, "log": 1, "metrics": 1, "GET": 300, "POST": 500, "PATCH": 50, "DELETE": 50} {
		if places[kind] < least {
			c.t.Errorf("%d of %s were seen, want %d: the test says little", places[kind], kind, least)
		}
	}
	if len(c.secrets) < 9 {
		c.t.Errorf("only %d keys were looked for", len(c.secrets))
	}
	for where, text := range c.seen {
		if strings.HasPrefix(where, "log") {
			for _, needed := range []string{`"msg":"panic"`, `"msg":"lockout"`, `"code":"bad_gateway"`, `"msg":"suspicious activity"`} {
				if !strings.Contains(text, needed) {
					c.t.Errorf("the log has no %s: the test says little", needed)
				}
			}
		}
	}
}
