package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/keychain/apikey"
	"wavegate/server/store"
)

const attentionPath = "/v1/auth/attention"

// noticed are the items of an answer as "severity kind name", and the answer.
func (m *managed) noticed(who, query string) (all []string) {
	m.t.Helper()
	a := m.as(who, "GET", attentionPath+query, "").want(m.t, 200, "")
	list, _ := a.at(m.t, "items").([]any)
	for _, i := range list {
		item := mapOf(i)
		all = append(all, fmt.Sprint(item["severity"], " ", item["kind"], " ", item["name"]))
		if item["message"] == "" || item["id"] == "" || item["owner"] == "" {
			m.t.Errorf("an item says nothing: %v", item)
		}
	}
	return all
}

// keyOf makes a key of an owner as it is needed.
func (m *managed) keyOf(owner, name string, change func(*apikey.Record)) apikey.Record {
	m.t.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	rec := apikey.Record{
		ID: apikey.NewID(), Name: name, Hash: sha(owner + name), HashBy: m.hasher.Version(), Prefix: "wave_live_" + name, Environment: apikey.Live,
		Owner: owner, CreatedAt: now, Version: 1,
	}
	rec.Account = rec.ID
	change(&rec)
	kept, err := m.store.AddKey(m.t.Context(), rec, store.Idempotency{}, store.Journal{})
	must(m.t, err)
	return kept
}

func TestWhatNeedsAttentionIsToldMostUrgentFirst(t *testing.T) {
	m := manage(t)
	in := func(d time.Duration) func(*apikey.Record) {
		return func(r *apikey.Record) { r.ExpiresAt = r.CreatedAt.Add(d) }
	}
	const day = 24 * time.Hour
	m.keyOf("key:ann", "tomorrow", in(day))
	m.keyOf("key:ann", "in a week", in(7*day))
	m.keyOf("key:ann", "in a month", in(30*day))
	m.keyOf("key:ann", "rotated", func(r *apikey.Record) { r.DeprecatedAt = r.CreatedAt; in(day)(r) })
	m.keyOf("key:ann", "still used", func(r *apikey.Record) {
		r.DeprecatedAt, r.LastUsedAt = r.CreatedAt.Add(-time.Hour), r.CreatedAt
		in(2 * time.Hour)(r)
	})
	m.keyOf("key:bob", "of bob", in(day))
	got := m.noticed("ann", "")
	want := []string{"serious key_in_grace still used", "serious key_expiring tomorrow", "warning key_in_grace rotated", "warning key_expiring in a week"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ann's (-want +got):\n%s", diff)
	}
	for query, want := range map[string]int{"": 0, "?owner=key:bob": 1, "?owner=key:ann": 4, "?all=true": 5, "?all=false": 0} {
		if got := m.noticed("admin", query); len(got) != want {
			t.Errorf("%q: %v, want %d", query, got, want)
		}
	}
	m.try([]try{
		{"ann", "GET", attentionPath + "?all=true", "", 403, "insufficient_role", nil, nil},
		{"ann", "GET", attentionPath + "?owner=key:bob", "", 403, "insufficient_role", nil, nil},
		{"ann", "GET", attentionPath + "?owner=key:ann&al=1&all=maybe", "", 400, "invalid_request", []string{`"field":"al"`, `"field":"all"`}, nil},
		{"ann", "GET", attentionPath, "", 200, "", []string{`"more":false`}, []string{"of bob"}},
	})
	m.call("GET", attentionPath, "").want(t, 401, "credential_required")
}

