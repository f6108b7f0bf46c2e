package server

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestConsentIsForTheBrowserThatWasAsked: what a page was given is worth nothing in
// another session, edited, late, or as another page's.
func TestConsentIsForTheBrowserThatWasAsked(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", hasAll)
	ann, annElsewhere, bob := o.person("ann"), o.person("ann"), o.person("bob")
	sealed := ann.authorize(ask(c)).sealed(t)
	refuse := func(what string, a answer) {
		t.Helper()
		if a.StatusCode < 400 || a.StatusCode > 499 || a.Header.Get("Location") != "" {
			t.Errorf("%s: %d to %q %.200s", what, a.StatusCode, a.Header.Get("Location"), a.body)
		}
	}
	refuse("another person", bob.decide(decisionPath, sealed, "allow"))
	refuse("another browser", annElsewhere.decide(decisionPath, sealed, "allow"))
	refuse("nobody", newBrowser(t, o.URL).decide(decisionPath, sealed, "allow"))
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	must(t, err)
	for bit := 0; bit < 8*len(raw); bit += 37 {
		refuse("edited", ann.decide(decisionPath, base64.RawURLEncoding.EncodeToString([]byte(flipped(string(raw), bit))), "allow"))
	}
	for what, form := range map[string]string{"none": "", "cut": sealed[:len(sealed)-4], "longer": sealed + "AAAA", "in the clear": base64.RawURLEncoding.EncodeToString([]byte("1 " + ask(c).Encode())), "a query": ask(c).Encode()} {
		refuse(what, ann.decide(decisionPath, form, "allow"))
	}
	refuse("of the page for devices", ann.decide(deviceAllowPath, sealed, "allow"))
	device := o.device(c)
	asked := ann.send("POST", deviceCodePath, url.Values{"user_code": {device.User}}, fromOurPage...).sealed(t)
	refuse("a device's on this page", ann.decide(decisionPath, asked, "allow"))
	for _, decision := range []string{"", "yes", "ALLOW", "allow,deny"} {
		refuse("the decision "+decision, ann.decide(decisionPath, sealed, decision))
	}
	refuse("a GET", ann.send("GET", decisionPath+"?request="+sealed+"&decision=allow", nil))
	refuse("in the address", ann.send("POST", decisionPath+"?request="+sealed+"&decision=allow", url.Values{}, fromOurPage...))
	sess := o.allSessions()
	for _, one := range sess { // as old as a page may get
		blob, err := o.oauth.sealForm(consentKind, &visitor{sess: &one}, url.Values{shownAt: {"1"}, shownScopes: {"openid"}, shownRequest: {ask(c).Encode()}})
		must(t, err)
		refuse("expired", ann.decide(decisionPath, blob, "allow"))
	}
	if code := ann.decide(decisionPath, sealed, "allow").sentBack(t).Get("code"); code == "" {
		t.Error("the page itself does not work")
	}
	ann.send("POST", "/_auth/logout", url.Values{}, fromOurPage...)
	refuse("after the logout", ann.decide(decisionPath, sealed, "allow"))
	ann.signInLocal("ann")
	refuse("after another sign-in", ann.decide(decisionPath, sealed, "allow"))
	if consentFor > time.Hour {
		t.Errorf("pages are good for %v", consentFor)
	}
}

// TestPagesOfOtherOriginsAgreeToNothing, whatever they send along.
func TestPagesOfOtherOriginsAgreeToNothing(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", hasAll)
	ann := o.person("ann")
	sealed := ann.authorize(ask(c)).sealed(t)
	device := o.device(c)
	typed := url.Values{"user_code": {device.User}}
	asked := ann.send("POST", deviceCodePath, typed, fromOurPage...).sealed(t)
	for what, headers := range map[string][]string{
		"cross-site":             {"Sec-Fetch-Site", "cross-site"},
		"same-site":              {"Sec-Fetch-Site", "same-site"},
		"none":                   {"Sec-Fetch-Site", "made-up"},
		"a foreign origin":       {"Origin", "https://evil.example"},
		"another port":           {"Origin", "http://127.0.0.1:1"},
		"no origin to speak of":  {"Origin", "null"},
		"cross-site, our origin": {"Sec-Fetch-Site", "cross-site", "Origin", o.URL},
		"neither is said":        {"Accept", "text/html"},
	} {
		answers := []answer{
			ann.decide(decisionPath, sealed, "allow", headers...), ann.decide(decisionPath, sealed, "deny", headers...),
			ann.decide(deviceAllowPath, asked, "allow", headers...), ann.decide(deviceAllowPath, asked, "deny", headers...),
		}
		for i, a := range answers {
			if a.StatusCode != http.StatusForbidden || a.Header.Get("Location") != "" {
				t.Errorf("%s, %d: %d to %q", what, i, a.StatusCode, a.Header.Get("Location"))
			}
		}
	}
	if a := o.token(c, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {device.Code}}); !strings.Contains(a.body, "authorization_pending") {
		t.Errorf("the device: %s", a.body)
	}
	for what, headers := range map[string][]string{"our origin": {"Origin", o.URL}, "same-origin": {"Sec-Fetch-Site", "same-origin", "Origin", "null"}} {
		if ann.decide(decisionPath, sealed, "allow", headers...).sentBack(t).Get("code") == "" {
			t.Errorf("%s gets no code", what)
		}
	}
}

