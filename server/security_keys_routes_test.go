package server

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/keychain/apikey"
	"wavegate/oidc/oidctest"
	authz "wavegate/oidc/provider"
	"wavegate/server/store"
	"wavegate/server/webhook"
)

// belonging are the beginnings of the paths under which things belong to somebody.
var belonging = []string{"/v1/auth/keys", "/v1/auth/webhooks", "/v1/auth/sessions", "/v1/auth/users", "/v1/auth/access-keys", "/v1/auth/lockouts", "/v1/auth/clients", "/v1/auth/connections", "/api/v1/user/"}

// TestForeignIDsAre404OnEveryRouteOfTheTable goes through the route table itself, so
// that a new line without the check fails it. Whoever asks holds every scope.
func TestForeignIDsAre404OnEveryRouteOfTheTable(t *testing.T) {
	t.Parallel()
	a := attack(t)
	theirs, own := a.mint("root", `"scopes":["*"]`), a.mint("ci", `"scopes":["*"]`)
	hook := webhook.Endpoint{ID: webhook.NewEndpointID(), Owner: "key:root", URL: "http://127.0.0.1:1/", Version: 1, CreatedAt: time.Now()}
	must(t, a.store.AddEndpoint(t.Context(), hook, 10, store.Journal{}))
	ping := webhook.NewEvent(webhook.Ping, hook.Owner, time.Now(), nil)
	delivery, err := webhook.NewDelivery(hook.ID, &ping, time.Now())
	must(t, err)
	must(t, a.store.AddDelivery(t.Context(), delivery, store.Journal{}))
	newBrowser(t, a.URL).signInLocal("bob")
	bobs := a.allSessions()[0]
	for i := range 10 {
		a.direct("GET", "/things", "203.0.113.7", bearer(theirs.Prefix+strings.Repeat("0", 23)+string(rune('0'+i)))...)
	}
	locks := a.lockouts.List(time.Now())
	if len(locks) != 1 {
		t.Fatalf("locks: %v", locks)
	}
	client := clientIn(t, a.by("root", "POST", clientsPath, `{"name":"root's"}`).want(t, 201, ""))
	foreign := map[string]string{
		"keys": theirs.ID, "api-keys": theirs.ID, "webhooks": hook.ID, "sessions": bobs.ID, "users": bobs.UserID, "lockouts": a.lockID(locks[0]),
		"clients": client.ID, "connections": client.ID, "access-keys": "root's own key",
	}
	before := []any{a.keyRecord(theirs.ID), a.hookRecord(hook.ID), a.clientRecord(client.ID)}
	checked := 0
	for _, rt := range a.table {
		kind := kindOf(rt.path)
		if kind == "" {
			continue
		}
		checked++
		at := func(id string) string {
			return strings.NewReplacer("{id}", id, "{delivery_id}", delivery.ID).Replace(rt.path)
		}
		for what, credential := range map[string][]string{"an API key": bearer(own.Key), "an access key": {"Authorization", basic("ci", "secret")}, "another": {"Authorization", basic("other", "secret")}} {
			if foreign[kind] == "" {
				t.Fatalf("%s: the test knows no %s of somebody else's", rt.path, kind)
			}
			got := a.do(rt.method, at(foreign[kind]), `{}`, append(credential, "Content-Type", "application/json")...)
			none := a.do(rt.method, at(foreign[kind][:5]+strings.Repeat("a", 21)), `{}`, append(credential, "Content-Type", "application/json")...)
			if kind == "users" || kind == "access-keys" { // those are for administrators, whoever it is
				got.want(t, 403, "insufficient_role")
				continue
			}
			// Nobody's locks are theirs without the permission, and connections are people's alone.
			allowed := got.StatusCode == 404 || (kind == "lockouts" || kind == "connections") && got.StatusCode == 403
			if !allowed || stripped(got) != stripped(none) {
				t.Errorf("%s: %s %s: %d %s, and for what is not there %s", what, rt.method, rt.path, got.StatusCode, got.body, none.body)
			}
		}
	}
	if checked < 19 {
		t.Errorf("only %d lines of the table were checked", checked)
	}
	if diff := cmp.Diff(before, []any{a.keyRecord(theirs.ID), a.hookRecord(hook.ID), a.clientRecord(client.ID)}); diff != "" {
		t.Errorf("what is somebody else's was changed:\n%s", diff)
	}
	a.things(theirs.Key, "192.0.2.1").want(t, 429, "locked_out") // nobody lifted it
	a.wantSessions("of bob", 1)
}

