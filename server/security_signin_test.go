package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/oidc/oidctest"
	"wavegate/server/session"
)

func TestPlantedCookieStaysAnonymousAfterLogin(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withUsers(t), withProvider(t, idp))
	attacker := newBrowser(t, ts.URL).signInLocal("bob")
	for what, planted := range map[string]string{
		"one of the right form": strings.Repeat("A", 26),
		"the attacker's own":    attacker.sessionCookie(),
	} {
		for how, signIn := range map[string]func(*browser){
			"password": func(b *browser) { b.signInLocal("ann") },
			"provider": func(b *browser) { b.signInAs("1001", "") },
		} {
			victim := newBrowser(t, ts.URL)
			victim.plant("wavegate", planted)
			signIn(victim)
			if got := victim.sessionCookie(); got == planted || len(got) != 26 {
				t.Errorf("%s, %s: the cookie after the login is %q", what, how, got)
			}
			a := ts.do("GET", "/x", "", "Cookie", "wavegate="+planted)
			if a.StatusCode != 401 || strings.Contains(a.body, "ann") || strings.Contains(a.body, "1001") {
				t.Errorf("%s, %s: the planted cookie opens %d %s", what, how, a.StatusCode, a.body)
			}
		}
	}
}

func TestCallbackOpensNothingInAnotherBrowser(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withProvider(t, idp))
	a, b := newBrowser(t, ts.URL), newBrowser(t, ts.URL)
	callback := a.begin("1001", url.Values{"next": {"/mine"}})
	b.begin("1002", nil) // a login of its own under way does not help
	ts.refusedPage("another browser's callback", b.send("GET", callback, nil), 400, "stale_login")
	// Nor does the attempt under the name of another state.
	u, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	own := strings.SplitN(b.cookies(), "=", 2)[1]
	name, _, _ := strings.Cut(attemptPair(u.Query().Get("state"), own), "=")
	b.plant(name, own)
	ts.refusedPage("an attempt under another name", b.send("GET", callback, nil), 400, "stale_login")
	if n := idp.Count("/token"); n != 0 {
		t.Errorf("%d codes were spent for a browser that did not begin the login", n)
	}
	ts.wantSessions("before", 0)
	if got := a.send("GET", callback, nil); got.StatusCode != 303 || got.Header.Get("Location") != "/mine" {
		t.Errorf("the browser that began it: %d to %q", got.StatusCode, got.Header.Get("Location"))
	}
}

// sameState begins a login and has the provider give n codes for its one state.
func sameState(t *testing.T, b *browser, n int) (callbacks []string) {
	t.Helper()
	authorize := b.send("GET", "/_auth/init?next=%2Fdeep", nil).Header.Get("Location")
	for range n {
		callbacks = append(callbacks, b.consent(authorize, "1001"))
	}
	return callbacks
}

func TestStateNonceAndVerifierAreSingleUse(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withProvider(t, idp))
	b := newBrowser(t, ts.URL)
	callbacks := sameState(t, b, 3)
	before := b.cookies()
	if a := b.send("GET", callbacks[0], nil); a.StatusCode != 303 {
		t.Fatalf("the first: %d %s", a.StatusCode, a.body)
	}
	first := b.sessionCookie()
	// The cookies as they were, and another code that the provider would take.
	thief := newBrowser(t, ts.URL)
	ts.refusedPage("replayed with another code", thief.send("GET", callbacks[1], nil, "Cookie", before), 400, "stale_login")
	ts.wantSessions("after the replay", 1)
	// The browser itself comes back: it is signed in and goes where it wanted.
	if a := b.send("GET", callbacks[2], nil); a.StatusCode != 302 || a.Header.Get("Location") != "/deep" || b.sessionCookie() != first {
		t.Errorf("the browser itself: %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	ts.wantSessions("after its return", 1)
	for what, query := range map[string]string{
		"nothing": "", "no state": "code=x", "an empty state": "state=&code=x", "a long state": "code=x&state=" + strings.Repeat("s", 5000),
		"an error alone": "error=access_denied", "a state made up": "code=x&state=ABCDEFGHIJKLMNOPQRSTUVWXYZ",
	} {
		ts.refusedPage(what, newBrowser(t, ts.URL).send("GET", "/_auth/callback?"+query, nil), 400, "stale_login")
	}
}

func TestFiftyRacingCallbacksWithOneStateBeginOneSession(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withProvider(t, idp))
	b := newBrowser(t, ts.URL)
	callbacks := sameState(t, b, 50)
	cookies := b.cookies()
	var wg sync.WaitGroup
	var won, stale atomic.Int32
	start := make(chan struct{})
	for _, callback := range callbacks {
		target := strings.TrimPrefix(callback, ts.URL)
		wg.Go(func() {
			<-start
			a := ts.do("GET", target, "", "Cookie", cookies, "Accept", "text/html")
			switch begins := strings.HasPrefix(a.Header.Get("Set-Cookie"), "wavegate=") || strings.Contains(strings.Join(a.Header.Values("Set-Cookie"), "\n"), "\nwavegate="); {
			case a.StatusCode == 303 && begins:
				won.Add(1)
			case a.StatusCode == 400 && !begins:
				stale.Add(1)
			default:
				t.Errorf("%d, cookies %q: %.200s", a.StatusCode, a.Header.Values("Set-Cookie"), a.body)
			}
		})
	}
	close(start)
	wg.Wait()
	if won.Load() != 1 || stale.Load() != 49 {
		t.Errorf("%d won and %d were refused", won.Load(), stale.Load())
	}
	ts.wantSessions("after the race", 1)
}

