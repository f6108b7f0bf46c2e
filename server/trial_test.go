package server

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/keychain/apikey"
)

func TestTrialKeysAreThereOnlyWhereThePolicySaysSo(t *testing.T) {
	t.Parallel()
	ts := configured(t)
	ts.do("POST", "/api/v1/onboarding/temp-key", "").want(t, 404, "not_found")
	ts.do("DELETE", "/api/v1/onboarding/temp-key/wave_trial_00000000", "").want(t, 404, "not_found")
}

func TestTrialKey(t *testing.T) {
	t.Parallel()
	ts := keyServer(t, func(c *Config) {
		c.KeyBrand, c.TrustedProxies = "wvs", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	told := ts.subscribe()
	const path = "/api/v1/onboarding/temp-key"
	from := func(ip string) []string { return []string{"X-Forwarded-For", ip} }
	before := time.Now()
	a := ts.do("POST", path, "", from("192.0.2.1")...).want(t, 200, "").object(t)
	if diff := cmp.Diff([]string{"api_key", "expires_at", "message", "ops_limit"}, sortedKeys(a)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	key := a["api_key"].(string)
	ends, err := time.Parse(time.RFC3339, a["expires_at"].(string))
	must(t, err)
	if life := ends.Sub(before); !strings.HasPrefix(key, "wvs_trial_") || a["ops_limit"] != 10.0 || life < 29*time.Minute || life > 31*time.Minute || !strings.Contains(a["message"].(string), "30 minutes and 10 operations") {
		t.Errorf("%v", a)
	}
	rec := ts.storedKeys()[0]
	if rec.Owner != "trial" || rec.Environment != apikey.Trial || rec.Role != "trial" || ts.audited("key.create", rec.ID) != 1 || told("trial_issued") != 1 || told("key_created") != 0 {
		t.Errorf("%+v", rec)
	}
	// It opens nothing of the API.
	for _, c := range [][2]string{
		{"GET", "/v1/auth/keys"},
		{"POST", "/v1/auth/keys"},
		{"GET", "/v1/auth/keys/" + rec.ID},
		{"DELETE", "/v1/auth/keys/" + rec.ID},
		{"PATCH", "/v1/auth/keys/" + rec.ID},
		{"POST", "/v1/auth/keys/" + rec.ID + "/rotate"},
		{"POST", "/api/v1/keys/apikey/rotate"},
		{"GET", "/v1/auth/status"},
		{"POST", "/v1/auth/keys/verify"},
		{"GET", "/v1/auth/usage"},
	} {
		if a := ts.do(c[0], c[1], "", by(key)...); a.StatusCode != 403 {
			t.Errorf("%s %s: %d %s", c[0], c[1], a.StatusCode, a.body)
		}
	}
	for range 4 {
		ts.do("POST", path, "", from("192.0.2.1")...).want(t, 200, "")
	}
	over := ts.do("POST", path, "", from("192.0.2.1")...).want(t, 429, "rate_limit_exceeded")
	if over.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	ts.do("POST", path, "", from("192.0.2.2")...).want(t, 200, "") // another's minute
	ts.do("POST", path, "", append(from("192.0.2.3"), "Sec-Fetch-Site", "cross-site")...).want(t, 403, "cross_origin")
	ts.do("GET", path, "").want(t, 405, "method_not_allowed")

	end := func(prefix string) answer { return ts.do("DELETE", path+"/"+prefix, "", from("192.0.2.4")...) }
	end(key[:15]).want(t, 404, "not_found")
	end("wvs_trial_______").want(t, 404, "not_found")
	end("wvs_live_"+key[10:18]).want(t, 404, "not_found")
	gone := end(key[:16]).want(t, 200, "").object(t)
	if gone["revoked"] != true || gone["message"] == "" {
		t.Errorf("%v", gone)
	}
	ts.do("GET", "/_auth/userinfo", "", by(key)...).want(t, 401, "invalid_api_key")
	end(key[:16]).want(t, 404, "not_found")
}

func TestTrialOperationsAreExactAmongRacingRequests(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(whoApp))
	t.Cleanup(upstream.Close)
	ts := configured(t, withPolicy(t, "upstreams: [{route: /, url: \""+upstream.URL+"\"}]\ntrial: {enabled: true, operations: 7}\n"))
	key := ts.do("POST", "/api/v1/onboarding/temp-key", "").want(t, 200, "").object(t)["api_key"].(string)
	statuses, answers := race(50, func() answer { return ts.do("GET", "/x", "", by(key)...) })
	if diff := cmp.Diff(map[int]int{200: 7, 402: 43}, statuses); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	for _, a := range answers {
		if a.StatusCode != 200 {
			a.want(t, 402, "ops_limit_reached")
		}
	}
}

func TestOutstandingTrialKeysAreBounded(t *testing.T) {
	var trials trials
	now := time.Now()
	for i := range maxTrials {
		if wait := trials.take(now.Add(time.Duration(i)), now.Add(time.Hour+time.Duration(i))); wait != 0 {
			t.Fatalf("number %d has to wait %s", i, wait)
		}
	}
	if wait := trials.take(now.Add(time.Minute), now.Add(2*time.Hour)); wait != 59*time.Minute {
		t.Errorf("one too many waits %s", wait)
	}
	trials.giveBack()
	if wait := trials.take(now, now.Add(time.Hour)); wait != 0 {
		t.Errorf("what failed still counts: %s", wait)
	}
	if wait := trials.take(now.Add(2*time.Hour), now.Add(3*time.Hour)); wait != 0 || len(trials.ends) != 1 {
		t.Errorf("%d still count when they have ended, wait %s", len(trials.ends), wait)
	}
}
