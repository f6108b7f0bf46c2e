package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wavegate/oidc/oidctest"
)

// stranger begins a login and returns its state and cookies.
func stranger(t *testing.T, ts *testServer) (state, cookies string) {
	t.Helper()
	b := newBrowser(t, ts.URL)
	u, err := b.send("GET", "/_auth/init?next=%2Fdeep", nil).Location()
	must(t, err)
	return u.Query().Get("state"), b.cookies()
}

// hold makes the provider's token endpoint wait until release is called.
func hold(t *testing.T, idp *oidctest.Provider) (release func()) {
	held := make(chan struct{})
	release = sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	idp.Break("/token", func(w http.ResponseWriter, r *http.Request) {
		<-held
		idp.Serve(w, r)
	})
	return release
}

func TestAttemptThatFailsIsExchangedOnce(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withProvider(t, idp))
	state, cookies := stranger(t, ts)
	release := hold(t, idp)
	var wg sync.WaitGroup
	var exchanged, stale atomic.Int32
	for i := range 400 {
		wg.Go(func() {
			a := ts.do("GET", fmt.Sprintf("/_auth/callback?state=%s&code=b%d&iss=%s", state, i, url.QueryEscape(idp.URL)), "", "Cookie", cookies, "Accept", "text/html")
			switch {
			case a.StatusCode != 400 || !strings.Contains(a.body, "%2Fdeep") || a.Header.Get("Location") != "":
				t.Errorf("%d to %q: %.200s", a.StatusCode, a.Header.Get("Location"), a.body)
			case a.Header.Get("Set-Cookie") != "":
				exchanged.Add(1)
			default:
				if stale.Add(1) == 399 { // none of them waits for the provider
					release()
				}
			}
		})
	}
	wg.Wait()
	if n := idp.Count("/token"); n != 1 || exchanged.Load() != 1 {
		t.Errorf("400 callbacks of one attempt made %d token requests", n)
	}
	// Later neither, whatever the provider said.
	a := ts.do("GET", "/_auth/callback?state="+state+"&code=y&iss="+url.QueryEscape(idp.URL), "", "Cookie", cookies, "Accept", "text/html")
	ts.refusedPage("once more", a, 400, "stale_login", "login attempt")
	if n := idp.Count("/token"); n != 1 {
		t.Errorf("%d token requests", n)
	}
}

func TestFailedExchangeAndItsReloadShowAPageAndNoLoop(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withUsers(t), withProvider(t, idp))
	b := newBrowser(t, ts.URL)
	callback := b.begin("1001", url.Values{"next": {"/deep"}})
	cookies := b.cookies()
	idp.Break("/token", oidctest.Cut)
	ts.refusedPage("it fails", b.send("GET", callback, nil), 503, "provider_unreachable", "token endpoint")
	ts.refusedPage("reloaded", b.send("GET", callback, nil), 400, "stale_login")
	// A browser that missed the answer, and so still has the cookie.
	again := newBrowser(t, ts.URL)
	a := again.send("GET", callback, nil, "Cookie", cookies)
	ts.refusedPage("reloaded with the cookie", a, 400, "stale_login", "login attempt")
	if !strings.Contains(a.body, "next=%2Fdeep") {
		t.Errorf("the page does not lead to where the person wanted: %s", a.body)
	}
	// Whoever is signed in meanwhile goes on.
	again.signInLocal("ann")
	if a := again.send("GET", callback, nil, "Cookie", cookies); a.StatusCode != 302 || a.Header.Get("Location") != "/deep" {
		t.Errorf("signed in: %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	if n := idp.Count("/token"); n != 1 {
		t.Errorf("%d token requests, want 1", n)
	}
	idp.Mend("/token")
	b.signInAs("1001", "")
}

func TestProviderThatHangsIsAskedForFewAtATime(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	ts := guarded(t, whoApp, withProvider(t, idp), func(c *Config) { c.TrustedProxies = prefixes("127.0.0.0/8") })
	ts.signIn.codes.patience = time.Millisecond
	victim := newBrowser(t, ts.URL)
	refused := victim.begin("1001", url.Values{"next": {"/deep"}})
	release := hold(t, idp)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer release()
	ask := func(ip string) {
		state, cookies := stranger(t, ts)
		before := idp.Count("/token")
		wg.Go(func() {
			ts.do("GET", "/_auth/callback?state="+state+"&code=x&iss="+url.QueryEscape(idp.URL), "", "Cookie", cookies, "X-Forwarded-For", ip)
		})
		eventually(t, "a token request of "+ip, func() bool { return idp.Count("/token") == before+1 })
	}
	crowded := func(what, ip string) {
		t.Helper()
		a := victim.send("GET", refused, nil, "X-Forwarded-For", ip)
		ts.refusedPage(what, a, 503, "busy")
		if a.Header.Get("Retry-After") == "" || len(a.Cookies()) != 0 {
			t.Errorf("%s: Retry-After %q, cookies %v", what, a.Header.Get("Retry-After"), a.Cookies())
		}
		a = victim.send("GET", refused, nil, "X-Forwarded-For", ip, "Accept", "application/json").want(t, 503, "busy")
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: JSON without Retry-After", what)
		}
	}
	for i := range 4 {
		ask(fmt.Sprintf("2001:db8::%x", i+1))
	}
	crowded("the fifth of one /64", "2001:db8::ffff")
	for i := range 28 {
		ask(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String())
	}
	crowded("the 33rd of all", "198.51.100.1")
	if n := idp.Count("/token"); n != 32 {
		t.Errorf("%d token requests at a time", n)
	}
	release()
	wg.Wait()
	// What was refused for want of room is not used up.
	if a := victim.send("GET", refused, nil); a.StatusCode != 303 || a.Header.Get("Location") != "/deep" {
		t.Errorf("afterwards: %d to %q: %.200s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
}
