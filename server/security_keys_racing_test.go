package server

import (
	"fmt"
	"testing"
	"time"

	"wavegate/keychain/apikey"
	"wavegate/server/store"
	"wavegate/server/store/storetest"
)

// both starts two servers on one store and one secret.
func both(t *testing.T, url, more string) [2]attacked {
	t.Helper()
	secret := writeFile(t, t.TempDir()+"/secret", fmt.Sprintf("%064x\n", time.Now().UnixNano()))
	shared := func(c *Config) { c.Store, c.SecretFile = url, secret }
	app := newRawApp(t)
	return [2]attacked{attackIn(t, app.url, more, shared), attackIn(t, app.url, more, shared)}
}

// stores are the kinds of stores that two servers can share.
var stores = map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.Postgres}

// trialKey asks for a trial key from an address.
func (a attacked) trialKey(from string) (key string, answered answer) {
	a.t.Helper()
	answered = a.do("POST", "/api/v1/onboarding/temp-key", "", "X-Forwarded-For", from)
	if answered.StatusCode == 200 {
		key, _ = answered.object(a.t)["api_key"].(string)
	}
	return key, answered
}

func TestOfFiftyRacingOperationsOfATrialTenPass(t *testing.T) {
	t.Parallel()
	a := attack(t)
	key, _ := a.trialKey("192.0.2.1")
	got := atOnce(50, func(i int) string {
		status, code := a.direct("GET", "/things", fmt.Sprintf("192.0.2.%d", i), bearer(key)...)
		return fmt.Sprint(status, " ", code)
	})
	if got["200 "] != 10 || got["402 ops_limit_reached"] != 40 {
		t.Errorf("answers %v, want 10 of 200 and 40 of 402", got)
	}
}

func TestOfFiftyRacingOperationsAtTwoServersTenPass(t *testing.T) {
	t.Parallel()
	for name, url := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := both(t, url(t), "")
			key, _ := pair[0].trialKey("192.0.2.1")
			counted := pair[0].mint("ci", `"scopes":["things:read"],"budget":{"operations_per_day":10}`).Key
			for what, key := range map[string]string{"402 ops_limit_reached": key, "402 budget_exceeded": counted} {
				got := atOnce(50, func(i int) string {
					status, code := pair[i%2].direct("GET", "/things", "192.0.2.1", bearer(key)...)
					return fmt.Sprint(status, " ", code)
				})
				if got["200 "] != 10 || got[what] != 40 {
					t.Errorf("answers %v, want 10 of 200 and 40 of %s", got, what)
				}
			}
		})
	}
}

// TestOldAndNewKeyOfARotationShareWhatIsLeftUnderRacingRequests: at two servers, and
// rotated once more on the way.
func TestOldAndNewKeyOfARotationShareWhatIsLeftUnderRacingRequests(t *testing.T) {
	t.Parallel()
	pair := both(t, storetest.SQLite(t), "")
	k := pair[0].mint("ci", `"scopes":["things:read"],"ops_limit":10`)
	rotate := func(key string) string {
		fresh, _ := pair[1].do("POST", "/api/v1/keys/apikey/rotate", "", bearer(key)...).want(t, 200, "").object(t)["new_api_key"].(string)
		return fresh
	}
	second := rotate(k.Key)
	keys := []string{k.Key, second, rotate(second)}
	got := atOnce(60, func(i int) int {
		status, _ := pair[i%2].direct("GET", "/things", "192.0.2.1", bearer(keys[i%3])...)
		return status
	})
	if got[200] != 10 || got[402] != 50 {
		t.Errorf("answers %v, want 10 of 200 and 50 of 402", got)
	}
	for _, key := range keys {
		pair[0].things(key, "192.0.2.1").want(t, 402, "ops_limit_reached")
	}
}

