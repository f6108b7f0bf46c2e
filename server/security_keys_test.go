package server

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/keychain/apikey"
	"wavegate/server/store"
)

// keyCalls are all calls about one key.
var keyCalls = []struct{ method, path, body string }{
	{"GET", "/v1/auth/keys/{id}", ""},
	{"PATCH", "/v1/auth/keys/{id}", `{"name":"mine now"}`},
	{"POST", "/v1/auth/keys/{id}/rotate", `{"grace_period_hours":0}`},
	{"DELETE", "/v1/auth/keys/{id}", ""},
	{"DELETE", "/api/v1/user/api-keys/{id}", ""},
}

func TestSomebodyElsesKeyIsNotThereOnAnyRoute(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	theirs := ts.makeKey("root", `{"name":"theirs","scopes":["*"]}`)
	own := ts.makeKey("all", `{"name":"own","scopes":["*"]}`)
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	anns := madeBy(t, ann.api("POST", "/v1/auth/keys", `{"name":"ann's"}`))
	before := ts.stored(theirs.ID)
	for who, ask := range map[string]func(method, path, body string) answer{
		"an access key":      func(m, p, b string) answer { return ts.do(m, p, b, by("all")...) },
		"one without scopes": func(m, p, b string) answer { return ts.do(m, p, b, by("nobody")...) },
		"an API key":         func(m, p, b string) answer { return ts.do(m, p, b, by(own.Key)...) },
		"a session":          func(m, p, b string) answer { return ann.api(m, p, b) },
		"a session token":    func(m, p, b string) answer { return ts.do(m, p, b, "Authorization", "Bearer "+ann.token()) },
	} {
		for _, c := range keyCalls {
			seen := map[string]bool{}
			for _, id := range []string{theirs.ID, apikey.NewID()} {
				a := ask(c.method, strings.ReplaceAll(c.path, "{id}", id), c.body)
				if a.StatusCode != 404 {
					t.Errorf("%s: %s %s: %d %s", who, c.method, c.path, a.StatusCode, a.body)
				}
				seen[strings.ReplaceAll(a.body, a.Header.Get("X-Request-Id"), "")] = true
			}
			if len(seen) != 1 {
				t.Errorf("%s: %s %s: what is somebody else's differs from what is not there: %v", who, c.method, c.path, seen)
			}
		}
	}
	if diff := cmp.Diff(before, ts.stored(theirs.ID)); diff != "" {
		t.Errorf("the key was changed:\n%s", diff)
	}
	ts.do("GET", "/v1/auth/keys/"+anns.ID, "", by("root")...).want(t, 200, "") // an administrator sees it
	ts.do("DELETE", "/v1/auth/keys/"+anns.ID, "", by("root")...).want(t, 204, "")
	ts.do("GET", "/_auth/userinfo", "", by(anns.Key)...).want(t, 401, "invalid_api_key")
}