func TestTwoTabsBothFinish(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withProvider(t, idp))
	b := newBrowser(t, ts.URL)
	var callbacks []string
	for i := range 5 {
		callbacks = append(callbacks, b.begin("1001", url.Values{"next": {fmt.Sprintf("/tab/%d?a=b", i)}}))
	}
	for i := len(callbacks) - 1; i >= 0; i-- {
		a := b.send("GET", callbacks[i], nil)
		if want := fmt.Sprintf("/tab/%d?a=b", i); a.StatusCode/100 != 3 || a.Header.Get("Location") != want {
			t.Errorf("tab %d: %d to %q", i, a.StatusCode, a.Header.Get("Location"))
		}
		if got := b.open(fmt.Sprintf("/tab/%d?a=b", i)); !strings.Contains(got.body, "subject=1001") {
			t.Errorf("tab %d: the app saw %q", i, got.body)
		}
	}
	ts.wantSessions("one browser", 1) // each login took the place of the one before
	if n := strings.Count(b.cookies(), "wavegate-login-"); n > 8 {
		t.Errorf("%d cookies of logins are left in the browser", n)
	}
}

func TestStaleCallbackGoesToItsTargetAndIsNoBare403(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withProvider(t, idp))
	attempt := session.NewAttempt(mainProvider, "http://"+ts.cfg.Listen+"/_auth/callback", "/deep?x=1", time.Now().Add(-time.Hour))
	sealed, err := ts.signIn.sessions.SealAttempt(attempt)
	if err != nil {
		t.Fatal(err)
	}
	late := "/_auth/callback?code=x&iss=" + url.QueryEscape(idp.URL) + "&state=" + attempt.State
	b := newBrowser(t, ts.URL)
	name, value, _ := strings.Cut(attemptPair(attempt.State, sealed), "=")
	b.plant(name, value)
	a := b.send("GET", late, nil)
	if target := a.Header.Get("Location"); a.StatusCode != 302 || !strings.HasPrefix(target, "/_auth/init?") || !strings.Contains(target, "next="+url.QueryEscape("/deep?x=1")) {
		t.Errorf("nobody is signed in: %d to %q", a.StatusCode, target)
	}
	b.signInAs("1001", "")
	if a := b.send("GET", late, nil); a.StatusCode != 302 || a.Header.Get("Location") != "/deep?x=1" {
		t.Errorf("signed in: %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	if n := idp.Count("/token"); n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
}

func TestCallbackWithABadTokenOpensNothing(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withProvider(t, idp))
	claim := func(name string, value any) func() {
		return func() {
			idp.AlterIDToken(func(c oidctest.Claims) {
				c[name] = value
				if value == nil {
					delete(c, name)
				}
			})
		}
	}
	now := time.Now().Unix()
	cases := map[string]struct {
		spoil func()
		words string // in the log
	}{
		"no exp":             {claim("exp", nil), "lacks exp or iat"},
		"no iat":             {claim("iat", nil), "lacks exp or iat"},
		"no nonce":           {claim("nonce", nil), "nonce"},
		"no sub":             {claim("sub", nil), "subject"},
		"no iss":             {claim("iss", nil), "the token does not hold"},
		"no aud":             {claim("aud", nil), "the token does not hold"},
		"exp is text":        {claim("exp", "tomorrow"), "the token does not hold"},
		"another nonce":      {claim("nonce", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), "nonce"},
		"an empty nonce":     {claim("nonce", ""), "nonce"},
		"another issuer":     {claim("iss", "https://evil.example"), "https://evil.example"},
		"the issuer and /":   {claim("iss", idp.URL+"/"), "the token does not hold"},
		"another audience":   {claim("aud", "other"), "the token does not hold"},
		"two, no azp":        {claim("aud", []string{"wavegate", "other"}), "not to the client wavegate"},
		"another azp":        {claim("azp", "other"), "not to the client wavegate"},
		"another at_hash":    {claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), "at_hash"},
		"a logout event":     {claim("events", oidctest.Claims{"http://schemas.openid.net/event/backchannel-logout": oidctest.Claims{}}), "another kind"},
		"the clock is ahead": {claim("iat", now+3600), "clocks"},
		"the clock is late":  {claim("exp", now-3600), "clocks"},
		"alg none":           {func() { idp.SignWith("none") }, ""},
		"alg HS256":          {func() { idp.SignWith("HS256") }, ""},
		"type at+jwt":        {func() { idp.AlterHeader(func(h oidctest.Claims) { h["typ"] = "at+jwt" }) }, "another kind"},
		"a broken signature": {func() {
			idp.ReplaceIDToken(func(raw string) string { return raw[:len(raw)-8] + strings.Repeat("A", 8) })
		}, ""},
		"other claims under the signature": {func() {
			idp.ReplaceIDToken(func(raw string) string {
				p := strings.Split(raw, ".")
				return p[0] + "." + strings.Split(oidctest.SignJWT(oidctest.Claims{"alg": "none"}, oidctest.ReadClaims(raw), nil), ".")[1] + "AA." + p[2]
			})
		}, ""},
		"a megabyte of dots": {func() { idp.ReplaceIDToken(func(string) string { return strings.Repeat(".", 1<<19) }) }, ""},
	}
	for _, what := range sortedKeys(cases) {
		c := cases[what]
		c.spoil()
		b := newBrowser(t, ts.URL)
		a := b.send("GET", b.begin("1001", nil), nil)
		ts.refusedPage(what, a, http.StatusBadGateway, "sign_in_untrusted", "oidc provider", c.words)
		if b.sessionCookie() != "" {
			t.Errorf("%s: the browser is signed in", what)
		}
		idp.AlterIDToken(nil)
		idp.AlterHeader(nil)
		idp.ReplaceIDToken(nil)
		idp.SignWith("ES256")
	}
	idp.AlterTokenAnswer(func(_ string, answer oidctest.Claims) { delete(answer, "id_token") })
	b := newBrowser(t, ts.URL)
	ts.refusedPage("no ID token", b.send("GET", b.begin("1001", nil), nil), http.StatusBadGateway, "sign_in_misconfigured", "scope openid")
	idp.AlterTokenAnswer(nil)
	ts.wantSessions("after all of them", 0)
	newBrowser(t, ts.URL).signInAs("1001", "") // and nothing is stuck
}