// kindOf returns what a line with {id} is about, "" for lines without.
func kindOf(path string) string {
	if !strings.Contains(path, "{id}") {
		return ""
	}
	for _, begin := range belonging {
		if strings.HasPrefix(path, begin) {
			parts := strings.Split(path, "/")
			for i, part := range parts {
				if part == "{id}" {
					return parts[i-1]
				}
			}
		}
	}
	return "unknown to the test"
}

// stripped is an answer without what differs each time.
func stripped(a answer) string {
	return a.Status + strings.ReplaceAll(a.body, a.Header.Get("X-Request-Id"), "")
}

func (a attacked) keyRecord(id string) apikey.Record {
	a.t.Helper()
	rec, err := a.store.Key(a.t.Context(), id)
	must(a.t, err)
	rec.LastUsedAt = time.Time{}
	return rec
}

func (a attacked) clientRecord(id string) authz.Client {
	a.t.Helper()
	c, err := a.store.Client(a.t.Context(), id)
	must(a.t, err)
	return c
}

func (a attacked) hookRecord(id string) webhook.Endpoint {
	a.t.Helper()
	e, err := a.store.Endpoint(a.t.Context(), id)
	must(a.t, err)
	return e
}

// TestAnAPIKeyIsNoPersonAndNoAdministrator: what belongs to people and to
// administrators is not theirs whose key has every scope, be its owner one.
func TestAnAPIKeyIsNoPersonAndNoAdministrator(t *testing.T) {
	t.Parallel()
	a := attack(t, func(c *Config) { c.Admins = []string{"root", "local|ann"} })
	ann := newBrowser(t, a.URL).signInLocal("ann")
	whole := mintedIn(t, ann.api("POST", "/v1/auth/keys", `{"name":"x","scopes":["things:read"],"role":"developer"}`))
	bobs := a.mint("other", `"scopes":["*"]`)
	session := a.allSessions()[0]
	for _, k := range []string{whole.Key, a.mint("root", `"scopes":["*"]`).Key} {
		for _, c := range []struct {
			method, path, body string
			status             int
		}{
			{"GET", "/v1/auth/keys?all=true", "", 403},
			{"GET", "/v1/auth/keys?owner=key:other", "", 403},
			{"GET", "/v1/auth/keys/export?all=true", "", 403},
			{"GET", "/v1/auth/usage?all=true", "", 403},
			{"GET", "/v1/auth/webhooks?all=true", "", 403},
			{"POST", "/v1/auth/webhooks", `{"url":"http://127.0.0.1:1/","all":true}`, 403},
			{"GET", "/v1/auth/keys/" + bobs.ID, "", 404},
			{"DELETE", "/v1/auth/keys/" + bobs.ID, "", 404},
			{"POST", "/v1/auth/keys/import", `{"hash":"` + strings.Repeat("0", 64) + `"}`, 403},
			{"GET", "/v1/auth/audit/verify", "", 403},
			{"GET", "/v1/auth/users", "", 403},
			{"PATCH", "/v1/auth/users/" + session.UserID, `{"disabled":true}`, 403},
			{"GET", "/v1/auth/sessions?all=true", "", 403},
			{"DELETE", "/v1/auth/sessions/" + session.ID, "", 404},
			{"POST", "/_auth/token", "", 403},
			{"GET", "/_auth/refresh", "", 401},
		} {
			if got := a.do(c.method, c.path, c.body, bearer(k)...); got.StatusCode != c.status {
				t.Errorf("%s %s: %d %s, want %d", c.method, c.path, got.StatusCode, got.body, c.status)
			}
		}
		if got := a.do("GET", "/v1/auth/sessions", "", bearer(k)...); strings.Contains(got.body, "ses_") {
			t.Errorf("a key lists sessions: %s", got.body)
		}
		a.do("POST", "/", `{"register_app":{"mode":"unicast","route":"/mine","address":"http://127.0.0.1:1","key_id":"a","key_secret":"b"}}`,
			append(bearer(k), "Content-Type", "application/json")...)
		for page, body := range map[string]string{"/_portal/sessions": "others=true", "/_portal/profile": "current_password=ann-password"} {
			a.do("GET", page, "", bearer(k)...).to(t, "/_auth/login?next="+url.QueryEscape(page))
			a.do("POST", page, body, append(bearer(k), "Content-Type", "application/x-www-form-urlencoded")...).to(t, toResume)
		}
	}
	if n := len(a.gateway.Apps().List()); n != 0 {
		t.Error("an API key registered an app")
	}
	a.wantSessions("of ann", 1)
	a.things(bobs.Key, "192.0.2.1").want(t, 200, "")
}