func TestNobodyMintsMoreThanTheyHold(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	names := map[string]string{}
	for name, of := range map[string][2]string{
		"small": {"all", `{"name":"small","environment":"test","scopes":["streams:read","keys:read","keys:write"],"expires_in_days":10,
			"allowed_ips":["127.0.0.0/8","10.0.0.0/8"],"rate_limit_tier":"small"}`},
		"counted":  {"all", `{"name":"counted","scopes":["*"],"ops_limit":100}`},
		"budgeted": {"all", `{"name":"budgeted","scopes":["*"],"budget":{"operations_per_day":100}}`},
		"big":      {"all", `{"name":"big","environment":"test","scopes":["*"]}`},
		"live":     {"all", `{"name":"live","scopes":[]}`},
		"sibling":  {"all", `{"name":"sibling","environment":"test","scopes":["streams:read"],"expires_in_days":5,"allowed_ips":["10.1.0.0/16"],"rate_limit_tier":"small"}`},
		"poor":     {"narrow", `{"name":"poor","scopes":["streams:read"]}`},
	} {
		made := ts.makeKey(of[0], of[1])
		names[name], names[name+"-key"] = made.ID, made.Key
	}
	const keys = "/v1/auth/keys"
	refused := func(what, as, method, path, body, code string, named ...string) call {
		return call{what: what, as: as, method: method, path: path, body: body, status: 403, code: code, has: named}
	}
	before := len(ts.storedKeys())
	ts.run(names, []call{
		refused("everything", "narrow", "POST", keys, `{"name":"x","scopes":["*"]}`, "insufficient_scope", "scope *"),
		refused("a scope", "narrow", "POST", keys, `{"name":"x","scopes":["streams:read","billing:write"]}`, "insufficient_scope", "scope billing:write"),
		refused("a permission", "narrow", "POST", keys, `{"name":"x","scopes":["users:write"]}`, "insufficient_scope", "scope users:write"),
		refused("a role", "narrow", "POST", keys, `{"name":"x","role":"editor"}`, "insufficient_role", "role editor"),
		refused("the highest role", "narrow", "POST", keys, `{"name":"x","role":"account_admin"}`, "insufficient_role", "role account_admin"),
		refused("another owner", "narrow", "POST", keys, `{"name":"x","scopes":[],"owner":"key:root"}`, "insufficient_role", "another owner"),
		refused("nobody's", "all", "POST", keys, `{"name":"x","owner":"trial"}`, "insufficient_role", "another owner"),
		refused("all at once", "narrow", "POST", keys, `{"name":"x","scopes":["*"],"role":"editor","owner":"key:root"}`, "insufficient_scope", "scope *", "role editor", "another owner"),
		refused("a role in the other words", "narrow", "POST", "/api/v1/user/api-keys", `{"environment":"live","role":"account_admin"}`, "insufficient_role"),
		refused("wider later: a scope", "narrow", "PATCH", keys+"/{poor}", `{"scopes":["streams:read","billing:write"]}`, "insufficient_scope", "scope billing:write"),
		refused("wider later: a role", "narrow", "PATCH", keys+"/{poor}", `{"role":"account_admin"}`, "insufficient_role", "role account_admin"),

		refused("key: another environment", "{small-key}", "POST", keys, `{"name":"x","environment":"live","scopes":[]}`, "insufficient_role", "environment live"),
		refused("key: a scope", "{small-key}", "POST", keys, `{"name":"x","scopes":["streams:write"]}`, "insufficient_scope", "scope streams:write"),
		refused("key: a later end", "{small-key}", "POST", keys, `{"name":"x","scopes":[],"expires_in_days":11}`, "insufficient_role", "expires_at"),
		refused("key: more addresses", "{small-key}", "POST", keys, `{"name":"x","scopes":[],"allowed_ips":["0.0.0.0/0"]}`, "insufficient_role", "allowed_ips"),
		refused("key: other addresses", "{small-key}", "POST", keys, `{"name":"x","scopes":[],"allowed_ips":["127.0.0.1","192.0.2.1"]}`, "insufficient_role", "allowed_ips"),
		refused("key: a higher tier", "{small-key}", "POST", keys, `{"name":"x","scopes":[],"rate_limit_tier":"unlimited"}`, "insufficient_role", "tier unlimited"),
		refused("key: everybody's", "{small-key}", "POST", keys, `{"name":"x","scopes":[],"owner":"key:root"}`, "insufficient_role", "another owner"),
		refused("key: itself, without end", "{small-key}", "PATCH", keys+"/{small}", `{"expires_at":null}`, "insufficient_role", "expires_at"),
		refused("key: itself, later", "{small-key}", "PATCH", keys+"/{small}", `{"expires_in_days":11}`, "insufficient_role", "expires_at"),
		refused("key: itself, everywhere", "{small-key}", "PATCH", keys+"/{small}", `{"allowed_ips":null}`, "insufficient_role", "allowed_ips"),
		refused("key: itself, faster", "{small-key}", "PATCH", keys+"/{small}", `{"rate_limit_tier":null}`, "insufficient_role", "tier unlimited"),
		refused("key: itself, more", "{small-key}", "PATCH", keys+"/{small}", `{"scopes":["*"]}`, "insufficient_scope", "scope *"),
		refused("key: itself, a role", "{small-key}", "PATCH", keys+"/{small}", `{"role":"account_admin"}`, "insufficient_role", "role account_admin"),
		refused("key: the secret of a bigger one", "{small-key}", "POST", keys+"/{big}/rotate", "", "insufficient_scope", "scope *", "expires_at", "allowed_ips", "tier unlimited"),
		refused("key: the secret of another environment", "{small-key}", "POST", keys+"/{live}/rotate", "", "insufficient_role", "environment live"),
		refused("key: the end of another environment", "{small-key}", "DELETE", keys+"/{live}", "", "insufficient_role", "environment live"),
		refused("key: a name in another environment", "{small-key}", "PATCH", keys+"/{live}", `{"name":"x"}`, "insufficient_role", "environment live"),

		refused("counted: a key", "{counted-key}", "POST", keys, `{"name":"x","scopes":[]}`, "insufficient_scope"),
		refused("counted: in the other words", "{counted-key}", "POST", "/api/v1/user/api-keys", `{"environment":"live"}`, "insufficient_scope"),
		refused("counted: itself, without a count", "{counted-key}", "PATCH", keys+"/{counted}", `{"ops_limit":null}`, "insufficient_scope"),
		refused("counted: another's secret", "{counted-key}", "POST", keys+"/{live}/rotate", "", "insufficient_scope"),
		refused("budgeted: a key", "{budgeted-key}", "POST", keys, `{"name":"x","scopes":[]}`, "insufficient_scope"),
		refused("budgeted: itself, without a budget", "{budgeted-key}", "PATCH", keys+"/{budgeted}", `{"budget":null}`, "insufficient_scope"),
	})
	if n := len(ts.storedKeys()); n != before {
		t.Errorf("%d keys more than before", n-before)
	}

	ts.run(names, []call{
		{what: "as much as one has", as: "narrow", method: "POST", path: keys, body: `{"name":"x","scopes":["streams:read","keys:read"],"role":"reader"}`, status: 201},
		{what: "one's own name", as: "narrow", method: "POST", path: keys, body: `{"name":"x","scopes":[],"owner":"key:narrow"}`, status: 201},
		{what: "narrower", as: "{small-key}", method: "PATCH", path: keys + "/{small}", body: `{"expires_in_days":9,"allowed_ips":["127.0.0.1"]}`, status: 200},
		{what: "a bigger one made narrower", as: "{small-key}", method: "PATCH", path: keys + "/{big}", body: `{"scopes":["streams:read"],"name":"less"}`, status: 200},
		{what: "what is within", as: "{small-key}", method: "PATCH", path: keys + "/{sibling}", body: `{"allowed_ips":["10.1.2.0/24"]}`, status: 200},
		{what: "in another's name", as: "root", method: "POST", path: keys, body: `{"name":"x","scopes":["streams:read"],"owner":"key:narrow"}`, status: 201, has: []string{`"owner":"key:narrow"`}},
		{what: "a subject's", as: "root", method: "POST", path: keys, body: `{"name":"x","scopes":[],"owner":"sub:local|bob"}`, status: 201, has: []string{`"owner":"sub:local|bob"`}},
	})
	heir := ts.stored(ts.makeKey(names["small-key"], `{"name":"heir","scopes":["streams:read"]}`).ID)
	small := ts.stored(names["small"])
	want := small
	want.Name, want.Scopes = "heir", []string{"streams:read"}
	if diff := cmp.Diff([]any{want.Environment, want.ExpiresAt, want.Tier, want.AllowedIPs, want.Owner},
		[]any{heir.Environment, heir.ExpiresAt, heir.Tier, heir.AllowedIPs, heir.Owner}, cmp.Comparer(samePrefix)); diff != "" {
		t.Errorf("what a key makes inherits (-want +got):\n%s", diff)
	}
	self := ts.do("POST", "/v1/auth/keys/"+names["counted"]+"/rotate", "", by(names["counted-key"])...) // the count goes on
	self.want(t, 200, "")
}

