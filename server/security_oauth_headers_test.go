package server

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestPagesOfTheAuthorizationServerCannotBeFramedKeptOrTypedInto: consent, devices,
// sign-out and errors, with a form-action that is no wider than the app's way back.
func TestPagesOfTheAuthorizationServerCannotBeFramedKeptOrTypedInto(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", hasAll)
	made := o.by("ci", "POST", "/v1/auth/clients", `{"name":"Tool","type":"public","scopes":["things:read"],"redirect_uris":["http://127.0.0.1/cb","com.example.app:/cb"]}`)
	local := app{ID: made.text(t, "client.client_id")}
	ann := o.person("ann")
	device := o.device(c)
	given := o.letIn(ann, c)
	other := o.person("ann") // in which the token's session is not
	for what, page := range map[string]struct {
		a    answer
		form string
	}{
		"consent":               {ann.authorize(ask(c)), "'self' https:"},
		"consent, loopback":     {ann.authorize(ask(local, "redirect_uri", "http://127.0.0.1:4711/cb")), "'self' http://127.0.0.1:4711"},
		"consent, app":          {ann.authorize(ask(local, "redirect_uri", "com.example.app:/cb")), "'self' com.example.app:"},
		"a device's link":       {ann.send("GET", devicePath+"?user_code="+device.User, nil), "'self'"},
		"a device's consent":    {ann.typeIn(device.User), "'self'"},
		"a wrong user code":     {ann.typeIn("BCDF-GHJK"), "'self'"},
		"an unknown app":        {ann.authorize(ask(app{ID: "x"})), "'self'"},
		"sign out?":             {other.send("GET", oauthLogoutPath+"?id_token_hint="+given.ID, nil), "'self'"},
		"sign out, of nobody's": {ann.send("GET", oauthLogoutPath, nil), "'self'"},
	} {
		h := page.a.Header
		csp := h.Get("Content-Security-Policy")
		action := regexp.MustCompile(`form-action ([^;]*);`).FindStringSubmatch(csp)
		if len(action) != 2 || action[1] != page.form || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "base-uri 'none'") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %d %q, want form-action %q", what, page.a.StatusCode, csp, page.form)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", what, h)
		}
		for name := range h {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s", what, name)
			}
		}
		if strings.Contains(page.a.body, "autofocus") && what != "a wrong user code" { // where nothing can be agreed to yet
			t.Errorf("%s: the page takes the keyboard", what)
		}
		for _, secret := range []string{given.Access, given.Refresh, c.Secret, device.Code} {
			if strings.Contains(page.a.body, secret) {
				t.Errorf("%s: a secret is in the page", what)
			}
		}
	}
}

// TestNoOtherOriginReadsWithCredentials: pages are readable by no script, endpoints of
// clients by all, and nothing with cookies.
func TestNoOtherOriginReadsWithCredentials(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "oauth: {registration: {enabled: true}}\n")
	c := o.app("ci", hasAll)
	ann := o.person("ann")
	for _, origin := range []string{"https://evil.example", "null", o.URL} {
		for _, path := range []string{
			"/oauth/authorize", "/oauth/authorize/decision", "/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/par", "/oauth/device", "/oauth/device/code", "/oauth/device/decision",
			"/oauth/userinfo", "/oauth/register", "/oauth/logout", "/oauth/logout/confirm", "/oauth/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oauth/x", "/oauth/",
		} {
			page := strings.HasPrefix(path, "/oauth/authorize") || strings.HasPrefix(path, "/oauth/logout") || strings.HasPrefix(path, "/oauth/device/")
			answers := map[string]answer{
				"OPTIONS": ann.send("OPTIONS", path, nil, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"),
				"GET":     ann.send("GET", path+"?"+ask(c).Encode(), nil, "Origin", origin, "Accept", "*/*"),
				"POST":    ann.send("POST", path, url.Values{"token": {"x"}}, "Origin", origin, "Accept", "*/*"),
			}
			for method, a := range answers {
				allowed := a.Header.Values("Access-Control-Allow-Origin")
				if a.Header.Get("Access-Control-Allow-Credentials") != "" || len(allowed) > 1 || len(allowed) == 1 && allowed[0] != "*" {
					t.Errorf("%s %s from %s: %q with %q", method, path, origin, allowed, a.Header.Get("Access-Control-Allow-Credentials"))
				}
				if page && len(allowed) != 0 {
					t.Errorf("%s %s: a page for scripts of others", method, path)
				}
				if method == "OPTIONS" && (page || path == "/oauth/introspect") && a.StatusCode < 400 {
					t.Errorf("OPTIONS %s: %d", path, a.StatusCode)
				}
			}
		}
	}
	a := ann.send("GET", devicePath, nil, "Origin", "https://evil.example")
	if a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("the page for user codes is for scripts of others")
	}
}

