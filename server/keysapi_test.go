package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/keychain/apikey"
	"wavegate/server/store"
)

// A call is one line of a table of requests.
type call struct {
	what         string
	as           string // access key or API key; "" is nobody
	method, path string
	body         string
	headers      []string
	status       int
	code         string   // of the error
	has, hasNot  []string // in the body
}

// run sends the calls of a table in their order. {name} in path, body and
// credential is put in.
func (ts *testServer) run(names map[string]string, calls []call) {
	ts.t.Helper()
	for _, c := range calls {
		fill := func(s string) string {
			for name, value := range names {
				s = strings.ReplaceAll(s, "{"+name+"}", value)
			}
			return s
		}
		headers := c.headers
		if c.as != "" {
			headers = append(by(fill(c.as)), headers...)
		}
		a := ts.do(c.method, fill(c.path), fill(c.body), headers...)
		what := fmt.Sprintf("%s: %s %s", c.what, c.method, c.path)
		if a.StatusCode != c.status || c.code != "" && !strings.Contains(a.body, `"code":"`+c.code+`"`) {
			ts.t.Errorf("%s: %d %s, want %d %s", what, a.StatusCode, a.body, c.status, c.code)
		}
		for _, s := range c.has {
			if !strings.Contains(a.body, fill(s)) {
				ts.t.Errorf("%s: %q is not in %s", what, fill(s), a.body)
			}
		}
		for _, s := range c.hasNot {
			if strings.Contains(a.body, fill(s)) {
				ts.t.Errorf("%s: %q is in %s", what, fill(s), a.body)
			}
		}
		if got := a.Header.Get("Cache-Control"); got != "no-store" {
			ts.t.Errorf("%s: Cache-Control %q", what, got)
		}
	}
}

func TestNewKeyShowsEverythingAndTheSecretOnce(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	told := ts.subscribe()
	a := ts.do("POST", "/v1/auth/keys", `{"name":" Production API Key ","description":"two\nlines","scopes":["streams:read","streams:write"],
		"expires_in_days":90,"allowed_ips":["127.0.0.1","::ffff:10.0.0.0/104","2001:db8::/32"],"metadata":{"service": "encoder"},
		"rate_limit_tier":"pro","ops_limit":1000,"budget":{"operations_per_month":900}}`, by("all")...)
	made := madeBy(t, a)
	view := a.object(t)["api_key"].(map[string]any)
	parts, ok := apikey.Parse(made.Key)
	if !ok || parts.Brand != "wave" || parts.Environment != apikey.Live || parts.Prefix != made.Prefix {
		t.Errorf("the key %q is %+v, its prefix %q", made.Key, parts, made.Prefix)
	}
	created, err := time.Parse(time.RFC3339, view["created_at"].(string))
	must(t, err)
	want := map[string]any{
		"id": made.ID, "key": made.Key, "prefix": made.Prefix, "name": "Production API Key", "description": "two\nlines",
		"environment": "live", "role": nil, "scopes": []any{"streams:read", "streams:write"},
		"allowed_ips": []any{"127.0.0.1", "10.0.0.0/8", "2001:db8::/32"}, "metadata": map[string]any{"service": "encoder"},
		"rate_limit_tier": "pro", "ops_limit": 1000.0, "budget": map[string]any{"operations_per_day": nil, "operations_per_month": 900.0},
		"owner": "key:all", "status": "active", "created_at": rfc3339(created), "expires_at": rfc3339(created.AddDate(0, 0, 90)),
		"last_used_at": nil, "deprecated_at": nil, "revoked_at": nil, "replaced_by": nil, "version": 1.0,
	}
	if diff := cmp.Diff(want, view); diff != "" {
		t.Errorf("the new key (-want +got):\n%s", diff)
	}
	if w, _ := a.object(t)["warning"].(string); w == "" {
		t.Error("no warning that the key is shown once")
	}
	delete(want, "key")
	want["left"] = map[string]any{
		"operations": map[string]any{"limit": 1000.0, "remaining": 1000.0}, "operations_per_day": nil,
		"operations_per_month": map[string]any{"limit": 900.0, "remaining": 900.0},
	}
	one := ts.do("GET", "/v1/auth/keys/"+made.ID, "", by("all")...).want(t, 200, "")
	if diff := cmp.Diff(map[string]any{"api_key": want}, one.object(t)); diff != "" {
		t.Errorf("the key later (-want +got):\n%s", diff)
	}
	ts.do("POST", "/v1/streams", "", by(made.Key)...).want(t, 200, "")
	ts.do("POST", "/v1/billing", "", by(made.Key)...).want(t, 403, "insufficient_scope")
	if ts.audited("key.create", made.ID) != 1 || told("key_created") != 1 {
		t.Errorf("written down %d times, told %d times", ts.audited("key.create", made.ID), told("key_created"))
	}
	eventually(t, "the last use is seen", func() bool {
		return ts.do("GET", "/v1/auth/keys/"+made.ID, "", by("all")...).object(t)["api_key"].(map[string]any)["last_used_at"] != nil
	})
}