func TestKeysOfADisabledUserAreDeadHoweverTheyWereMade(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	user := ts.allSessions()[0].UserID
	keys := map[string]madeKey{
		"by session": madeBy(t, ann.api("POST", "/v1/auth/keys", `{"name":"x","scopes":["streams:read","keys:write"]}`)),
		"by token":   ts.makeKey(ann.token(), `{"name":"x"}`),
		"by subject": ts.makeKey("root", `{"name":"x","owner":"sub:local|ann"}`),
		"by user ID": ts.makeKey("root", `{"name":"x","owner":"`+user+`"}`),
	}
	keys["by key"] = ts.makeKey(keys["by session"].Key, `{"name":"x","scopes":["streams:read"]}`)
	socket := ts.socketWith(keys["by key"].Key)
	for how, k := range keys {
		if rec := ts.stored(k.ID); rec.Owner != "sub:local|ann" || rec.UserID != user {
			t.Errorf("%s: owner %q, user %q", how, rec.Owner, rec.UserID)
		}
		ts.do("GET", "/_auth/userinfo", "", by(k.Key)...).want(t, 200, "")
	}
	ts.do("PATCH", "/v1/auth/users/"+user, `{"disabled":true}`, by("root")...).want(t, 200, "")
	for how, k := range keys {
		if a := ts.do("GET", "/_auth/userinfo", "", by(k.Key)...); a.StatusCode != 401 {
			t.Errorf("%s: %d", how, a.StatusCode)
		}
	}
	socket.ended("the user was disabled")
	ts.do("POST", "/v1/auth/keys", `{"name":"x","owner":"`+user+`"}`, by("root")...).want(t, 400, "invalid_request")
	ts.do("POST", "/v1/auth/keys", `{"name":"x","owner":"sub:local|ann"}`, by("root")...).want(t, 400, "invalid_request")
}