// TestAConsentThatIsSentAgainReachesNobodyElse: the same browser may press the button
// twice, and gets an answer for the same app each time; a pushed request is answered
// once.
func TestAConsentThatIsSentAgainReachesNobodyElse(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c, other := o.app("ci", ""), o.app("other", "")
	ann := o.person("ann")
	sealed := ann.authorize(ask(c)).sealed(t)
	first, second := ann.decide(decisionPath, sealed, "allow").sentBack(t).Get("code"), ann.decide(decisionPath, sealed, "allow").sentBack(t).Get("code")
	if first == "" || second == "" || first == second {
		t.Errorf("codes %q and %q", first, second)
	}
	o.token(other, redeeming(second)).refused(t, "another app", 400, "invalid_grant")
	o.token(c, redeeming(first)).given(t)

	uri := o.call("/oauth/par", c, ask(c)).text(t, "request_uri")
	pushed := url.Values{"client_id": {c.ID}, "request_uri": {uri}}
	tabs := []string{ann.authorize(pushed).sealed(t), ann.authorize(pushed).sealed(t)}
	got := atOnce(20, func(i int) bool { return ann.decide(decisionPath, tabs[i%2], "allow").sentBack(t).Get("code") != "" })
	if got[true] != 1 {
		t.Errorf("a pushed request gave %d codes", got[true])
	}
	ann.authorize(pushed).staysHere(t, "a pushed request after its answer", 400)
	bob := o.person("bob")
	mixed := url.Values{"client_id": {other.ID}, "request_uri": {o.call("/oauth/par", c, ask(c)).text(t, "request_uri")}, "redirect_uri": {appURI}}
	bob.authorize(mixed).staysHere(t, "another client's pushed request", 400)
}

// TestTwoTabsThatAskAtOnceBothFinish, also when somebody signs in between.
func TestTwoTabsThatAskAtOnceBothFinish(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c, d := o.app("ci", ""), o.app("other", "")
	b := newBrowser(t, o.URL)
	one, two := ask(c, "state", "one"), ask(d, "state", "two")
	for _, q := range []url.Values{one, two} {
		a := b.authorize(q)
		if a.StatusCode != 303 || !strings.HasPrefix(a.Header.Get("Location"), "/_auth/login?") || strings.Contains(a.Header.Get("Location"), o.oauth.prefix+"/evil") {
			t.Fatalf("%d to %q", a.StatusCode, a.Header.Get("Location"))
		}
	}
	b.signInLocal("ann")
	sealed := []string{b.authorize(one).sealed(t), b.authorize(two).sealed(t)}
	for i, state := range []string{"one", "two"} {
		if got := b.decide(decisionPath, sealed[i], "allow").sentBack(t); got.Get("state") != state || got.Get("code") == "" {
			t.Errorf("tab %s: %v", state, got)
		}
	}
}

// TestWhatWasNotShownIsNotGiven: a scope that the policy gives a person while they look
// at the page is not among what they agreed to.
func TestWhatWasNotShownIsNotGiven(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "", func(c *Config) {
		rewrite(t, c.PolicyFile, `members: ["local|ann", "local|bob"]`, `members: ["local|bob"]`)
		rewrite(t, c.PolicyFile, `reader: {scopes: [things:read]}`, `reader: {scopes: [things:read], members: ["local|ann"]}`)
	})
	c := o.app("ci", hasAll)
	ann := o.person("ann")
	q := ask(c, "scope", "things:read things:write")
	page := ann.authorize(q)
	sealed := page.sealed(t)
	device := o.device(c, "scope", "things:read things:write")
	asked := ann.send("POST", deviceCodePath, url.Values{"user_code": {device.User}}, fromOurPage...)
	if strings.Contains(page.body+asked.body, "things:write") {
		t.Fatal("the page shows what ann does not hold")
	}
	rewrite(t, o.cfg.PolicyFile, `members: ["local|bob"]`, `members: ["local|ann", "local|bob"]`)
	eventually(t, "the policy is followed", func() bool { return strings.Contains(ann.authorize(q).body, "things:write") })
	code := ann.decide(decisionPath, sealed, "allow").sentBack(t).Get("code")
	if got := o.token(c, redeeming(code)).given(t); got.Scope != "things:read" {
		t.Errorf("the app has %q", got.Scope)
	}
	ann.decide(deviceAllowPath, asked.sealed(t), "allow").want(t, 200, "")
	if got := o.token(c, polling(device.Code)).given(t); got.Scope != "things:read" {
		t.Errorf("the device has %q", got.Scope)
	}
}