// TestFiftyRacingRotationsLeaveOneHeir: by every way that there is, at two servers.
func TestFiftyRacingRotationsLeaveOneHeir(t *testing.T) {
	t.Parallel()
	for name, url := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := both(t, url(t), "")
			k := pair[0].mint("ci", `"scopes":["*"]`)
			got := atOnce(50, func(i int) int {
				switch a := pair[i%2]; i % 3 {
				case 0:
					return a.by("ci", "POST", "/v1/auth/keys/"+k.ID+"/rotate", `{}`).StatusCode
				case 1:
					return a.do("POST", "/v1/auth/keys/"+k.ID+"/rotate", "", bearer(k.Key)...).StatusCode
				default:
					return a.do("POST", "/api/v1/keys/apikey/rotate", "", bearer(k.Key)...).StatusCode
				}
			})
			list, err := pair[0].store.Keys(t.Context(), store.KeyFilter{Owner: "key:ci"}, time.Now(), "", 10)
			must(t, err)
			if got[200] != 1 || got[409] != 49 || len(list) != 2 {
				t.Errorf("answers %v and %d keys, want one rotation", got, len(list))
			}
		})
	}
}

// TestRacingRevocationAndRotationLeaveNoDeletedKeyAlive: whoever wins, the key that was
// revoked does not live on, and a rotation that lost made none.
func TestRacingRevocationAndRotationLeaveNoDeletedKeyAlive(t *testing.T) {
	t.Parallel()
	a := attack(t)
	for range 10 {
		k := a.mint("ci", `"scopes":["*"]`)
		got := atOnce(12, func(i int) string {
			if i == 0 {
				return fmt.Sprint("revoke ", a.by("ci", "DELETE", "/v1/auth/keys/"+k.ID, "").StatusCode)
			}
			if i%2 == 0 {
				return fmt.Sprint("change ", a.by("ci", "PATCH", "/v1/auth/keys/"+k.ID, fmt.Sprintf(`{"name":"n%d"}`, i)).StatusCode)
			}
			return fmt.Sprint("rotate ", a.by("ci", "POST", "/v1/auth/keys/"+k.ID+"/rotate", `{}`).StatusCode)
		})
		if got["revoke 204"] != 1 {
			t.Logf("the revocation lost: %v", got) // five changes in a row came between: the caller is told
			continue
		}
		if rec := a.keyRecord(k.ID); rec.Status(time.Now()) != apikey.Revoked {
			t.Errorf("a revoked key is %s after %v", rec.Status(time.Now()), got)
		}
		a.things(k.Key, "192.0.2.1").want(t, 401, "invalid_api_key")
	}
}

func TestTrialKeysAreFiveAMinuteForOneSource(t *testing.T) {
	t.Parallel()
	a := attack(t)
	got := atOnce(50, func(int) int {
		_, answered := a.trialKey("192.0.2.1")
		if answered.StatusCode == 429 && answered.Header.Get("Retry-After") == "" {
			return -1
		}
		return answered.StatusCode
	})
	if got[200] != 5 || got[429] != 45 {
		t.Errorf("answers %v, want 5 keys", got)
	}
	got = atOnce(20, func(i int) int {
		_, answered := a.trialKey(fmt.Sprintf("2001:db8:5::%x", i)) // one /64
		return answered.StatusCode
	})
	if got[200] != 5 || got[429] != 15 {
		t.Errorf("answers %v to a /64, want 5 keys", got)
	}
	if _, answered := a.trialKey("192.0.2.2"); answered.StatusCode != 200 {
		t.Errorf("another source: %d %s", answered.StatusCode, answered.body)
	}
}

func TestTenKeysAnHourForOneOwnerUnderRacingRequests(t *testing.T) {
	t.Parallel()
	a := attack(t)
	k := a.mint("ci", `"role":"developer"`)
	got := atOnce(50, func(i int) int {
		if i%2 == 0 { // an access key and its API key are one owner
			return a.by("ci", "POST", "/api/v1/user/api-keys", `{"environment":"live"}`).StatusCode
		}
		return a.do("POST", "/api/v1/user/api-keys", `{"environment":"live"}`, bearer(k.Key)...).StatusCode
	})
	if got[201] != 10 || got[429] != 40 {
		t.Errorf("answers %v, want 10 keys", got)
	}
	a.by("other", "POST", "/api/v1/user/api-keys", `{"environment":"live"}`).want(t, 201, "")
}
