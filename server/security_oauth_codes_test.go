package server

import (
	"strings"
	"testing"
)

// TestRFC9700_2_1_1_OneWrongThingBurnsTheCode varies exactly one thing of a good
// token request: there is no token, and none for the right request after it.
func TestRFC9700_2_1_1_OneWrongThingBurnsTheCode(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c, other := o.app("ci", hasAll), o.app("other", hasAll)
	public, otherPublic := o.app("ci", isPublic), o.app("ci", isPublic)
	ann := o.person("ann")
	for what, try := range map[string]struct {
		of, by  app
		change  []string
		expired bool
	}{
		"another client":             {of: c, by: other},
		"a public one":               {of: c, by: public},
		"another public one":         {of: public, by: otherPublic},
		"a confidential one":         {of: public, by: c},
		"another redirect URI":       {of: c, by: c, change: []string{"redirect_uri", otherURI}},
		"a URI with a slash more":    {of: c, by: c, change: []string{"redirect_uri", appURI + "/"}},
		"a URI in capitals":          {of: c, by: c, change: []string{"redirect_uri", strings.ToUpper(appURI)}},
		"no redirect URI":            {of: c, by: c, change: []string{"redirect_uri", ""}},
		"another verifier":           {of: c, by: c, change: []string{"code_verifier", wrongProof}},
		"another public's verifier":  {of: public, by: public, change: []string{"code_verifier", wrongProof}},
		"no verifier":                {of: c, by: c, change: []string{"code_verifier", ""}},
		"the challenge as verifier":  {of: c, by: c, change: []string{"code_verifier", challengeOf(proof)}},
		"a verifier that is longer":  {of: c, by: c, change: []string{"code_verifier", proof + "v"}},
		"a verifier that is shorter": {of: c, by: c, change: []string{"code_verifier", proof[1:]}},
		"a verifier in capitals":     {of: c, by: c, change: []string{"code_verifier", strings.ToUpper(proof)}},
		"an expired one":             {of: c, by: c, expired: true},
	} {
		code := ann.codeFor(ask(try.of))
		if try.expired {
			o.alter("UPDATE oauth_codes SET expires_at = 1000")
		}
		o.token(try.by, redeeming(code, try.change...)).refused(t, what, 400, "invalid_grant")
		o.token(try.of, redeeming(code)).refused(t, what+", then the right one", 400, "invalid_grant")
	}
	code := ann.codeFor(ask(c)) // the flow itself is good
	o.token(c, redeeming(code)).given(t)
}

// TestRFC9700_2_1_1_ACodeThatWasAlteredIsNone flips every bit and cuts everywhere:
// nothing is given, and the code itself stays good.
func TestRFC9700_2_1_1_ACodeThatWasAlteredIsNone(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", "")
	code := o.person("ann").codeFor(ask(c))
	for bit := 0; bit < 8*len(code); bit += 5 {
		if a := o.token(c, redeeming(flipped(code, bit))); a.StatusCode != 400 {
			t.Errorf("bit %d: %d %s", bit, a.StatusCode, a.body)
		}
	}
	for n := 1; n < len(code); n += 4 {
		o.token(c, redeeming(code[:n])).refused(t, "a part", 400, "invalid_grant")
	}
	for _, wrong := range []string{code + "A", code + "=", code + "\n", " " + code, code + "\x00", strings.ToUpper(code), "wgrt_" + code[5:], "wgdc_" + code[5:]} {
		if a := o.token(c, redeeming(wrong)); a.StatusCode != 400 || strings.Contains(a.body, "access_token") {
			t.Errorf("%q: %d %s", wrong, a.StatusCode, a.body)
		}
	}
	o.token(c, redeeming(code)).given(t)
}

// TestRFC9700_4_5_ReplayOfACodeEndsTheFamilyEverywhere: whoever sends a code a second
// time, with whatever, ends what it gave: at the gateway, in open sockets, at
// introspection and at the token endpoint, and is told of.
func TestRFC9700_4_5_ReplayOfACodeEndsTheFamilyEverywhere(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	told := o.subscribe()
	c, other, public := o.app("root", hasAll), o.app("other", ""), o.app("ci", isPublic)
	ann := o.person("ann")
	replays := 0
	for what, try := range map[string]struct {
		by     app
		change []string
	}{
		"the same":       {by: c},
		"another client": {by: other},
		"a public one":   {by: public},
		"no verifier":    {by: c, change: []string{"code_verifier", ""}},
		"another URI":    {by: c, change: []string{"redirect_uri", otherURI}},
	} {
		code := ann.codeFor(ask(c))
		first := o.token(c, redeeming(code)).given(t)
		second := o.token(c, refreshing(first.Refresh)).given(t)
		sockets := []open{o.socket(bearer(first.Access)...), o.events(bearer(second.Access)...)}
		if o.opens(first.Access) != 200 || o.opens(second.Access) != 200 {
			t.Fatal("the tokens open nothing")
		}
		o.token(try.by, redeeming(code, try.change...)).refused(t, what, 400, "invalid_grant")
		replays++
		for which, token := range map[string]string{"first": first.Access, "second": second.Access} {
			if got := o.opens(token); got != 401 {
				t.Errorf("%s: the %s access token: %d", what, which, got)
			}
			if o.active(c, token) {
				t.Errorf("%s: the %s access token is active", what, which)
			}
		}
		for _, s := range sockets {
			s.ended("the code was replayed by " + what)
		}
		if o.active(c, second.Refresh) {
			t.Errorf("%s: the refresh token is active", what)
		}
		o.token(c, refreshing(second.Refresh)).refused(t, what+", refreshed", 400, "invalid_grant")
	}
	eventually(t, "the owner is told", func() bool { return told("suspicious_activity") >= replays })
}

// TestRFC9700_2_1_1_FiftyRacingRedemptionsGiveOneAnswer: at most one gets tokens.
func TestRFC9700_2_1_1_FiftyRacingRedemptionsGiveOneAnswer(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", "")
	ann := o.person("ann")
	for range 3 {
		code := ann.codeFor(ask(c))
		got := atOnce(50, func(int) int { return o.token(c, redeeming(code)).StatusCode })
		if got[200] > 1 || got[200]+got[400] != 50 {
			t.Errorf("%v", got)
		}
	}
}

// TestTheCodeRemembersWhetherTheRequestNamedTheRedirectURI: it may be left out only
// where it was left out before (RFC 6749, section 4.1.3).
func TestTheCodeRemembersWhetherTheRequestNamedTheRedirectURI(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	a := o.by("ci", "POST", "/v1/auth/clients", `{"name":"One","redirect_uris":["`+appURI+`"],"scopes":["things:read"]}`)
	c := app{a.text(t, "client.client_id"), a.text(t, "client.client_secret")}
	ann := o.person("ann")
	plain := []string{"redirect_uri", "", "scope", "things:read"}
	o.token(c, redeeming(ann.codeFor(ask(c, plain...)), "redirect_uri", "")).given(t)
	o.token(c, redeeming(ann.codeFor(ask(c, plain...)), "redirect_uri", otherURI)).refused(t, "a URI that nobody named", 400, "invalid_grant")
	o.token(c, redeeming(ann.codeFor(ask(c, "scope", "things:read")), "redirect_uri", "")).refused(t, "none", 400, "invalid_grant")
}