// TestAnAPIKeyShowsItsOwnerAndNeverItself: what the app behind gets.
func TestAnAPIKeyShowsItsOwnerAndNeverItself(t *testing.T) {
	t.Parallel()
	app := newRawApp(t)
	a := attackIn(t, app.url, "")
	ann := newBrowser(t, a.URL).signInLocal("ann")
	// The name of a key is its maker's choice, and must not pass for somebody's.
	of := map[string]struct {
		key     minted
		subject string
	}{
		"a person":      {mintedIn(t, ann.api("POST", "/v1/auth/keys", `{"name":"bob","scopes":["things:read"]}`)), "local|ann"},
		"an access key": {a.mint("ci", `"scopes":["things:read"]`), "ci"},
	}
	trial, _ := a.do("POST", "/api/v1/onboarding/temp-key", "").want(t, 200, "").object(t)["api_key"].(string)
	parts, _ := apikey.Parse(trial)
	rec, err := a.store.KeyByPrefix(t.Context(), parts.Prefix, time.Now())
	must(t, err)
	of["nobody"] = struct {
		key     minted
		subject string
	}{minted{rec.ID, trial, rec.Prefix}, "trial|" + rec.ID}
	app.take()
	for whose, c := range of {
		for _, credential := range [][]string{{"Authorization", "Bearer " + c.key.Key}, {"Authorization", c.key.Key}, {"X-API-Key", c.key.Key}, {"x-api-key", c.key.Key}} {
			for _, path := range []string{"/things", "/public/things"} {
				a.do("GET", path, "", append(credential, "X-Forwarded-For", "192.0.2.1", "Wave-Key-ID", "key_forged", "Wave-Username", "root")...).want(t, 200, "")
				seen := strings.Join(app.take(), "")
				if strings.Contains(seen, c.key.Key[len(c.key.Prefix):]) || strings.Contains(seen, "forged") || strings.Contains(seen, "Wave-Username: root") || strings.Contains(seen, "Wave-Username: bob") {
					t.Errorf("%s, %s %s: the app saw\n%s", whose, path, credential[0], seen)
				}
				if path == "/public/things" {
					continue
				}
				for _, line := range []string{"Wave-Subject-ID: " + c.subject, "Wave-Auth-Method: api-key", "Wave-Key-ID: " + c.key.ID, "Wave-Scopes: things:read", "Wave-Assertion: ey"} {
					if strings.Count(seen, "\r\n"+line) != 1 {
						t.Errorf("%s: want %q once in\n%s", whose, line, seen)
					}
				}
				if strings.Contains(seen, "Wave-Session-ID") || strings.Contains(seen, "Wave-Email") {
					t.Errorf("%s: the app saw a session's\n%s", whose, seen)
				}
			}
		}
	}
}

