package server

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"wavegate/server/limit"
)

const locks = "/v1/auth/lockouts"

// from makes a server believe in X-Forwarded-For, so that tests come from
// anywhere.
func from(c *Config) { c.TrustedProxies = prefixes("127.0.0.1/32") }

// guess sends as many wrong secrets for an ID from an address.
func (m *managed) guess(id, ip string, n int) {
	m.t.Helper()
	for range n {
		m.do("GET", "/", "", "Authorization", basic(id, "wrong"), "X-Forwarded-For", ip)
	}
}

func TestLockoutsAreListedAndLifted(t *testing.T) {
	m := manage(t, from)
	for i := range 10 {
		m.guess("ann", fmt.Sprintf("192.0.2.%d", i), 1)
	}
	m.guess("Sk_Live_Somebodys_Secret", "2001:db8::7", 10) // typed where the ID belongs
	for i := range 20 {
		m.guess(fmt.Sprint("x", i), "198.51.100.9", 1)
	}
	m.do("GET", "/", "", "Authorization", basic("ann", "secret"), "X-Forwarded-For", "203.0.113.1").want(t, 429, "locked_out")

	list := m.as("admin", "GET", locks, "").want(t, 200, "")
	got := map[string]string{}
	for i := range 3 {
		got[list.text(t, fmt.Sprintf("lockouts.%d.subject", i))] = list.text(t, fmt.Sprintf("lockouts.%d.id", i))
	}
	if len(got) != 3 || got["ann"] == "" || got[unknownID] == "" || got["198.51.100.9"] == "" || strings.Contains(list.body, "ecret") {
		t.Fatalf("locks %s", list.body)
	}
	if only := m.as("admin", "GET", locks+"?kind=ip", ""); strings.Contains(only.body, unknownID) || !strings.Contains(only.body, "198.51.100.9") {
		t.Errorf("addresses: %s", only.body)
	}
	m.try([]try{
		{"bob", "GET", locks, "", 200, "", []string{`"lockouts":[]`}, nil}, // of others
		{"bob", "DELETE", locks + "/" + got["ann"], "", 404, "not_found", nil, nil},
		{"bob", "DELETE", locks + "?kind=ip&subject=198.51.100.9", "", 404, "not_found", nil, nil},
		{"admin", "DELETE", locks, "", 400, "invalid_request", []string{`"field":"kind"`, `"field":"subject"`}, nil},
		{"admin", "DELETE", locks + "?kind=user&subject=x", "", 400, "invalid_request", []string{"ip or key"}, nil},
		{"admin", "DELETE", locks + "/lck_none", "", 404, "not_found", nil, nil},
		{"admin", "GET", locks + "?cursor=nonsense", "", 400, "invalid_request", []string{`"field":"cursor"`}, nil},
		{"admin", "DELETE", locks + "/" + got[unknownID], "", 204, "", nil, nil},
		{"admin", "DELETE", locks + "/" + got[unknownID], "", 404, "not_found", nil, nil},
		{"admin", "DELETE", locks + "?kind=ip&subject=" + url.QueryEscape("198.51.100.9"), "", 204, "", nil, nil},
		{"admin", "DELETE", locks + "?kind=key&subject=ANN", "", 204, "", nil, nil},
		{"admin", "GET", locks, "", 200, "", []string{`"lockouts":[]`}, nil},
	})
	m.do("GET", "/", "", "Authorization", basic("ann", "secret"), "X-Forwarded-For", "203.0.113.1").want(t, 204, "")
	lifted := m.as("admin", "GET", "/v1/auth/audit?action=lockout.lift", "")
	if strings.Count(lifted.body, `"action":"lockout.lift"`) != 3 || strings.Contains(lifted.body, "ecret_") || lifted.at(t, "entries.0.target") != "ann" {
		t.Errorf("audit %s", lifted.body)
	}
}

func TestANetworkIsLiftedByAnyAddressOfIt(t *testing.T) {
	m := manage(t, from)
	for i := range 20 {
		m.guess(fmt.Sprint("x", i), fmt.Sprintf("2001:db8::%x", i), 1)
	}
	if got := m.as("admin", "GET", locks, "").text(t, "lockouts.0.subject"); got != "2001:db8::/64" {
		t.Errorf("subject %q", got)
	}
	m.as("admin", "DELETE", locks+"?kind=ip&subject=2001:db8::/64", "").want(t, 204, "")
	m.as("admin", "DELETE", locks+"?kind=ip&subject=2001:db8::1", "").want(t, 404, "not_found")
}