func TestKeysAPI(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	names := map[string]string{}
	for name, of := range map[string][2]string{
		"all1": {"all", `{"name":"first","environment":"test","role":"viewer"}`},
		"all2": {"all", `{"name":"second","scopes":["*"]}`},
		"mine": {"narrow", `{"name":"mine","scopes":["streams:read","keys:read"]}`},
		"dead": {"all", `{"name":"dead","scopes":[]}`},
	} {
		made := ts.makeKey(of[0], of[1])
		names[name], names[name+"-key"] = made.ID, made.Key
	}
	const keys, one = "/v1/auth/keys", "/v1/auth/keys/{all1}"
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	ts.run(names, []call{
		{what: "nobody", method: "POST", path: keys, body: `{"name":"x"}`, status: 401, code: "credential_required"},
		{what: "nobody", method: "GET", path: one, status: 401, code: "credential_required"},
		{what: "wrong", method: "GET", path: keys, headers: []string{"Authorization", basic("all", "wrong")}, status: 401, code: "invalid_access_key"},
		{what: "a key that is none", as: "wave_live_" + strings.Repeat("0", 32), method: "GET", path: keys, status: 401, code: "invalid_api_key"},
		{what: "a key without the scope", as: "{all1-key}", method: "POST", path: keys, body: `{"name":"x"}`, status: 403, code: "insufficient_scope", has: []string{"keys:write"}},
		{what: "a viewer", as: "{all1-key}", method: "GET", path: one, status: 200, has: []string{`"name":"first"`}},
		{what: "PUT", as: "all", method: "PUT", path: one, status: 405, code: "method_not_allowed"},
		{what: "POST to a key", as: "all", method: "POST", path: one, status: 405},
		{what: "GET of a rotation", as: "all", method: "GET", path: one + "/rotate", status: 405},
		{what: "no such call", as: "all", method: "POST", path: one + "/renew", status: 404},
		{what: "a stranger's id", as: "all", method: "GET", path: keys + "/key_none", status: 404},
		{what: "no id at all", as: "all", method: "GET", path: keys + "/%ff", status: 404},
		{what: "curl -d", as: "all", method: "POST", path: keys, body: `{"name":"curl"}`, headers: form, status: 201, has: []string{`"environment":"live"`}},
		{what: "a form", as: "all", method: "POST", path: keys, body: `name=x`, headers: form, status: 415, code: "unsupported_media_type"},
		{what: "text", as: "all", method: "POST", path: keys, body: `{"name":"x"}`, headers: []string{"Content-Type", "text/plain"}, status: 415},
		{what: "too large", as: "all", method: "POST", path: keys, body: `{"name":"` + strings.Repeat("x", maxAPIBody) + `"}`, status: 413, code: "too_large"},
		{what: "no JSON", as: "all", method: "POST", path: keys, body: `{"name":`, status: 400, code: "invalid_request"},
		{what: "a list", as: "all", method: "POST", path: keys, body: `[]`, status: 400, code: "invalid_request"},
		{what: "nothing", as: "all", method: "POST", path: keys, status: 400, has: []string{`"field":"name"`}},
		{what: "another site", as: "all", method: "POST", path: keys, body: `{"name":"x"}`, headers: []string{"Origin", "https://evil.example"}, status: 403, code: "cross_origin"},

		{what: "change", as: "all", method: "PATCH", path: one, body: `{"name":"other","metadata":{"a":1},"ops_limit":7,"budget":{"operations_per_day":3}}`, status: 200, has: []string{`"name":"other"`, `"metadata":{"a":1}`, `"ops_limit":7`, `"operations_per_day":3`, `"role":"viewer"`}},
		{what: "clear", as: "all", method: "PATCH", path: one, body: `{"role":null,"metadata":null,"ops_limit":null,"budget":null,"description":null,"rate_limit_tier":null,"expires_at":null,"allowed_ips":null}`, status: 200, has: []string{`"role":null`, `"metadata":{}`, `"ops_limit":null`, `"budget":null`, `"name":"other"`}},
		{what: "null that cannot be", as: "all", method: "PATCH", path: one, body: `{"name":null,"scopes":null,"expires_in_days":null}`, status: 400, has: []string{`"field":"name"`, `"field":"scopes"`, `"field":"expires_in_days"`}},
		{what: "what stays", as: "all", method: "PATCH", path: one, body: `{"environment":"live","owner":"key:root"}`, status: 400, has: []string{`"field":"environment"`, `"field":"owner"`}},
		{what: "nothing", as: "all", method: "PATCH", path: one, body: `{}`, status: 400},
		{what: "scopes away", as: "all", method: "PATCH", path: one, body: `{"scopes":[]}`, status: 200, has: []string{`"scopes":[]`}},

		{what: "a list of one's own", as: "narrow", method: "GET", path: keys, status: 200, has: []string{"{mine}"}, hasNot: []string{"{all1}", "{all2}"}},
		{what: "somebody's", as: "narrow", method: "GET", path: keys + "?owner=key:all", status: 403, code: "insufficient_role"},
		{what: "everybody's", as: "narrow", method: "GET", path: keys + "?all=true", status: 403, code: "insufficient_role"},
		{what: "an administrator: own", as: "root", method: "GET", path: keys, status: 200, has: []string{`"api_keys":[]`}},
		{what: "an administrator: all", as: "root", method: "GET", path: keys + "?all=true", status: 200, has: []string{"{mine}", "{all1}", "{all2}"}},
		{what: "an administrator: of one", as: "root", method: "GET", path: keys + "?owner=key:narrow", status: 200, has: []string{"{mine}"}, hasNot: []string{"{all1}"}},
		{what: "an environment", as: "all", method: "GET", path: keys + "?environment=test", status: 200, has: []string{"{all1}"}, hasNot: []string{"{all2}"}},
		{what: "a search", as: "all", method: "GET", path: keys + "?q=SECOND", status: 200, has: []string{"{all2}"}, hasNot: []string{"{all1}"}},
		{what: "what cannot be asked", as: "all", method: "GET", path: keys + "?environment=prod&status=gone&cursor=1&all=yes&q=%00", status: 400, has: []string{`"field":"environment"`, `"field":"status"`, `"field":"cursor"`, `"field":"all"`, `"field":"q"`}},
		{what: "a limit", as: "all", method: "GET", path: keys + "?limit=0", status: 400},
		{what: "a limit", as: "all", method: "GET", path: keys + "?limit=201", status: 400},

		{what: "revoke", as: "all", method: "DELETE", path: keys + "/{dead}", status: 204},
		{what: "revoke again", as: "all", method: "DELETE", path: keys + "/{dead}", status: 204},
		{what: "use", as: "{dead-key}", method: "GET", path: "/v1/auth/status", status: 401, code: "invalid_api_key"},
		{what: "by status", as: "all", method: "GET", path: keys + "?status=revoked", status: 200, has: []string{"{dead}", `"status":"revoked"`}, hasNot: []string{"{all1}"}},
		{what: "change what is revoked", as: "all", method: "PATCH", path: keys + "/{dead}", body: `{"name":"alive"}`, status: 409, code: "key_not_active"},
		{what: "rotate what is revoked", as: "all", method: "POST", path: keys + "/{dead}/rotate", status: 409, code: "key_not_active"},

		{what: "a grace that is none", as: "all", method: "POST", path: one + "/rotate", body: `{"grace_period_hours":721}`, status: 400, has: []string{`"field":"grace_period_hours"`}},
		{what: "a grace below none", as: "all", method: "POST", path: one + "/rotate", body: `{"grace_period_hours":-1}`, status: 400},
		{what: "half an hour", as: "all", method: "POST", path: one + "/rotate", body: `{"grace_period_hours":0.5}`, status: 400},
		{what: "rotate", as: "all", method: "POST", path: one + "/rotate", body: `{"grace_period_hours":24}`, headers: form, status: 200, has: []string{`"new_key":{"id":"key_`, `"key":"wave_test_`, `"old_key":{"id":"{all1}","deprecated_at":"`}},
		{what: "the old key works on", as: "{all1-key}", method: "GET", path: "/_auth/userinfo", status: 200},
		{what: "rotate again", as: "all", method: "POST", path: one + "/rotate", status: 409, code: "conflict"},
		{what: "a longer grace", as: "all", method: "PATCH", path: one, body: `{"expires_in_days":2}`, status: 400, has: []string{"rotated"}},
		{what: "the grace for ever", as: "all", method: "PATCH", path: one, body: `{"expires_at":null}`, status: 400, has: []string{"rotated"}},

		{what: "status", as: "narrow", method: "GET", path: "/v1/auth/status", status: 200, has: []string{`"status":"ok"`, `"auth_method":"access-key"`, `"owner":"key:narrow"`, `"admin":false`, `"requests":{"limit":9000,"window_seconds":60`}},
		{what: "status of a key", as: "{mine-key}", method: "GET", path: "/v1/auth/status", status: 403, code: "insufficient_scope"},
	})
}

