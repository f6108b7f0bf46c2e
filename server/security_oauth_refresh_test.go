package server

import (
	"net/url"
	"os"
	"strings"
	"testing"
)

// rewrite changes a file that the server follows.
func rewrite(t *testing.T, path, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", path, old)
	}
	must(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, replacement, 1)), 0o600))
}

// TestRFC9700_4_14_2_ARefreshTokenIsItsClientsAlone: nobody else's request does
// anything, not even to the token.
func TestRFC9700_4_14_2_ARefreshTokenIsItsClientsAlone(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c, other, public := o.app("ci", hasAll), o.app("other", hasAll), o.app("ci", isPublic)
	ann := o.person("ann")
	mine, publics := o.letIn(ann, c), o.letIn(ann, public)
	for what, by := range map[string]app{"another client": other, "a public client": public} {
		o.token(by, refreshing(mine.Refresh)).refused(t, what, 400, "invalid_grant")
	}
	o.token(c, refreshing(publics.Refresh)).refused(t, "a confidential one", 400, "invalid_grant")
	o.token(app{ID: c.ID}, refreshing(mine.Refresh)).refused(t, "the client without its secret", 401, "invalid_client")
	o.token(app{c.ID, other.Secret}, refreshing(mine.Refresh)).refused(t, "the client with another's secret", 401, "invalid_client")
	for bit := 0; bit < 8*len(mine.Refresh); bit += 7 {
		if a := o.token(c, refreshing(flipped(mine.Refresh, bit))); a.StatusCode != 400 {
			t.Errorf("bit %d: %d %s", bit, a.StatusCode, a.body)
		}
	}
	o.token(c, refreshing(mine.Refresh)).given(t)
	o.token(public, refreshing(publics.Refresh)).given(t)
}

// TestRFC9700_4_14_2_ReuseEndsTheFamilyAfterTheGraceAndNotBefore: a lost answer can be
// had again, and is the same; once its successor was used, the old token is a thief's.
func TestRFC9700_4_14_2_ReuseEndsTheFamilyAfterTheGraceAndNotBefore(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	told := o.subscribe()
	c := o.app("root", "")
	ann := o.person("ann")
	first := o.letIn(ann, c)
	next := map[string]int{}
	atOnce(20, func(int) int {
		a := o.token(c, refreshing(first.Refresh))
		return a.StatusCode
	})
	for range 3 {
		next[o.token(c, refreshing(first.Refresh)).given(t).Refresh]++
	}
	if len(next) != 1 || next[first.Refresh] != 0 {
		t.Fatalf("lost answers gave %d successors", len(next))
	}
	var second string
	for second = range next {
	}
	third := o.token(c, refreshing(second)).given(t)
	if o.opens(third.Access) != 200 {
		t.Fatal("the family has ended too early")
	}
	socket := o.socket(bearer(third.Access)...)
	o.token(c, refreshing(first.Refresh)).refused(t, "the first after its successor was used", 400, "invalid_grant")
	for what, token := range map[string]string{"the first": first.Refresh, "the second": second, "the third": third.Refresh} {
		o.token(c, refreshing(token)).refused(t, what, 400, "invalid_grant")
		if o.active(c, token) {
			t.Errorf("%s is active", what)
		}
	}
	if got := o.opens(third.Access); got != 401 {
		t.Errorf("the access token: %d", got)
	}
	socket.ended("the refresh token was reused")
	eventually(t, "the owner is told", func() bool { return told("suspicious_activity") >= 1 })

	late := o.letIn(ann, c)
	o.token(c, refreshing(late.Refresh)).given(t)
	o.alter("UPDATE oauth_refresh_tokens SET consumed_at = consumed_at - 11000 WHERE consumed_at > 0")
	o.token(c, refreshing(late.Refresh)).refused(t, "after the grace", 400, "invalid_grant")
	if got := o.opens(late.Access); got != 401 {
		t.Errorf("the family goes on: %d", got)
	}
}

// TestARefreshNeverWidens: neither scopes nor audience.
func TestARefreshNeverWidens(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", "")
	ann := o.person("ann")
	t0 := o.letIn(ann, c)
	for _, wider := range []string{"things:write", "openid offline_access things:read things:write", "*", "profile", "things:read email", "THINGS:READ"} {
		o.token(c, refreshing(t0.Refresh, "scope", wider)).refused(t, wider, 400, "invalid_scope")
	}
	for _, target := range []string{o.oauth.prefix + "/things", "https://evil.example", o.oauth.prefix + "/"} {
		o.token(c, refreshing(t0.Refresh, "resource", target)).refused(t, target, 400, "invalid_target")
	}
	narrow := o.token(c, refreshing(t0.Refresh, "scope", "openid")).given(t)
	if narrow.Scope != "openid" || o.opens(narrow.Access) != 403 {
		t.Errorf("narrowed to %q, which opens %d", narrow.Scope, o.opens(narrow.Access))
	}
	whole := o.token(c, refreshing(narrow.Refresh)).given(t) // RFC 6749, section 6: the refresh token keeps its scopes
	if whole.Scope != "openid offline_access things:read" {
		t.Errorf("then %q", whole.Scope)
	}
}