func TestProvidersAreNotMixedUp(t *testing.T) {
	t.Parallel()
	first, second := newIDP(t), newIDP(t)
	ts := guarded(t, whoApp, withProvider(t, first), withSecond(t, second))
	with := func(callback string, change func(url.Values)) string {
		u, err := url.Parse(callback)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		change(q)
		u.RawQuery = q.Encode()
		return u.String()
	}
	// An answer that says to be another provider's, or does not say whose it is
	// where that was promised: no code of it is shown to anybody.
	for what, change := range map[string]func(url.Values){
		"the other's iss": func(q url.Values) { q.Set("iss", second.URL) },
		"no iss":          func(q url.Values) { q.Del("iss") },
		"no iss, an error of the other's": func(q url.Values) {
			q.Del("code")
			q.Set("error", "access_denied")
			q.Set("iss", second.URL)
		},
	} {
		b := newBrowser(t, ts.URL)
		a := b.send("GET", with(b.begin("1001", nil), change), nil)
		ts.refusedPage(what, a, http.StatusBadGateway, "sign_in_untrusted", "the answer")
	}
	if n := first.Count("/token") + second.Count("/token"); n != 0 {
		t.Errorf("%d codes were sent to a provider", n)
	}
	// A code of the other provider with the iss that is expected here.
	b := newBrowser(t, ts.URL)
	toFirst, toSecond := b.begin("1001", url.Values{"provider": {"main"}}), b.begin("1002", url.Values{"provider": {"second"}})
	foreign, _ := url.Parse(toSecond)
	a := b.send("GET", with(toFirst, func(q url.Values) { q.Set("code", foreign.Query().Get("code")) }), nil)
	ts.refusedPage("the other's code", a, http.StatusBadRequest, "stale_login", "invalid_grant")
	if n := second.Count("/token"); n != 0 {
		t.Errorf("the second provider was asked %d times in a login at the first", n)
	}
	ts.wantSessions("after all of them", 0)
}