func TestListsOfKeysGoOnFromTheCursor(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	want := map[string]bool{}
	for i := range 7 {
		want[ts.makeKey("all", fmt.Sprintf(`{"name":"key %d"}`, i)).ID] = true
	}
	got := map[string]bool{}
	path := "/v1/auth/keys?limit=3"
	for pages := 1; ; pages++ {
		page := ts.do("GET", path, "", by("all")...).want(t, 200, "").object(t)
		for _, k := range page["api_keys"].([]any) {
			id := k.(map[string]any)["id"].(string)
			if got[id] {
				t.Errorf("%s is on two pages", id)
			}
			got[id] = true
		}
		next, more := page["next_cursor"].(string)
		if !more {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
		path = "/v1/auth/keys?limit=3&cursor=" + next
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys of all pages (-want +got):\n%s", diff)
	}
	export := ts.do("GET", "/v1/auth/keys/export", "", by("all")...).want(t, 200, "")
	if n := strings.Count(export.body, "\n"); n != len(want) || export.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("the export has %d lines of %s", n, export.Header.Get("Content-Type"))
	}
	for _, k := range ts.storedKeys() {
		if !strings.Contains(export.body, k.ID) || strings.Contains(export.body, fmt.Sprintf("%x", k.Hash)) {
			t.Errorf("%s is not in the export, or its hash is", k.ID)
		}
	}
	ts.do("GET", "/v1/auth/keys/export?all=true", "", by("all")...).want(t, 403, "insufficient_role")
	if got := ts.do("GET", "/v1/auth/keys/export?all=true", "", by("root")...).want(t, 200, ""); strings.Count(got.body, "\n") != len(want) {
		t.Errorf("the administrator's export: %s", got.body)
	}
	if got := ts.do("HEAD", "/v1/auth/keys/export", "", by("all")...); got.StatusCode != 200 || got.body != "" {
		t.Errorf("HEAD: %d %q", got.StatusCode, got.body)
	}
}

