package server

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"wavegate/server/store"
)

// TestKeysOfALocalUserEndWithTheirLine: those of whom the users file does not name
// any more open nothing, in sockets and streams too, and nobody else's end.
func TestKeysOfALocalUserEndWithTheirLine(t *testing.T) {
	t.Parallel()
	var file string
	a := attack(t, func(c *Config) { file = c.Users.Path })
	ann, bob := newBrowser(t, a.URL).signInLocal("ann"), newBrowser(t, a.URL).signInLocal("bob")
	anns := mintedIn(t, ann.api("POST", "/v1/auth/keys", `{"name":"x","scopes":["things:read","keys:write"]}`))
	bobs := mintedIn(t, bob.api("POST", "/v1/auth/keys", `{"name":"x","scopes":["things:read"]}`))
	given := a.mint("root", `"scopes":["things:read"],"owner":"sub:local|ann"`)
	heir := mintedIn(t, a.do("POST", "/v1/auth/keys", `{"name":"x","scopes":["things:read"]}`, bearer(anns.Key)...))
	end := []open{a.socket(bearer(anns.Key)...), a.socket(bearer(given.Key)...), a.events(bearer(heir.Key)...)}
	stays := []open{a.socket(bearer(bobs.Key)...), a.events(bearer(bobs.Key)...)}
	whole, err := os.ReadFile(file)
	must(t, err)
	writeFile(t, file, keychainLine(t, "bob", "bob-password"))
	for _, o := range end {
		o.ended("the owner's line is gone")
	}
	for range 30 { // which is no guessing
		for _, k := range []minted{anns, given, heir} {
			if status, code := a.direct("GET", "/things", "192.0.2.1", bearer(k.Key)...); status != 401 || code != "invalid_api_key" {
				t.Fatalf("%d %s", status, code)
			}
		}
	}
	a.do("POST", "/v1/auth/keys", `{"name":"x","scopes":["things:read"]}`, bearer(anns.Key)...).want(t, 401, "invalid_api_key")
	a.do("POST", "/api/v1/keys/apikey/rotate", "", bearer(anns.Key)...).want(t, 401, "invalid_api_key")
	if got := a.by("root", "POST", "/v1/auth/keys/verify", `{"key":"`+anns.Key+`"}`).want(t, 200, ""); !strings.Contains(got.body, `"valid":false`) {
		t.Errorf("services are told %s", got.body)
	}
	a.by("root", "POST", "/v1/auth/keys", `{"name":"x","owner":"sub:local|ann"}`).want(t, 400, "invalid_request")
	a.by("root", "POST", "/v1/auth/keys", `{"name":"x","owner":"sub:local|never"}`).want(t, 400, "invalid_request")
	a.things(bobs.Key, "192.0.2.1").want(t, 200, "") // nobody is locked either
	for _, o := range stays {
		o.stays("another user's line is gone")
	}
	must(t, os.WriteFile(file, whole, 0o600))
	eventually(t, "the line is back", func() bool { return a.things(anns.Key, "192.0.2.1").StatusCode == 200 })
	a.by("ci", "GET", "/v1/auth/keys", "").want(t, 200, "")
}

// TestKeysOfADisabledUserStopAtOnceAndComeBack: also those that an administrator made
// before the user first signed in, and what they try meanwhile locks nobody.
func TestKeysOfADisabledUserStopAtOnceAndComeBack(t *testing.T) {
	t.Parallel()
	a := attack(t)
	early := a.mint("root", `"scopes":["things:read"],"owner":"sub:local|ann"`)
	bystander := a.mint("ci", `"scopes":["things:read"]`)
	ann := newBrowser(t, a.URL).signInLocal("ann")
	own := mintedIn(t, ann.api("POST", "/v1/auth/keys", `{"name":"x","scopes":["things:read"]}`))
	user := a.allSessions()[0].UserID
	both := []minted{early, own}
	var sockets []open
	for _, k := range both {
		a.things(k.Key, "192.0.2.1").want(t, 200, "")
		sockets = append(sockets, a.socket(bearer(k.Key)...))
	}
	a.by("root", "PATCH", "/v1/auth/users/"+user, `{"disabled":true}`).want(t, 200, "")
	for _, k := range both {
		a.things(k.Key, "192.0.2.1").want(t, 401, "invalid_api_key") // at once, not when the change was read
	}
	for i, o := range sockets {
		o.ended(fmt.Sprint("the user was disabled, key ", i))
	}
	for range 25 {
		for _, k := range both {
			if status, _ := a.direct("GET", "/things", "192.0.2.1", bearer(k.Key)...); status != 401 {
				t.Fatalf("%d", status)
			}
		}
	}
	a.things(bystander.Key, "192.0.2.1").want(t, 200, "")
	if locks := a.lockouts.List(time.Now()); len(locks) > 0 {
		t.Errorf("the right keys of a disabled user lock %v", locks)
	}
	a.by("root", "PATCH", "/v1/auth/users/"+user, `{"disabled":false}`).want(t, 200, "")
	for _, k := range both {
		a.things(k.Key, "192.0.2.1").want(t, 200, "")
	}
}

