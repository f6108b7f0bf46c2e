package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/server/limit"
	"wavegate/server/store"
	"wavegate/server/usage"
)

// TestWrongKeysOfStrangersFillNothingUp sends many different wrong keys from as many
// addresses, and looks at everything that could grow with them.
func TestWrongKeysOfStrangersFillNothingUp(t *testing.T) {
	const guesses = 20_000 // forty times what the tables hold
	a := attack(t, func(c *Config) { c.LogLevel, c.MetricsListen = "error", "127.0.0.1:0" })
	a.lockouts = limit.NewLockouts(limit.LockoutConfig{MaxIPs: 500, MaxUnknown: 500})
	k := a.mint("ci", `"scopes":["*"]`)
	a.things(k.Key, "192.0.2.1").want(t, 200, "")
	vary := func(from, to int) {
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				r := httptest.NewRequest("GET", "/", http.NoBody)
				r.RemoteAddr = "127.0.0.1:1"
				for i := from + worker; i < to; i += 4 {
					key := fmt.Sprintf("%s_%s_%08x%024x", []string{"wave", "sk", "other"}[i%3], []string{"live", "test", "trial"}[i/3%3], i, i)
					if i%10 == 0 {
						key = k.Prefix + fmt.Sprintf("%024x", i) // of a key that there is
					}
					r.Header = http.Header{"Authorization": {"Bearer " + key}, "X-Forwarded-For": {fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff)}, "User-Agent": {fmt.Sprint("agent ", i)}}
					r.URL.Path = []string{"/things", "/v1/auth/keys", fmt.Sprint("/", i), "/_auth/userinfo"}[i%4]
					a.ServeHTTP(httptest.NewRecorder(), r)
				}
			})
		}
		wg.Wait()
	}
	begun := time.Now()
	vary(0, guesses/2)
	heap, metrics := heapInUse(), series(t, a.testServer)
	vary(guesses/2, guesses)
	if grown := heapInUse() - heap; grown > 4<<20 {
		t.Errorf("%d guesses more and %d bytes more are in use", guesses/2, grown)
	}
	if after := series(t, a.testServer); after != metrics {
		t.Errorf("%d metric series became %d", metrics, after)
	}
	if n := a.apiKeys.Remembered(); n != 1 {
		t.Errorf("%d keys are remembered, of one", n)
	}
	if n := len(a.lockouts.List(time.Now())); n > 1001 {
		t.Errorf("%d locks", n)
	}
	must(t, a.refusals.flush(t.Context()))
	seconds := int(time.Since(begun)/time.Second) + 2
	rows, counted := 0, int64(0)
	for e, err := range a.store.AuditAll(t.Context(), store.AuditFilter{Action: "credential.refused"}, 0) {
		must(t, err)
		rows++
		counted += e.Count
	}
	if rows > seconds*(refusalRows+1) || counted < guesses*9/10 {
		t.Errorf("%d lines of the audit log about %d refusals in %d seconds", rows, counted, seconds)
	}
	a.things(k.Key, "192.0.2.1").want(t, 200, "") // who used it rightly is not held up
	must(t, a.stop())
	s, err := store.Open(t.Context(), a.storeConfig())
	must(t, err)
	defer s.Close()
	buckets, _, err := s.Usage(t.Context(), usage.Query{Span: usage.Day, From: begun.Add(-48 * time.Hour), To: time.Now().Add(time.Hour), By: []string{"key", "owner", "client", "route"}, Limit: 1000})
	must(t, err)
	refused := int64(0)
	for i := range buckets {
		for _, n := range buckets[i].Refusals {
			refused += n
		}
	}
	if len(buckets) > 10 || refused < guesses*9/10 {
		t.Errorf("%d sets of dimensions in the usage about %d refusals: strangers make none", len(buckets), refused)
	}
}