func TestRevokedKeyIsDeadAtOnceInSocketsAndRequests(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	told := ts.subscribe()
	for what, path := range map[string]string{"/v1": "/v1/auth/keys/", "/api": "/api/v1/user/api-keys/"} {
		k := ts.makeKey("all", `{"name":"short-lived","scopes":["streams:read"]}`)
		other := ts.makeKey("all", `{"name":"other","scopes":["streams:read"]}`)
		socket, stays := ts.socketWith(k.Key), ts.socketWith(other.Key)
		stream := make(chan error, 1)
		req, err := http.NewRequestWithContext(t.Context(), "GET", ts.URL+"/events", http.NoBody)
		must(t, err)
		req.Header.Set("X-API-Key", k.Key)
		res, err := http.DefaultTransport.RoundTrip(req)
		must(t, err)
		go func() {
			defer res.Body.Close()
			_, err := io.Copy(io.Discard, res.Body)
			stream <- err
		}()
		ts.do("DELETE", path+k.ID, "", by("all")...).want(t, 204, "")
		ts.do("GET", "/v1/streams", "", by(k.Key)...).want(t, 401, "invalid_api_key")
		socket.ended(what + ": the key was revoked")
		select {
		case <-stream:
		case <-time.After(20 * time.Second):
			t.Errorf("%s: the stream goes on", what)
		}
		stays.stays("another key was revoked")
		if ts.audited("key.revoke", k.ID) != 1 {
			t.Errorf("%s: the revocation is not in the audit log once", what)
		}
	}
	if told("key_revoked") != 2 {
		t.Errorf("%d events", told("key_revoked"))
	}
}

func TestOfRacingRotationsOneWins(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	told := ts.subscribe()
	k := ts.makeKey("all", `{"name":"raced","scopes":["streams:read"]}`)
	statuses, answers := race(50, func() answer {
		return ts.do("POST", "/v1/auth/keys/"+k.ID+"/rotate", `{}`, by("all")...)
	})
	if diff := cmp.Diff(map[int]int{200: 1, 409: 49}, statuses); diff != "" {
		t.Errorf("answers (-want +got):\n%s%s", diff, answers[0].body)
	}
	if n := len(ts.storedKeys()); n != 2 || ts.audited("key.rotate", k.ID) != 1 || told("key_rotated") != 1 {
		t.Errorf("%d keys, %d lines in the audit log, %d events", n, ts.audited("key.rotate", k.ID), told("key_rotated"))
	}
	for _, a := range answers {
		if a.StatusCode != 200 {
			a.want(t, 409, "conflict")
			continue
		}
		fresh := a.object(t)["new_key"].(map[string]any)
		ts.do("GET", "/v1/streams", "", by(fresh["key"].(string))...).want(t, 200, "")
	}
	old := ts.do("GET", "/v1/streams", "", by(k.Key)...).want(t, 200, "")
	if old.Header.Get("Wave-Key-Status") != "deprecated" || old.Header.Get("Wave-Key-Expires") == "" {
		t.Errorf("the old key is not told that it ends: %v", old.Header)
	}
}

