package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestKeysInTheWordsOfWavis(t *testing.T) {
	t.Parallel()
	ts := keyServer(t, func(c *Config) { c.KeyBrand = "wvs" })
	ann := newBrowser(t, ts.URL).signInLocal("ann")
	session := []string{"Authorization", "Bearer " + ann.token(), "Content-Type", "application/json"}
	a := ts.do("POST", "/api/v1/user/api-keys", `{"environment":"live","role":"developer"}`, session...).want(t, 201, "").object(t)
	key, id, prefix := a["key"].(string), a["id"].(string), a["prefix"].(string)
	if diff := cmp.Diff([]string{"created_at", "environment", "id", "key", "prefix"}, sortedKeys(a)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(key, "wvs_live_") || !strings.HasPrefix(key, prefix) || a["environment"] != "live" {
		t.Errorf("%v", a)
	}
	if rec := ts.stored(id); rec.Role != "developer" || rec.Owner != "sub:local|ann" || rec.UserID == "" {
		t.Errorf("%+v", rec)
	}
	ts.do("GET", "/_auth/userinfo", "", "Authorization", key).want(t, 200, "") // bare
	names := map[string]string{"key": key, "id": id}
	const keys, rotate = "/api/v1/user/api-keys", "/api/v1/keys/apikey/rotate"
	ts.run(names, []call{
		{what: "no environment", as: "all", method: "POST", path: keys, body: `{}`, status: 400, has: []string{`"field":"environment"`}},
		{what: "no body", as: "all", method: "POST", path: keys, status: 400},
		{what: "all wrong", as: "all", method: "POST", path: keys, body: `{"environment":"prod","role":"king","name":"x"}`, status: 400, has: []string{`"field":"environment"`, `"field":"role"`, `"field":"name"`}},
		{what: "a trial", as: "all", method: "POST", path: keys, body: `{"environment":"trial"}`, status: 400},
		{what: "nobody", method: "POST", path: keys, body: `{"environment":"live"}`, status: 401},
		{what: "the usual role", as: "all", method: "POST", path: keys, body: `{"environment":"dev"}`, status: 201, has: []string{`"key":"wvs_dev_`}},
		{what: "a list", as: "{key}", method: "GET", path: keys, status: 200, has: []string{`[{"id":"{id}"`}},
		{what: "not a key", as: "all", method: "POST", path: rotate, status: 403, code: "key_required"},
		{what: "a stranger", method: "POST", path: rotate, status: 401},
		{what: "a body that says something", as: "{key}", method: "POST", path: rotate, body: `{"grace_period_hours":720}`, status: 400},
		{what: "GET", as: "{key}", method: "GET", path: rotate, status: 405},
	})
	before := time.Now().Truncate(time.Second)
	r := ts.do("POST", rotate, "", "Authorization", "Bearer "+key).want(t, 200, "").object(t)
	if diff := cmp.Diff([]string{"environment", "grace_period_ends_at", "new_api_key", "old_key_prefix"}, sortedKeys(r)); diff != "" {
		t.Errorf("fields of the rotation (-want +got):\n%s", diff)
	}
	ends, err := time.Parse(time.RFC3339, r["grace_period_ends_at"].(string))
	must(t, err)
	if grace := ends.Sub(before); r["old_key_prefix"] != prefix || r["environment"] != "live" || grace < 24*time.Hour-time.Second || grace > 24*time.Hour+time.Minute {
		t.Errorf("%v, a grace of %s", r, grace)
	}
	fresh := r["new_api_key"].(string)
	for _, k := range []string{key, fresh} {
		ts.do("GET", "/_auth/userinfo", "", by(k)...).want(t, 200, "")
	}
	ts.do("POST", rotate, "", by(key)...).want(t, 409, "conflict")
	ts.do("DELETE", keys+"/"+id, "", session...).want(t, 204, "")
	ts.do("GET", "/_auth/userinfo", "", by(key)...).want(t, 401, "invalid_api_key")
	ts.do("GET", "/_auth/userinfo", "", by(fresh)...).want(t, 200, "")
}

func TestTenKeysAnHourForEachOwner(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	statuses, answers := race(50, func() answer {
		return ts.do("POST", "/api/v1/user/api-keys", `{"environment":"test"}`, by("all")...)
	})
	if diff := cmp.Diff(map[int]int{201: keysAnHour, 429: 50 - keysAnHour}, statuses); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	for _, a := range answers {
		if a.StatusCode == 429 {
			a.want(t, 429, "rate_limit_exceeded")
			if s := a.Header.Get("Retry-After"); s < "3500" || s > "3600" || len(s) != 4 || a.Header["X-Ratelimit-Retry-After"][0] != s {
				t.Errorf("Retry-After %q, %v", s, a.Header)
			}
		}
	}
	if n := len(ts.storedKeys()); n != keysAnHour {
		t.Errorf("%d keys were made", n)
	}
	ts.do("POST", "/api/v1/user/api-keys", `{"environment":"test"}`, by("root")...).want(t, 201, "") // another's hour
	ts.makeKey("all", `{"name":"the long way is not counted"}`)
}

func TestKeyThatWasMadeIsShownAgainWhenTheHourIsFull(t *testing.T) {
	t.Parallel()
	ts := keyServer(t)
	for i := range keysAnHour {
		ts.do("POST", "/api/v1/user/api-keys", `{"environment":"test"}`, append(by("all"), "Idempotency-Key", fmt.Sprint(i))...).want(t, 201, "")
	}
	for i := range keysAnHour {
		a := ts.do("POST", "/api/v1/user/api-keys", `{"environment":"test"}`, append(by("all"), "Idempotency-Key", fmt.Sprint(i))...).want(t, 201, "")
		if a.Header.Get("Idempotent-Replayed") != "true" || strings.Contains(a.body, `"key"`) {
			t.Errorf("%v %s", a.Header, a.body)
		}
	}
	ts.do("POST", "/api/v1/user/api-keys", `{"environment":"test"}`, append(by("all"), "Idempotency-Key", "new")...).want(t, 429, "rate_limit_exceeded")
	ts.do("POST", "/api/v1/user/api-keys", `{"environment":"dev"}`, append(by("all"), "Idempotency-Key", "1")...).want(t, 422, "idempotency_key_reused")
}

// TestKeysMadeCountsAsALogOfEventsDoes compares it with a plain list of when keys
// were made.
func TestKeysMadeCountsAsALogOfEventsDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m hourly
		log := map[string][]time.Time{}
		now := time.Unix(1e9, 0)
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "seconds")) * time.Second)
			owner := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "owner")
			var last []time.Time
			for _, at := range log[owner] {
				if now.Sub(at) < time.Hour {
					last = append(last, at)
				}
			}
			at, wait := m.take(owner, keysAnHour, now)
			switch {
			case len(last) >= keysAnHour:
				if want := last[0].Add(time.Hour).Sub(now); wait != want {
					t.Fatalf("wait %s, want %s", wait, want)
				}
			case wait != 0:
				t.Fatalf("%d in the last hour, and yet a wait of %s", len(last), wait)
			case rapid.Bool().Draw(t, "failed"):
				m.giveBack(owner, at)
			default:
				last = append(last, now)
			}
			log[owner] = last
		}
	})
}

func TestKeysMadeStaysBounded(t *testing.T) {
	var m hourly
	now := time.Now()
	for i := range 3 * maxCounted {
		m.take(fmt.Sprint(i), keysAnHour, now)
	}
	if len(m.made) > maxCounted {
		t.Errorf("%d owners are remembered", len(m.made))
	}
	m.take("last", keysAnHour, now.Add(2*time.Hour))
	if len(m.made) != 1 {
		t.Errorf("%d owners are remembered when their hour is over", len(m.made))
	}
}
