package server

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// signInAgain follows a request that wants a sign-in to the login page, signs in, and
// returns the answer to the request afterwards.
func (b *browser) signInAgain(what, name string, a answer) answer {
	b.t.Helper()
	to, err := url.Parse(a.Header.Get("Location"))
	must(b.t, err)
	next := to.Query().Get("next")
	if a.StatusCode != 303 || to.Path != "/_auth/login" || !strings.HasPrefix(next, authorizePath+"?") {
		b.t.Fatalf("%s: no sign-in: %d to %q", what, a.StatusCode, a.Header.Get("Location"))
	}
	if page := b.send("GET", to.String(), nil); page.StatusCode != 200 || !strings.Contains(page.body, `name="password"`) {
		b.t.Fatalf("%s: the login page is passed over: %d to %q", what, page.StatusCode, page.Header.Get("Location"))
	}
	back := b.signIn(name, name+"-password", next)
	if back.StatusCode != 303 || back.Header.Get("Location") != next {
		b.t.Fatalf("%s: the sign-in leads to %q, want %q", what, back.Header.Get("Location"), next)
	}
	return b.send("GET", next, nil)
}

// pushed pushes a request and returns what the browser sends of it.
func (o attackedOAuth) pushed(c app, q url.Values) url.Values {
	o.t.Helper()
	a := o.call("/oauth/par", c, q)
	if a.StatusCode != 201 {
		o.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return url.Values{"client_id": {c.ID}, "request_uri": {a.text(o.t, "request_uri")}}
}

// TestAFreshSignInIsAskedForOnceAndCannotBeTalkedAway: prompt=login and max_age, in the
// address and pushed, lead through the login page once; no parameter that somebody
// makes up, keeps from another request, or takes away changes that.
func TestAFreshSignInIsAskedForOnceAndCannotBeTalkedAway(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c, other := o.app("ci", ""), o.app("ci", "")
	for what, change := range map[string][]string{
		"prompt=login": {"prompt", "login"}, "max_age=0": {"max_age", "0"}, "prompt=login and consent": {"prompt", "login consent"},
		"select_account": {"prompt", "select_account"},
	} {
		for _, way := range []string{"in the address", "pushed"} {
			name := what + " " + way
			ann := o.person("ann")
			q, foreign := ask(c, change...), ask(other, change...)
			if way == "pushed" {
				q, foreign = o.pushed(c, q), o.pushed(other, foreign)
			}
			before := ann.sessionCookie()
			to, err := ann.authorize(foreign).Location()
			must(t, err)
			next, err := url.Parse(to.Query().Get("next"))
			must(t, err)
			for _, since := range []string{
				"", "0", "1", strconv.FormatInt(time.Now().Add(-time.Minute).UnixMilli(), 10), strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10), next.Query().Get(sinceParam),
			} {
				if a := ann.authorize(values(q, sinceParam, since)); a.StatusCode != 303 || !strings.HasPrefix(a.Header.Get("Location"), "/_auth/login?") {
					t.Errorf("%s: since %q: %d to %q", name, since, a.StatusCode, a.Header.Get("Location"))
				}
			}
			after := ann.signInAgain(name, "ann", ann.authorize(q))
			if code := ann.decide(decisionPath, after.sealed(t), "allow").sentBack(t).Get("code"); code == "" {
				t.Errorf("%s: no code after the sign-in", name)
			}
			if ann.sessionCookie() == before {
				t.Errorf("%s: it is the old session", name)
			}
		}
	}
	if a := o.person("ann").authorize(ask(c, "max_age", "60")); a.StatusCode != 200 {
		t.Errorf("a young session for max_age=60: %d", a.StatusCode)
	}
}

// TestWhoIsNotSignedInSignsInOnce: that sign-in is as fresh as any.
func TestWhoIsNotSignedInSignsInOnce(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", "")
	for _, change := range [][]string{{}, {"prompt", "login"}, {"max_age", "0"}, {"max_age", "3600"}} {
		nobody := newBrowser(t, o.URL)
		page := nobody.signInAgain(strings.Join(change, "="), "ann", nobody.authorize(ask(c, change...)))
		if code := nobody.decide(decisionPath, page.sealed(t), "allow").sentBack(t).Get("code"); code == "" {
			t.Errorf("%v: no code after the sign-in", change)
		}
	}
}

// TestPromptNoneNeverShowsAPage: everybody who would have to be asked something is sent
// back with an error.
func TestPromptNoneNeverShowsAPage(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c, public := o.app("ci", ""), o.app("ci", isPublic)
	ann, bob, nobody := o.person("ann"), o.person("bob"), newBrowser(t, o.URL)
	quiet := func(c app, change ...string) url.Values { return ask(c, append(change, "prompt", "none")...) }
	o.goesBack("nobody", nobody.authorize(quiet(c)), "login_required", "st")
	o.goesBack("nobody, pushed", nobody.authorize(o.pushed(c, quiet(c))), "login_required", "st")
	o.goesBack("never asked", ann.authorize(quiet(c)), "consent_required", "st")
	sealed := ann.authorize(ask(c)).sealed(t)
	a := ann.send("POST", decisionPath, url.Values{"request": {sealed}, "decision": {"allow"}, "remember": {"1"}}, fromOurPage...)
	given := o.token(c, redeeming(a.sentBack(t).Get("code"))).given(t)
	o.token(c, redeeming(ann.authorize(quiet(c)).sentBack(t).Get("code"))).given(t)
	o.goesBack("more than before", ann.authorize(quiet(c, "scope", "openid things:read things:write")), "consent_required", "st")
	o.goesBack("another audience", ann.authorize(quiet(c, "resource", o.oauth.prefix+"/things")), "consent_required", "st")
	o.goesBack("somebody else", bob.authorize(quiet(c)), "consent_required", "st")
	o.goesBack("somebody else by the hint", bob.authorize(quiet(c, "id_token_hint", given.ID)), "login_required", "st")
	o.goesBack("with login", ann.authorize(ask(c, "prompt", "none login")), "invalid_request", "st")
	o.goesBack("too old", ann.authorize(quiet(c, "max_age", "0")), "login_required", "st")
	sealed = ann.authorize(ask(public, "redirect_uri", appURI)).sealed(t)
	ann.send("POST", decisionPath, url.Values{"request": {sealed}, "decision": {"allow"}}, fromOurPage...)
	o.goesBack("not remembered", ann.authorize(quiet(public)), "consent_required", "st")
	ann.api("DELETE", "/v1/auth/connections/"+c.ID, "").want(t, 204, "")
	o.goesBack("withdrawn", ann.authorize(quiet(c)), "consent_required", "st")
}