// TestEveryWrongFieldIsNamedAtOnce says what is wrong with each field alone and
// then asks with all of them wrong.
func TestEveryWrongFieldIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	long := func(n int) string { return `"` + strings.Repeat("ä", n) + `"` }
	wrong := map[string][]string{ // by the field that is named: fields of the body
		"name": {
			`"name":""`, `"name":"  "`, `"name":` + long(201), `"name":"a\u0000b"`, `"name":"a\nb"`, `"name":"a\u202eb"`, `"name":7`, `"name":null`, `"name":["x"]`,
		},
		"description":     {`"description":` + long(2001), `"description":"\u001b[2J"`, `"description":{}`},
		"environment":     {`"environment":"prod"`, `"environment":"trial"`, `"environment":""`, `"environment":"LIVE"`, `"environment":1`},
		"role":            {`"role":"owner"`, `"role":""`, `"role":"Viewer"`, `"role":[]`},
		"scopes":          {`"scopes":"streams:read"`, `"scopes":[1]`, `"scopes":[` + strings.Repeat(`"*",`, 200) + `"*"]`},
		"scopes[0]":       {`"scopes":["streams:raed"]`, `"scopes":[""]`, `"scopes":["openid"]`, `"scopes":["STREAMS:READ"]`},
		"scopes[1]":       {`"scopes":["streams:read","streams:read"]`},
		"expires_in_days": {`"expires_in_days":0`, `"expires_in_days":-1`, `"expires_in_days":3651`, `"expires_in_days":1.5`, `"expires_in_days":"90"`, `"expires_in_days":1e30`},
		"expires_at": {
			`"expires_at":"2001-01-01T00:00:00Z"`, `"expires_at":"tomorrow"`, `"expires_at":"2999-01-01"`, `"expires_at":"2999-01-01T00:00:00Z"`, `"expires_at":4102444800`,
			`"expires_at":"2030-01-01T00:00:00Z","expires_in_days":7`,
		},
		"allowed_ips": {`"allowed_ips":"10.0.0.1"`, `"allowed_ips":[` + strings.Repeat(`"::1",`, 100) + `"::1"]`},
		"allowed_ips[0]": {
			`"allowed_ips":["10.0.0.1/8"]`, `"allowed_ips":["10.0.0"]`, `"allowed_ips":["10.0.0.0/33"]`, `"allowed_ips":["example.com"]`, `"allowed_ips":[""]`,
			`"allowed_ips":["fe80::1%eth0"]`, `"allowed_ips":["::ffff:0.0.0.0/95"]`, `"allowed_ips":["2001:db8::1/64"]`, `"allowed_ips":["010.0.0.1"]`,
		},
		"allowed_ips[1]":  {`"allowed_ips":["10.0.0.0/8","::ffff:10.0.0.0/104"]`},
		"metadata":        {`"metadata":[]`, `"metadata":"x"`, `"metadata":7`, `"metadata":{"x":` + long(16<<10) + `}`},
		"rate_limit_tier": {`"rate_limit_tier":"gold"`, `"rate_limit_tier":""`, `"rate_limit_tier":3`},
		"ops_limit":       {`"ops_limit":0`, `"ops_limit":-1`, `"ops_limit":1.5`, `"ops_limit":"10"`},
		"budget":          {`"budget":7`, `"budget":{"operations_per_year":1}`, `"budget":{"operations_per_day":"1"}`},

		"budget.operations_per_day":   {`"budget":{"operations_per_day":0}`},
		"budget.operations_per_month": {`"budget":{"operations_per_month":-5}`},

		"owner":  {`"owner":"key:none"`, `"owner":"ann"`, `"owner":""`, `"owner":"usr_none"`, `"owner":"trial"`, `"owner":"cli"`, `"owner":7`},
		"naem":   {`"naem":"x"`},
		"key":    {`"key":"wave_live_00000000000000000000000000000000"`},
		"status": {`"status":"active"`},
	}
	named := func(a answer) map[string]string {
		t.Helper()
		list, _ := a.object(t)["error"].(map[string]any)["fields"].([]any)
		out := map[string]string{}
		for _, f := range list {
			f := f.(map[string]any)
			out[f["field"].(string)] = f["message"].(string)
		}
		return out
	}
	for field, bodies := range wrong {
		for _, body := range bodies {
			if field != "name" {
				body = `"name":"x",` + body
			}
			a := ts.do("POST", "/v1/auth/keys", "{"+body+"}", by("root")...).want(t, 400, "invalid_request")
			if diff := cmp.Diff([]string{field}, slices.Collect(maps.Keys(named(a)))); diff != "" {
				t.Errorf("%.80s: fields (-want +got):\n%s%s", body, diff, a.body)
			}
		}
	}
	all := `{"name":"","description":"\u0000","environment":"prod","role":"owner","scopes":["streams:raed","x"],"expires_in_days":0,"allowed_ips":["10.0.0.1/8"],"metadata":[],
		"rate_limit_tier":"gold","ops_limit":0,"budget":{"operations_per_day":0},"owner":"ann","naem":1}`
	got := named(ts.do("POST", "/v1/auth/keys", all, by("root")...).want(t, 400, "invalid_request"))
	want := []string{
		"allowed_ips[0]", "budget.operations_per_day", "description", "environment", "expires_in_days", "metadata", "naem", "name", "ops_limit", "owner",
		"rate_limit_tier", "role", "scopes[0]", "scopes[1]",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("all at once (-want +got):\n%s", diff)
	}
	for field, hint := range map[string]string{"scopes[0]": "streams:read", "allowed_ips[0]": "10.0.0.0/8", "rate_limit_tier": "enterprise"} {
		if !strings.Contains(got[field], hint) {
			t.Errorf("%s: %q does not say %q", field, got[field], hint)
		}
	}
	if n := len(ts.storedKeys()); n != 0 {
		t.Errorf("%d keys were made", n)
	}
}