// TestWhatAnAPIKeyOpenedEndsWhenItLosesSomething: sockets and streams end with every
// change that takes away what opened them, and with none that does not.
func TestWhatAnAPIKeyOpenedEndsWhenItLosesSomething(t *testing.T) {
	t.Parallel()
	a := attack(t)
	for what, c := range map[string]struct {
		change func(k minted)
		ends   bool
	}{
		"revoked":          {func(k minted) { a.by("ci", "DELETE", "/v1/auth/keys/"+k.ID, "").want(t, 204, "") }, true},
		"rotated at once":  {a.rotation(`{"grace_period_hours":0}`), true},
		"a scope less":     {a.change(`{"scopes":["things:write"]}`), true},
		"a role less":      {a.change(`{"role":null}`), true},
		"other addresses":  {a.change(`{"allowed_ips":["192.0.2.9"]}`), true},
		"expired":          {func(k minted) { a.expire(k, time.Now().Add(1200*time.Millisecond)) }, true},
		"rotated":          {a.rotation(`{}`), false},
		"another name":     {a.change(`{"name":"y","metadata":{"a":1}}`), false},
		"more scopes":      {a.change(`{"scopes":["things:read","things:write"]}`), false},
		"a later end":      {a.change(`{"expires_in_days":10}`), false},
		"somebody's words": {func(k minted) { a.by("other", "DELETE", "/v1/auth/keys/"+k.ID, "").want(t, 404, "not_found") }, false},
	} {
		k := a.mint("ci", `"scopes":["things:read"],"role":"writer","expires_in_days":5`)
		conns := []open{a.socket(bearer(k.Key)...), a.events("X-API-Key", k.Key)}
		c.change(k)
		for _, o := range conns {
			if c.ends {
				o.ended(what)
			} else {
				a.do("GET", "/things", "", bearer(k.Key)...).want(t, 200, "")
				o.stays(what)
			}
		}
	}
	eventually(t, "sockets are counted off", func() bool { return a.upgraded.count() == 5 })
}

func (a attacked) change(body string) func(minted) {
	return func(k minted) { a.by("ci", "PATCH", "/v1/auth/keys/"+k.ID, body).want(a.t, 200, "") }
}

func (a attacked) rotation(body string) func(minted) {
	return func(k minted) { a.by("ci", "POST", "/v1/auth/keys/"+k.ID+"/rotate", body).want(a.t, 200, "") }
}

// expire gives a key an end that the API would not take.
func (a attacked) expire(k minted, at time.Time) {
	a.t.Helper()
	rec, err := a.store.Key(a.t.Context(), k.ID)
	must(a.t, err)
	rec.ExpiresAt = at
	_, err = a.store.ChangeKey(a.t.Context(), rec, store.Journal{})
	must(a.t, err)
	a.apiKeys.Changed(k.ID)
}