// TestKindsOfTokensDoNotMixWithAPIKeys puts everything that a caller can have where
// an API key belongs, and keys where others belong.
func TestKindsOfTokensDoNotMixWithAPIKeys(t *testing.T) {
	t.Parallel()
	app := newHandleApp(t)
	a := attacked{withoutLockouts(attackIn(t, app.url, "").testServer)}
	ann := newBrowser(t, a.URL).signInLocal("ann")
	k := mintedIn(t, ann.api("POST", "/v1/auth/keys", `{"name":"x","scopes":["things:read"]}`))
	a.things(k.Key, "192.0.2.1").want(t, 200, "")
	session := ann.token()
	claims := oidctest.ReadClaims(session)
	sum := a.hasher.Current(k.Key)
	for what, credential := range map[string]string{
		"the assertion": app.header("Wave-Assertion"), "the cookie's value": ann.sessionCookie(), "the session's name": a.allSessions()[0].ID,
		"the key's ID": k.ID, "its prefix": k.Prefix, "its hash": hex.EncodeToString(sum[:]), "the secret of a webhook": webhook.NewSecret().Reveal(),
		"alg none":           oidctest.SignJWT(oidctest.Claims{"alg": "none", "typ": "wavegate-session+jwt"}, claims, nil) + "x",
		"HS256 with the key": oidctest.SignJWT(oidctest.Claims{"alg": "HS256", "typ": "wavegate-session+jwt"}, claims, []byte(k.Key)),
		"a token in pieces":  k.Key + "." + k.Key + "." + k.Key, "the user's ID": a.allSessions()[0].UserID,
	} {
		if credential == "" {
			t.Fatalf("there is no %s", what)
		}
		for _, headers := range [][]string{bearer(credential), {"Authorization", credential}, {"X-API-Key", credential}, {"Authorization", basic(k.ID, credential)}} {
			for _, path := range []string{"/things", "/_auth/userinfo", "/v1/auth/keys"} {
				if got := a.do("GET", path, "", headers...); got.StatusCode != 401 && got.StatusCode != 400 {
					t.Errorf("%s as %s at %s: %d %s", what, headers[0], path, got.StatusCode, got.body)
				}
			}
		}
	}
	for what, headers := range map[string][]string{
		"a password":          {"Authorization", basic("ann", k.Key)},
		"an access key's":     {"Authorization", basic("ci", k.Key)},
		"a Basic ID":          {"Authorization", basic(k.Key, "")},
		"its ID and itself":   {"Authorization", basic(k.ID, k.Key)},
		"a cookie":            {"Cookie", "wavegate=" + k.Key},
		"another scheme":      {"Authorization", "Token " + k.Key},
		"two of them":         {"Authorization", "Bearer " + k.Key, "X-API-Key", k.Key},
		"a lower-case scheme": {"Authorization", "apikey " + k.Key},
		"another header":      {"Api-Key", k.Key},
		"a session's refresh": {"Wave-Session-ID", k.Key},
	} {
		if got := a.do("GET", "/things", "", headers...); got.StatusCode != 401 && got.StatusCode != 400 {
			t.Errorf("a key as %s: %d %s", what, got.StatusCode, got.body)
		}
	}
	a.do("GET", "/_auth/userinfo", "", bearer(session)...).want(t, 200, "")
	ann.send("POST", "/_auth/logout", url.Values{}, "Sec-Fetch-Site", "same-origin")
	a.things(k.Key, "192.0.2.1").want(t, 200, "") // a key is not a session's
	if a.do("GET", "/_auth/userinfo", "", bearer(session)...).StatusCode != http.StatusUnauthorized {
		t.Error("a session token outlives its session")
	}
}