func TestKeysNearTheirLimitNeedAttention(t *testing.T) {
	m := manage(t)
	for name, fields := range map[string]string{
		"gone": `"ops_limit": 2`, "near": `"ops_limit": 5, "budget": {"operations_per_day": 5}`, "day": `"budget": {"operations_per_day": 2}`, "far": `"ops_limit": 1000000`,
	} {
		made := m.as("ann", "POST", "/v1/auth/keys", `{"name": "`+name+`", `+fields+`}`).want(t, 201, "")
		for range 4 {
			m.do("GET", "/", "", "X-API-Key", made.text(t, "api_key.key"))
		}
	}
	a := m.as("ann", "GET", attentionPath, "")
	want := []string{"serious key_near_budget day", "serious key_near_budget gone", "warning key_near_budget near"}
	if diff := cmp.Diff(want, m.noticed("ann", "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	if a.at(t, "items.0.until") != rfc3339(midnight) || a.at(t, "items.1.until") != nil {
		t.Errorf("until: %s", a.body)
	}
}

func TestLocksWebhooksAndSecretsNeedAttention(t *testing.T) {
	m := manage(t, from)
	gone := newReceiver(t)
	gone.answer(410)
	hook := m.as("ann", "POST", hooks, `{"url": "`+gone.URL+`", "events": ["client_created"], "description": "<b>mine</b>"}`).want(t, 201, "").text(t, "webhook.id")
	client := m.makeClient("ann", `{"name": "app"}`)
	m.as("ann", "POST", clientsPath+"/"+client.ID+"/rotate-secret", `{"grace_period_hours": 100}`).want(t, 200, "")
	key := m.as("ann", "POST", "/v1/auth/keys", `{"name": "ci", "scopes": ["keys:read"]}`).want(t, 201, "")
	for i := range 10 {
		m.do("GET", "/", "", "X-API-Key", key.text(t, "api_key.prefix")+fmt.Sprintf("%024d", i), "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
	}
	var got answer
	eventually(t, "all of it", func() bool {
		got = m.as("ann", "GET", attentionPath, "")
		return len(m.noticed("ann", "")) == 3
	})
	want := []string{
		"serious key_locked " + strings.ToLower(key.text(t, "api_key.prefix")), "serious webhook_failing <b>mine</b>", "warning client_secret_ending app",
	}
	if diff := cmp.Diff(want, m.noticed("ann", "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = m.as("ann", "GET", attentionPath, "")
	for i, id := range []string{key.text(t, "api_key.id"), hook, client.ID} {
		if got.text(t, fmt.Sprintf("items.%d.id", i)) != id {
			t.Errorf("item %d is not about %s: %s", i, id, got.body)
		}
	}
	if other := m.noticed("bob", ""); len(other) != 0 {
		t.Errorf("bob sees %v", other)
	}
	if all := m.noticed("admin", "?all=true"); !slices.Equal(all, want) {
		t.Errorf("the administrator sees %v", all)
	}
	// Whoever may read keys alone is not told of the rest.
	narrow := m.as("ann", "POST", "/v1/auth/keys", `{"name": "narrow", "scopes": ["keys:read"]}`).want(t, 201, "").text(t, "api_key.key")
	m.call("GET", attentionPath, "", "X-API-Key", narrow).want(t, 200, "")
	if a := m.call("GET", attentionPath, "", "X-API-Key", narrow); !strings.Contains(a.body, `"items":[]`) {
		t.Errorf("a key with keys:read sees %s", a.body)
	}
}

func TestAttentionIsBounded(t *testing.T) {
	m := manage(t)
	for i := range maxAttention + 20 {
		m.keyOf("key:ann", fmt.Sprint("k", i), func(r *apikey.Record) { r.ExpiresAt = r.CreatedAt.Add(time.Duration(13*24-i) * time.Hour) })
	}
	a := m.as("ann", "GET", attentionPath, "").want(t, 200, "")
	list, _ := a.at(t, "items").([]any)
	if len(list) != maxAttention || a.at(t, "more") != true {
		t.Errorf("%d items, more %v", len(list), a.at(t, "more"))
	}
	for i := range 50 {
		m.keyOf("key:ann", fmt.Sprint("urgent", i), func(r *apikey.Record) { r.ExpiresAt = r.CreatedAt.Add(time.Hour) })
	}
	got := m.noticed("ann", "")
	if len(got) != maxAttention || strings.Count(strings.Join(got, "\n"), "urgent") != 50 || !strings.Contains(got[0], "urgent") {
		t.Errorf("%d items, %v first", len(got), got[0])
	}
}
