package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/keychain/apikey"
	"wavegate/server/store"
)

// reasons are the codes and statuses of a key's refusals, the latest first.
func (ts *testServer) reasons(id string) (all []string) {
	for _, r := range ts.keyRefusals.of(id) {
		all = append(all, fmt.Sprint(r.status, " ", r.code))
	}
	return all
}

func TestOwnersSeeWhyTheirKeysWereRefused(t *testing.T) {
	t.Parallel()
	a := attack(t)
	k := a.mint("ci", `"scopes":["things:read"],"allowed_ips":["192.0.2.0/24"],"budget":{"operations_per_day":2}`)
	a.things(k.Key, "192.0.2.1").want(t, 200, "")
	a.things(k.Key, "192.0.2.1").want(t, 200, "")
	if len(a.keyRefusals.byKey) != 0 {
		t.Error("what was let in is among the refusals")
	}
	secret := a.mint("ci", `"scopes":["*"]`).Key
	a.do("POST", "/things/"+secret+"?token=hunter2", "", append(bearer(k.Key), "X-Forwarded-For", "192.0.2.1")...).want(t, 403, "insufficient_scope")
	a.things(k.Key, "203.0.113.7").want(t, 403, "ip_not_allowed")
	a.things(k.Key, "192.0.2.1").want(t, 402, "budget_exceeded")
	a.do("DELETE", "/v1/auth/keys/"+k.ID, "", "Authorization", basic("ci", "secret")).want(t, 204, "")
	a.things(k.Key, "192.0.2.1").want(t, 401, "invalid_api_key")
	a.direct("GET", "/things", "192.0.2.1", bearer(flipped(k.Key, 8*len(k.Key)-1))...) // nobody's key

	path := "/v1/auth/keys/" + k.ID + "/refusals"
	got := a.by("ci", "GET", path, "").want(t, 200, "")
	readAPI(t).checkAnswer(t, got)
	if diff := cmp.Diff([]string{"401 invalid_api_key", "402 budget_exceeded", "403 ip_not_allowed", "403 insufficient_scope"}, a.reasons(k.ID)); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	first := mapOf(got.at(t, "refusals.3"))
	delete(first, "time")
	want := map[string]any{
		"method": "POST", "path": "/things/" + apikey.Mask(secret), "route": "/", "status": 403.0, "code": "insufficient_scope",
		"message": "This credential lacks the scope for the request; it needs: *.", "need": []any{"scope *"}, "ip": "192.0.2.1",
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("one of them (-want +got):\n%s", diff)
	}
	for _, hidden := range []string{k.Key[len(k.Prefix):], secret[len("wave_live_")+8:], "hunter2"} {
		if strings.Contains(got.body, hidden) {
			t.Errorf("%q is in %s", hidden, got.body)
		}
	}
	a.by("root", "GET", path, "").want(t, 200, "")
	a.by("other", "GET", path, "").want(t, 404, "not_found")
	a.by("ci", "GET", "/v1/auth/keys/key_none/refusals", "").want(t, 404, "not_found")
	a.do("GET", path, "", bearer(a.mint("ci", `"scopes":["things:read"]`).Key)...).want(t, 403, "insufficient_scope")
}

func TestAnExpiredKeyAndARateAreAmongTheRefusals(t *testing.T) {
	t.Parallel()
	policy := strings.Replace(fmt.Sprintf(attackedPolicy, "static://204", "defaults: {tier: slow}"), "tiers:\n", "tiers:\n  slow: {requests_per_minute: 1}\n", 1)
	a := attack(t, withPolicy(t, policy))
	k := a.mint("ci", `"scopes":["things:read"]`)
	a.things(k.Key, "192.0.2.1").want(t, 204, "")
	a.things(k.Key, "192.0.2.1").want(t, 429, "rate_limit_exceeded")
	rec := a.keyRecord(k.ID)
	rec.ExpiresAt = time.Now().Add(-time.Minute)
	_, err := a.store.ChangeKey(t.Context(), rec, store.Journal{})
	must(t, err)
	eventually(t, "the key has ended", func() bool { return a.things(k.Key, "192.0.2.1").StatusCode == 401 })
	got := a.reasons(k.ID)
	if got[0] != "401 invalid_api_key" || got[len(got)-1] != "429 rate_limit_exceeded" {
		t.Errorf("refusals: %v", got)
	}
}

// TestRefusalsAreBounded floods them with keys, refusals and long texts.
func TestRefusalsAreBounded(t *testing.T) {
	var k keyRefusals
	for i := range 3 * refusalsOfKey {
		k.add("key_first", keyRefusal{status: i})
	}
	var got []int
	for _, r := range k.of("key_first") {
		got = append(got, r.status)
	}
	want := []int{}
	for i := range refusalsOfKey {
		want = append(want, 3*refusalsOfKey-1-i)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the latest (-want +got):\n%s", diff)
	}
	for i := range 2 * refusedKeys {
		k.add(fmt.Sprint("key_", i), keyRefusal{})
		k.add("key_touched", keyRefusal{})
	}
	if len(k.byKey) != refusedKeys || k.keys.Len() != refusedKeys || k.of("key_first") != nil || k.of("key_0") != nil || len(k.of("key_touched")) != refusalsOfKey {
		t.Errorf("%d keys are remembered, %d in the list", len(k.byKey), k.keys.Len())
	}

	ts := keyServer(t)
	key := ts.makeKey("all", `{"name":"x","scopes":["streams:read"]}`)
	ts.do("POST", "/v1/streams/"+strings.Repeat("ä", 1000), "", by(key.Key)...).want(t, 403, "insufficient_scope")
	ts.do(strings.Repeat("M", 5000), "/v1/streams", "", by(key.Key)...).want(t, 403, "insufficient_scope")
	for _, r := range ts.keyRefusals.of(key.ID) {
		if n := len(r.path) + len(r.method) + len(r.message); n > 3*(maxRefusalText+3) {
			t.Errorf("%d bytes are kept of a refusal", n)
		}
	}
	if n := len(ts.keyRefusals.of(key.ID)); n != 2 {
		t.Errorf("%d refusals", n)
	}
}