// TestOnlyTheCodeTravelsInAnAddress and only to the app, which no other site hears of.
func TestOnlyTheCodeTravelsInAnAddress(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", hasAll)
	b := newBrowser(t, o.URL)
	var places []answer
	keep := func(a answer) answer {
		places = append(places, a)
		return a
	}
	to := keep(b.authorize(ask(c))).Header.Get("Location")
	keep(b.send("GET", to, nil))
	keep(b.signIn("ann", "ann-password", "/oauth/authorize?"+ask(c).Encode()))
	page := keep(b.authorize(ask(c)))
	back := b.decide(decisionPath, page.sealed(t), "allow")
	code := back.sentBack(t).Get("code")
	if back.StatusCode != 303 || code == "" || back.Header.Get("Referrer-Policy") != "no-referrer" || back.Header.Get("Cache-Control") != "no-store" || back.body != "" {
		t.Errorf("%d %v %q", back.StatusCode, back.Header, back.body)
	}
	if u, err := back.Location(); err != nil || u.Fragment != "" || len(u.Query()) != 3 {
		t.Errorf("%q", back.Header.Get("Location"))
	}
	given := o.token(c, redeeming(code)).given(t)
	device := o.device(c)
	keep(b.send("GET", devicePath, nil))
	keep(b.decide(deviceAllowPath, keep(b.typeIn(device.User)).sealed(t), "allow"))
	keep(b.send("GET", "/_portal/connected", nil))
	keep(b.send("GET", oauthLogoutPath+"?client_id="+c.ID, nil))
	for _, a := range places {
		for what, secret := range map[string]string{"the access token": given.Access, "the refresh token": given.Refresh, "the ID token": given.ID, "the device code": device.Code, "the secret": c.Secret, "the code": code, "the cookie": b.sessionCookie()} {
			if strings.Contains(a.Header.Get("Location")+a.body, secret) {
				t.Errorf("%s shows %s", a.Request.URL.Path, what)
			}
		}
	}
}

// TestSigningOutLeadsToRegisteredAddressesAlone, and ends no session unasked.
func TestSigningOutLeadsToRegisteredAddressesAlone(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	const done = "https://app.example.com/bye"
	c, other := o.app("ci", `"post_logout_redirect_uris":["`+done+`"]`), o.app("ci", `"post_logout_redirect_uris":["https://other.example.com/bye"]`)
	ann, nobody := o.person("ann"), newBrowser(t, o.URL)
	given := o.letIn(ann, c)
	to := func(uri string, kv ...string) string {
		return oauthLogoutPath + "?" + values(url.Values{"post_logout_redirect_uri": {uri}, "id_token_hint": {given.ID}}, kv...).Encode()
	}
	for _, uri := range append(corpus(t, "hostile-targets.txt"), "https://other.example.com/bye", done+"/", done+"?x=1", done+"#x", appURI, "https://app.example.com@evil.example/bye", strings.ToUpper(done), "javascript:alert(1)") {
		for who, b := range map[string]*browser{"ann": ann, "nobody": nobody} {
			for _, kv := range [][]string{nil, {"id_token_hint", "", "client_id", c.ID}, {"client_id", c.ID}, {"id_token_hint", ""}} {
				b.send("GET", to(uri, kv...), nil).staysHere(t, who+" "+uri, 400)
			}
		}
	}
	nobody.send("GET", to(done, "client_id", other.ID), nil).staysHere(t, "another client's hint", 400)
	nobody.send("GET", to(done, "id_token_hint", given.Access), nil).staysHere(t, "an access token", 400)
	o.person("bob").send("GET", to(done), nil).staysHere(t, "bob is asked", 200)
	o.person("ann").send("GET", to(done), nil).staysHere(t, "another session is asked", 200)
	ann.send("GET", to(done, "id_token_hint", "", "client_id", c.ID), nil).staysHere(t, "without a hint she is asked", 200)
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		if a := ann.send("POST", confirmPath, url.Values{"next": {"client_id=" + c.ID}}, headers...); a.StatusCode != 403 {
			t.Errorf("confirmed by another site: %d", a.StatusCode)
		}
	}
	ann.xhr("/things").want(t, 200, "")
	a := ann.send("GET", to(done, "state", "a&b=c"), nil)
	if a.StatusCode != 303 || a.Header.Get("Location") != done+"?state=a%26b%3Dc" {
		t.Errorf("%d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	ann.xhr("/things").want(t, 401, "credential_required")
}