// TestTheOwnerOfALockedKeyIsTold goes through an access key and an API key: the
// owner has the event and the entry, sees the lock and lifts it.
func TestTheOwnerOfALockedKeyIsTold(t *testing.T) {
	m, anns, bobs := manage(t, from), newReceiver(t), newReceiver(t)
	m.as("ann", "POST", hooks, `{"url": "`+anns.URL+`", "events": ["lockout"]}`).want(t, 201, "")
	m.as("bob", "POST", hooks, `{"url": "`+bobs.URL+`"}`).want(t, 201, "")
	made := m.as("ann", "POST", "/v1/auth/keys", `{"name": "ci"}`)
	prefix := made.text(t, "api_key.prefix")
	for i := range 25 {
		m.do("GET", "/", "", "X-API-Key", prefix+strings.Repeat("0", 24), "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
	}
	told := anns.wait(t, prefix, 1)
	m.described.checkEvent(t, told.body)
	if !strings.Contains(told.body, made.text(t, "api_key.id")) || strings.Contains(told.body, strings.Repeat("0", 24)) {
		t.Errorf("event %s", told.body)
	}
	entry := m.as("ann", "GET", "/v1/auth/audit?action=lockout.begin", "")
	if entry.at(t, "entries.0.target") != prefix || entry.at(t, "entries.1") != nil {
		t.Errorf("entries %s", entry.body)
	}
	if got := bobs.all(prefix); len(got) != 0 {
		t.Errorf("bob was told of %+v", got)
	}
	id := m.as("ann", "GET", locks, "").text(t, "lockouts.0.id")
	m.as("ann", "DELETE", locks+"/"+id, "").want(t, 204, "")
	m.do("GET", "/", "", "X-API-Key", made.text(t, "api_key.key"), "X-Forwarded-For", "203.0.113.1").want(t, 204, "")
	if got := anns.all(""); len(got) != 1 {
		t.Errorf("one lock was told %d times", len(got))
	}
}

// TestLocksOfStrangersDoNotFillTheDisk counts what is told in a minute.
func TestLocksOfStrangersDoNotFillTheDisk(t *testing.T) {
	var told lockTeller
	now := time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)
	n := 0
	for range 1000 {
		if told.may(now) {
			n++
		}
	}
	if n != strangerLocks {
		t.Errorf("%d in a minute", n)
	}
	if !told.may(now.Add(time.Minute)) {
		t.Error("none in the next minute")
	}
	for i := range 3 * maxSuspects {
		told.own(fmt.Sprint(i), lockOwner{owner: "key:ann"})
	}
	if len(told.owners) > maxSuspects || told.owner(fmt.Sprint(3*maxSuspects-1)) != "key:ann" {
		t.Errorf("%d owners are remembered", len(told.owners))
	}
}

func TestLockoutPagesHoldEveryLockOnce(t *testing.T) {
	m := manage(t)
	now := time.Now()
	for i := range 23 {
		for range 10 {
			m.lockouts.Failed(now.Add(time.Duration(i)*time.Millisecond), prefixes("2001:db8::/128")[0].Addr(), fmt.Sprint("id", i), true)
		}
	}
	seen, cursor := map[string]bool{}, ""
	for range 10 {
		a := m.as("admin", "GET", locks+"?kind=key&limit=5&cursor="+cursor, "").want(t, 200, "")
		for i := 0; a.at(t, fmt.Sprintf("lockouts.%d", i)) != nil; i++ {
			seen[a.text(t, fmt.Sprintf("lockouts.%d.subject", i))] = true
		}
		m.lockouts.Lift(limit.KindKey, "id22") // what comes and goes between pages hides nothing else
		if cursor, _ = a.at(t, "next_cursor").(string); cursor == "" {
			break
		}
	}
	if len(seen) != 23 || cursor != "" {
		t.Errorf("%d locks in pages: %v", len(seen), seen)
	}
}