// TestWhatEndsAGrantEndsItEverywhere: each of these is seen by the token endpoint, by
// the gateway with sockets that are open, and by introspection.
func TestWhatEndsAGrantEndsItEverywhere(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(o attackedOAuth, ann *browser, c app, given tokens){
		"a disabled user": func(o attackedOAuth, _ *browser, _ app, _ tokens) {
			users := o.by("root", "GET", "/v1/auth/users", "").want(t, 200, "")
			o.by("root", "PATCH", "/v1/auth/users/"+users.text(t, "users.0.id"), `{"disabled":true}`).want(t, 200, "")
		},
		"a user who left the users file": func(o attackedOAuth, _ *browser, _ app, _ tokens) {
			must(t, os.WriteFile(o.cfg.Users.Path, []byte(keychainLine(t, "bob", "bob-password")), 0o600))
			eventually(t, "the file is followed", func() bool { return !o.signIn.users.Has("ann") })
		},
		"a disabled client": func(o attackedOAuth, _ *browser, c app, _ tokens) {
			o.by("ci", "PATCH", "/v1/auth/clients/"+c.ID, `{"disabled":true}`).want(t, 200, "")
		},
		"a deleted client": func(o attackedOAuth, _ *browser, c app, _ tokens) {
			o.by("ci", "DELETE", "/v1/auth/clients/"+c.ID, "").want(t, 204, "")
		},
		"a withdrawn consent": func(o attackedOAuth, ann *browser, c app, _ tokens) {
			ann.api("DELETE", "/v1/auth/connections/"+c.ID, "").want(t, 204, "")
		},
		"a withdrawn consent, on the page": func(o attackedOAuth, ann *browser, c app, _ tokens) {
			ann.press(withdrawPath(c.ID), url.Values{}).to(t, "/_portal/connected?done=app-withdrawn")
		},
		"a revoked refresh token": func(o attackedOAuth, _ *browser, c app, given tokens) {
			o.call("/oauth/revoke", c, url.Values{"token": {given.Refresh}}).want(t, 200, "")
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			o := attackOAuth(t, "")
			c := o.app("ci", "")
			ann := o.person("ann")
			given := o.letIn(ann, c)
			unused := ann.codeFor(ask(c))
			if o.opens(given.Access) != 200 {
				t.Fatal("the token opens nothing")
			}
			socket := o.socket(bearer(given.Access)...)
			end(o, ann, c, given)
			socket.ended(what)
			eventually(t, "the gateway knows", func() bool { return o.opens(given.Access) == 401 })
			o.do("GET", "/oauth/userinfo", "", bearer(given.Access)...).want(t, 401, "invalid_token")
			for _, form := range []url.Values{refreshing(given.Refresh), redeeming(unused)} {
				a := o.token(c, form)
				if form.Has("code") && strings.HasPrefix(what, "a revoked") {
					a.given(t) // another grant
				} else if a.StatusCode != 400 && a.StatusCode != 401 || strings.Contains(a.body, "access_token") {
					t.Errorf("%s: %d %s", form.Get("grant_type"), a.StatusCode, a.body)
				}
			}
			watcher := o.app("root", `"introspection":true`)
			for _, token := range []string{given.Access, given.Refresh} {
				if o.active(watcher, token) {
					t.Errorf("%.5s… is active", token)
				}
			}
		})
	}
}

// TestWhatThePolicyTookIsLeftOutOfNewTokens: a role, or a scope altogether.
func TestWhatThePolicyTookIsLeftOutOfNewTokens(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", "")
	ann, bob := o.person("ann"), o.person("bob")
	role := o.letIn(ann, c, "scope", "offline_access things:read things:write")
	plain := o.letIn(bob, c, "scope", "things:write")
	if role.Scope != "offline_access things:read things:write" {
		t.Fatalf("ann gives %q", role.Scope)
	}
	rewrite(t, o.cfg.PolicyFile, `members: ["local|ann", "local|bob"]`, `members: ["local|bob"]`)
	rewrite(t, o.cfg.PolicyFile, `reader: {scopes: [things:read]}`, `reader: {scopes: [things:read], members: ["local|ann"]}`)
	var got tokens
	eventually(t, "the policy is followed", func() bool {
		got = o.token(c, refreshing(role.Refresh)).given(t)
		role.Refresh = got.Refresh
		return got.Scope == "offline_access things:read"
	})
	if a := o.do("POST", "/things", "", bearer(got.Access)...); a.StatusCode != 403 {
		t.Errorf("what was taken away opens %d", a.StatusCode)
	}
	rewrite(t, o.cfg.PolicyFile, `writer: {scopes: [things:read, things:write], members: ["local|bob"]}`, `writer: {scopes: [things:read]}`)
	rewrite(t, o.cfg.PolicyFile, "  things:write: {endpoints: [POST /things]}\n", "")
	eventually(t, "nothing is left to give", func() bool {
		a := o.token(c, refreshing(plain.Refresh))
		if a.StatusCode == 200 {
			plain.Refresh = a.given(t).Refresh
			return false
		}
		a.refused(t, "nothing is left", 400, "invalid_grant")
		return true
	})
}