func TestEqualIdempotencyKeysMakeOneKey(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	rotated := ts.makeKey("all", `{"name":"rotated"}`)
	itself := ts.makeKey("all", `{"name":"itself"}`)
	for what, c := range map[string]struct {
		as, path, body, same, other string
		status                      int
		secret                      string // its field's beginning
	}{
		"creation": {"all", "/v1/auth/keys", `{"name":"once","metadata":{"a":1,"b":2}}`, ` {"metadata": {"b":2, "a":1}, "name":"once"} `, `{"name":"twice"}`, 201, `"key":"wave_live_`},
		"rotation": {"all", "/v1/auth/keys/" + rotated.ID + "/rotate", `{"grace_period_hours":1}`, `{ "grace_period_hours": 1 }`, `{"grace_period_hours":2}`, 200, `"key":"wave_live_`},
		"short":    {"all", "/api/v1/user/api-keys", `{"environment":"dev"}`, `{"environment":"dev"}`, `{"environment":"live"}`, 201, `"key":"wave_dev_`},
		"itself":   {itself.Key, "/api/v1/keys/apikey/rotate", ``, `{}`, ``, 200, `"new_api_key":"wave_live_`},
	} {
		before := len(ts.storedKeys())
		headers := append(by(c.as), "Idempotency-Key", "once "+what)
		racing := 50
		if what == "short" {
			racing = keysAnHour // as many may be under way
		}
		statuses, answers := race(racing, func() answer { return ts.do("POST", c.path, c.body, headers...) })
		if diff := cmp.Diff(map[int]int{c.status: racing}, statuses); diff != "" {
			t.Errorf("%s: answers (-want +got):\n%s%s", what, diff, answers[0].body)
		}
		answers = append(answers, ts.do("POST", c.path, c.same, headers...))
		shown := 0
		for _, a := range answers {
			replayed := a.Header.Get("Idempotent-Replayed") == "true"
			secret := strings.Contains(a.body, c.secret)
			if secret {
				shown++
			}
			if secret == replayed || replayed != strings.Contains(a.body, `"replayed":true`) {
				t.Errorf("%s: shown %v, header %v: %s", what, secret, replayed, a.body)
			}
		}
		if n := len(ts.storedKeys()); shown != 1 || n != before+1 {
			t.Errorf("%s: shown %d times, %d keys made", what, shown, n-before)
		}
		if c.other != "" {
			ts.do("POST", c.path, c.other, headers...).want(t, 422, "idempotency_key_reused")
		}
	}
	mine := append(by("narrow"), "Idempotency-Key", "once creation") // another's name is another's
	madeBy(t, ts.do("POST", "/v1/auth/keys", `{"name":"x","scopes":[]}`, mine...))
	for _, bad := range []string{"", strings.Repeat("x", 256), "ä"} {
		ts.do("POST", "/v1/auth/keys", `{"name":"x"}`, append(by("all"), "Idempotency-Key", bad)...).want(t, 400, "invalid_request")
	}
	ts.do("POST", "/v1/auth/keys", `{"name":"x"}`, append(by("all"), "Idempotency-Key", "a", "Idempotency-Key", "b")...).want(t, 400, "invalid_request")
}

func TestRotationNeverRevivesNorOutlivesNorDoubles(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	k := ts.makeKey("all", `{"name":"counted","scopes":["streams:read"],"ops_limit":10,"expires_in_days":1,"allowed_ips":["127.0.0.1"]}`)
	old := ts.stored(k.ID)
	use := func(key string) int { return ts.do("GET", "/v1/streams", "", by(key)...).StatusCode }
	for range 4 {
		use(k.Key)
	}
	a := ts.do("POST", "/v1/auth/keys/"+k.ID+"/rotate", `{"grace_period_hours":720}`, by("all")...).want(t, 200, "").object(t)
	fresh := a["new_key"].(map[string]any)
	got := ts.stored(k.ID)
	if !got.ExpiresAt.Equal(old.ExpiresAt) || got.ReplacedBy != fresh["id"] {
		t.Errorf("the old key ends at %v instead of %v, replaced by %q", got.ExpiresAt, old.ExpiresAt, got.ReplacedBy)
	}
	if next := ts.stored(fresh["id"].(string)); !next.ExpiresAt.Equal(old.ExpiresAt) || next.Account != old.Account || next.OpsLimit != 10 || !slices.Equal(next.AllowedIPs, old.AllowedIPs) {
		t.Errorf("the new key holds something else: %+v", next)
	}
	done := 4
	for i := range 20 {
		if use([]string{k.Key, fresh["key"].(string)}[i%2]) == 200 {
			done++
		}
	}
	if done != 10 {
		t.Errorf("%d operations were done, of 10", done)
	}
	ts.do("GET", "/v1/streams", "", by(fresh["key"].(string))...).want(t, 402, "ops_limit_reached")

	rec := ts.stored(fresh["id"].(string))
	rec.ExpiresAt = time.Now().Add(-time.Minute)
	_, err := ts.store.ChangeKey(t.Context(), rec, store.Journal{})
	must(t, err)
	ts.apiKeys.Changed(rec.ID)
	for _, c := range [][3]string{
		{"POST", "/v1/auth/keys/" + rec.ID + "/rotate", ""},
		{"PATCH", "/v1/auth/keys/" + rec.ID, `{"expires_in_days":5}`},
	} {
		ts.do(c[0], c[1], c[2], by("all")...).want(t, 409, "key_not_active")
	}
	ts.do("POST", "/api/v1/keys/apikey/rotate", "", by(fresh["key"].(string))...).want(t, 401, "invalid_api_key")

	now := ts.makeKey("all", `{"name":"no grace","scopes":["streams:read"]}`)
	socket := ts.socketWith(now.Key)
	ts.do("POST", "/v1/auth/keys/"+now.ID+"/rotate", `{"grace_period_hours":0}`, by("all")...).want(t, 200, "")
	ts.do("GET", "/v1/streams", "", by(now.Key)...).want(t, 401, "invalid_api_key")
	socket.ended("the key was rotated without grace")
}