func TestVerifyTellsOwnersAndAdministratorsAloneWhoseAKeyIs(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	good := ts.makeKey("all", `{"name":"good-name","scopes":["streams:read"],"metadata":{"plan":"gold"}}`)
	home := ts.makeKey("all", `{"name":"home","allowed_ips":["10.0.0.0/8"]}`)
	gone := ts.makeKey("all", `{"name":"gone"}`)
	ended := ts.makeKey("all", `{"name":"ended","expires_in_days":1}`)
	ts.do("DELETE", "/v1/auth/keys/"+gone.ID, "", by("all")...).want(t, 204, "")
	rec := ts.stored(ended.ID)
	rec.ExpiresAt = time.Now().Add(-time.Second)
	_, err := ts.store.ChangeKey(t.Context(), rec, store.Journal{})
	must(t, err)
	ts.apiKeys.Changed(ended.ID)
	names := map[string]string{"good": good.Key, "home": home.Key, "gone": gone.Key, "ended": ended.Key}
	const path = "/v1/auth/keys/verify"
	ts.run(names, []call{
		{what: "good", as: "all", method: "POST", path: path, body: `{"key":"{good}"}`, status: 200, has: []string{`"valid":true,"code":"valid"`, "good-name"}, hasNot: []string{"{good}"}},
		{what: "good, administrator", as: "root", method: "POST", path: path, body: `{"key":"{good}","scopes":["streams:read"]}`, status: 200, has: []string{`"valid":true`, "gold"}},
		{what: "good, somebody", as: "narrow", method: "POST", path: path, body: `{"key":"{good}"}`, status: 200, has: []string{`"valid":true,"code":"valid","key":null`}, hasNot: []string{"gold", "good-name"}},
		{what: "scopes", as: "all", method: "POST", path: path, body: `{"key":"{good}","scopes":["streams:read","streams:write"]}`, status: 200, has: []string{`"valid":false,"code":"insufficient_scope"`}},
		{what: "revoked", as: "narrow", method: "POST", path: path, body: `{"key":"{gone}"}`, status: 200, has: []string{`"valid":false,"code":"revoked","key":null`}},
		{what: "expired", as: "narrow", method: "POST", path: path, body: `{"key":"{ended}"}`, status: 200, has: []string{`"code":"expired"`}},
		{what: "elsewhere", as: "all", method: "POST", path: path, body: `{"key":"{home}","ip":"192.0.2.1"}`, status: 200, has: []string{`"code":"ip_not_allowed"`}},
		{what: "nowhere", as: "all", method: "POST", path: path, body: `{"key":"{home}"}`, status: 200, has: []string{`"code":"ip_not_allowed"`}},
		{what: "home", as: "all", method: "POST", path: path, body: `{"key":"{home}","ip":"::ffff:10.1.2.3"}`, status: 200, has: []string{`"code":"valid"`}},
		{what: "none", as: "all", method: "POST", path: path, body: `{"key":"wave_live_00000000000000000000000000000000"}`, status: 200, has: []string{`"valid":false,"code":"not_found","key":null`}},
		{what: "no key", as: "all", method: "POST", path: path, body: `{"ip":"x"}`, status: 400, has: []string{`"field":"key"`, `"field":"ip"`}},
		{what: "without the right", as: "{good}", method: "POST", path: path, body: `{"key":"{good}"}`, status: 403, code: "insufficient_scope"},
	})
	for range 30 { // wrong keys lock nobody out
		ts.do("POST", path, `{"key":"wave_live_00000000000000000000000000000000"}`, by("all")...).want(t, 200, "")
	}
}