// TestTheEndOfAKeyIsTheEndForEveryCall: no call revives what was revoked or has
// expired, whoever asks.
func TestTheEndOfAKeyIsTheEndForEveryCall(t *testing.T) {
	t.Parallel()
	a := attack(t)
	revoked, expired := a.mint("ci", `"scopes":["*"]`), a.mint("ci", `"scopes":["*"],"expires_in_days":1`)
	a.by("ci", "DELETE", "/v1/auth/keys/"+revoked.ID, "").want(t, 204, "")
	a.expire(expired, time.Now().Add(-time.Second))
	for what, k := range map[string]minted{"revoked": revoked, "expired": expired} {
		for _, as := range []string{"ci", "root"} {
			for _, body := range []string{`{"expires_in_days":5}`, `{"expires_at":null}`, `{"revoked_at":null}`, `{"status":"active"}`, `{"deprecated_at":null}`, `{"name":"y"}`} {
				if got := a.by(as, "PATCH", "/v1/auth/keys/"+k.ID, body); got.StatusCode != 409 && got.StatusCode != 400 {
					t.Errorf("%s: %s: %d %s", what, body, got.StatusCode, got.body)
				}
			}
			a.by(as, "POST", "/v1/auth/keys/"+k.ID+"/rotate", `{"grace_period_hours":720}`).want(t, 409, "key_not_active")
		}
		a.do("POST", "/api/v1/keys/apikey/rotate", "", bearer(k.Key)...).want(t, 401, "invalid_api_key")
		a.by("ci", "DELETE", "/v1/auth/keys/"+k.ID, "").want(t, 204, "")
		a.things(k.Key, "192.0.2.1").want(t, 401, "invalid_api_key")
		all := a.hasher.All(k.Key) // the last is what an import names
		a.by("root", "POST", "/v1/auth/keys/import", fmt.Sprintf(`{"hash":"%x","name":"again"}`, all[len(all)-1])).want(t, 200, "")
		a.things(k.Key, "192.0.2.1").want(t, 401, "invalid_api_key")
	}
	list, err := a.store.Keys(t.Context(), store.KeyFilter{Owner: "key:ci"}, time.Now(), "", 10)
	must(t, err)
	if len(list) != 2 {
		t.Errorf("%d keys: a rotation was half-done", len(list))
	}
}

// TestAllowListsAreHeldAgainstTheClientsOwnAddress: v4, v6 and mapped ones, through a
// proxy that is trusted, and what strangers say about it is nothing.
func TestAllowListsAreHeldAgainstTheClientsOwnAddress(t *testing.T) {
	t.Parallel()
	a := attack(t)
	for _, c := range []struct {
		list, from string
		opens      bool
	}{
		{`"192.0.2.0/24"`, "192.0.2.255", true},
		{`"192.0.2.0/24"`, "192.0.3.0", false},
		{`"192.0.2.7"`, "192.0.2.7", true},
		{`"192.0.2.7"`, "192.0.2.8", false},
		{`"192.0.2.0/24"`, "::ffff:192.0.2.9", true},
		{`"192.0.2.0/24"`, "::ffff:192.0.3.9", false},
		{`"::ffff:192.0.2.0/120"`, "192.0.2.9", true},
		{`"::ffff:192.0.2.0/120"`, "::ffff:192.0.2.9", true},
		{`"2001:db8::/32"`, "2001:db8:ffff::1", true},
		{`"2001:db8::/32"`, "2001:db9::1", false},
		{`"2001:db8::1"`, "2001:db8:0:0::1", true},
		{`"2001:db8::1"`, "2001:db8::2", false},
		{`"0.0.0.0/0"`, "2001:db8::1", false},
		{`"::/0"`, "192.0.2.1", false},
		{`"0.0.0.0/0","::/0"`, "192.0.2.1", true},
		{`"10.0.0.0/8","192.0.2.1"`, "192.0.2.1", true},
		{`"192.0.2.1"`, "192.0.2.1, 203.0.113.9", false},
		{`"192.0.2.1"`, "203.0.113.9, 192.0.2.1", true}, // walked from the right
	} {
		k := a.mint("ci", `"scopes":["things:read"],"allowed_ips":[`+c.list+`]`)
		for _, credential := range [][]string{bearer(k.Key), {"X-API-Key", k.Key}} {
			got := a.do("GET", "/things", "", append(credential, "X-Forwarded-For", c.from)...)
			if c.opens && got.StatusCode != 200 {
				t.Errorf("%s from %s: %d %s", c.list, c.from, got.StatusCode, got.body)
			} else if !c.opens {
				got.want(t, 403, "ip_not_allowed")
			}
		}
	}
	stranger := attack(t, func(c *Config) { c.TrustedProxies = nil })
	home, away := stranger.mint("ci", `"scopes":["*"],"allowed_ips":["127.0.0.1"]`), stranger.mint("ci", `"scopes":["*"],"allowed_ips":["192.0.2.1"]`)
	for _, header := range []string{"X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "Forwarded"} {
		value := map[bool]string{true: "for=192.0.2.1", false: "192.0.2.1"}[header == "Forwarded"]
		stranger.do("GET", "/things", "", append(bearer(away.Key), header, value)...).want(t, 403, "ip_not_allowed")
		stranger.do("GET", "/things", "", append(bearer(home.Key), header, value)...).want(t, 200, "")
	}
}