// heapInUse is what is in use after what is not was freed.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestDifferentRefusalsShareLinesOfTheAuditLog: more than twenty a second are one
// line, with a count.
func TestDifferentRefusalsShareLinesOfTheAuditLog(t *testing.T) {
	t.Parallel()
	a := attacked{withoutLockouts(attack(t).testServer)}
	var most int
	for round := range 10 {
		for i := range 200 {
			a.direct("GET", fmt.Sprint("/", i), fmt.Sprintf("10.%d.%d.1", round, i), bearer(fmt.Sprintf("wave_live_%032x", i))...)
			a.refusals.mu.Lock()
			most = max(most, len(a.refusals.entries))
			a.refusals.mu.Unlock()
		}
	}
	if most > refusalRows+1 || most < refusalRows {
		t.Errorf("%d refusals wait to be written, want %d", most, refusalRows+1)
	}
}

// TestTrialKeysAreBoundedInNumber: strangers with many addresses get so many and no
// more, and what has expired makes room.
func TestTrialKeysAreBoundedInNumber(t *testing.T) {
	t.Parallel()
	a := attack(t)
	now := time.Now()
	for range maxTrials - 2 { // that were given out before
		if a.trials.take(now, now.Add(time.Hour)) > 0 {
			t.Fatal("no room")
		}
	}
	got := atOnce(20, func(i int) int {
		_, answered := a.trialKey(fmt.Sprintf("192.0.2.%d", i))
		if answered.StatusCode == 429 && answered.Header.Get("Retry-After") == "" {
			return -1
		}
		return answered.StatusCode
	})
	if got[200] != 2 || got[429] != 18 {
		t.Errorf("answers %v, want 2 keys", got)
	}
	list, err := a.store.Keys(t.Context(), store.KeyFilter{Owner: trialOwner}, now, "", 100)
	must(t, err)
	if len(list) != 2 {
		t.Errorf("%d trial keys in the store", len(list))
	}
	if n, err := a.store.SweepTrials(t.Context(), now.Add(2*time.Hour), 100); n != 2 || err != nil {
		t.Errorf("%d expired trial keys are swept: %v", n, err)
	}
}

// TestTrialKeysDoNothingWithTheAPI: not even with a role that
// may, nor see each other, who all belong to nobody.
func TestTrialKeysDoNothingWithTheAPI(t *testing.T) {
	t.Parallel()
	a := attack(t)
	text := readPolicyOf(t, a)
	writeFile(t, a.cfg.PolicyFile, strings.Replace(text, "trial: {enabled: true, role: reader}", "trial: {enabled: true, role: account_admin}", 1))
	must(t, a.Reload())
	key, _ := a.trialKey("192.0.2.1")
	_, _ = a.trialKey("192.0.2.1")
	list, err := a.store.Keys(t.Context(), store.KeyFilter{Owner: trialOwner}, time.Now(), "", 10)
	must(t, err)
	if len(list) != 2 || key == "" {
		t.Fatalf("%d trial keys", len(list))
	}
	for _, rt := range a.table {
		if !strings.HasPrefix(rt.path, "/v1/auth/") && !strings.HasPrefix(rt.path, "/api/v1/") || strings.Contains(rt.path, "temp-key") || rt.path == "/v1/auth/openapi.json" || strings.HasSuffix(rt.path, "/sessions") {
			continue
		}
		for _, rec := range list {
			path := strings.NewReplacer("{id}", rec.ID, "{delivery_id}", "x").Replace(rt.path)
			if got := a.do(rt.method, path, `{}`, append(bearer(key), "Content-Type", "application/json")...); got.StatusCode != 403 && got.StatusCode != 404 {
				t.Errorf("%s %s: %d %s", rt.method, rt.path, got.StatusCode, got.body)
			}
		}
	}
	for _, rec := range list {
		if got := a.keyRecord(rec.ID); !got.RevokedAt.IsZero() || got.ReplacedBy != "" {
			t.Errorf("a trial key changed another: %+v", got)
		}
	}
	for _, prefix := range []string{"wave_trial_", "wave_trial_12345", "wave_live_12345678", "%", "_", "wave_trial_%%%%%%%%", "wave_trial_______", list[0].Prefix[:len(list[0].Prefix)-1] + "%"} {
		_ = a.do("DELETE", "/api/v1/onboarding/temp-key/"+strings.ReplaceAll(prefix, "%", "%25"), "", "X-Forwarded-For", "192.0.2.99").StatusCode
	}
	for _, rec := range list {
		if got := a.keyRecord(rec.ID); !got.RevokedAt.IsZero() {
			t.Error("a trial key was ended by something that is not its beginning")
		}
	}
}