func TestImportedKeysWorkAndAreReplacedByRotation(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	const path = "/v1/auth/keys/import"
	hash := map[string]string{"old-1": "", "old-2": ""}
	for key := range hash {
		hash[key] = fmt.Sprintf("%x", sha(key))
	}
	lines := `{"hash":"` + hash["old-1"] + `","name":"one","scopes":["streams:read"],"owner":"key:narrow"}` + "\n\n" +
		`{"hash":"` + hash["old-2"] + `","role":"reader","owner":"sub:local|ann","environment":"test"}` + "\n"
	ndjson := []string{"Content-Type", "application/x-ndjson"}
	ts.run(map[string]string{"1": hash["old-1"], "2": hash["old-2"]}, []call{
		{what: "no administrator", as: "all", method: "POST", path: path, body: lines, headers: ndjson, status: 403, code: "insufficient_role"},
		{
			what: "every problem of every line", as: "root", method: "POST", path: path, headers: ndjson, status: 400, code: "invalid_request",
			body: `{"hash":"{1}","scopes":["x"],"role":"x","rate_limit_tier":"x","expires_at":"2001-01-01T00:00:00Z","environment":"trial"}` + "\n" + `{"hash":"{2}","owner":"key:none"}`,
			has: []string{
				`"line 1: scopes[0]"`, `"line 1: role"`, `"line 1: rate_limit_tier"`, `"line 1: expires_at"`, `"line 1: environment"`, `"line 2: owner"`,
			},
		},
		{what: "what cannot be read", as: "root", method: "POST", path: path, body: "{}\n[]", headers: ndjson, status: 400, has: []string{`"line 1: hash"`, `"line 2"`}},
		{what: "nothing", as: "root", method: "POST", path: path, headers: ndjson, status: 400},
		{what: "too much", as: "root", method: "POST", path: path, body: strings.Repeat(" ", maxImportBody+1), headers: ndjson, status: 413, code: "too_large", has: []string{"16 MB"}},
		{what: "good", as: "root", method: "POST", path: path, body: lines, headers: ndjson, status: 200, has: []string{`"imported":2`, `"known_already":0`}},
		{what: "again, as curl -d labels it", as: "root", method: "POST", path: path, body: lines, headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 200, has: []string{`"imported":0`, `"known_already":2`}},
	})
	ts.do("GET", "/v1/streams", "", "X-API-Key", "old-1").want(t, 200, "")
	ts.do("GET", "/v1/streams", "", "X-API-Key", "old-2").want(t, 200, "")
	ts.do("POST", "/v1/streams", "", "X-API-Key", "old-1").want(t, 403, "insufficient_scope")
	a := ts.do("POST", "/api/v1/keys/apikey/rotate", "", "X-API-Key", "old-1").want(t, 200, "").object(t)
	fresh, _ := a["new_api_key"].(string)
	ts.do("GET", "/v1/streams", "", by(fresh)...).want(t, 200, "")
	ts.do("GET", "/v1/streams", "", "X-API-Key", "old-1").want(t, 200, "")
	if n := ts.audited("key.import", ""); n != 2 {
		t.Errorf("%d imports in the audit log", n)
	}
}
