package server

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wavegate/keychain"
	"wavegate/oidc/oidctest"
)

func TestSessionTokenEndsWithWhatItCameFrom(t *testing.T) {
	t.Parallel()
	path := writeFile(t, filepath.Join(t.TempDir(), "kc"), keychainLine(t, "id", "secret")+keychainLine(t, "other", "o"))
	ts := guarded(t, whoApp, withUsers(t), func(c *Config) { c.Keychain = keychain.Config{Path: path, Required: true} })
	b := newBrowser(t, ts.URL).signInLocal("ann")
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	ofSession := b.token()
	if a := ts.do("GET", "/x", "", bearer(ofSession)...); !strings.Contains(a.body, "subject=local|ann") || !strings.Contains(a.body, "method=token") {
		t.Fatalf("the token opens %d %s", a.StatusCode, a.body)
	}
	given := ts.do("POST", "/_auth/token", "", "Authorization", basic("id", "secret")).want(t, 200, "").object(t)
	ofKey := given["access_token"].(string)
	if given["token_type"] != "Bearer" || given["expires_in"] != 600.0 {
		t.Errorf("the answer is %v", given)
	}
	ts.do("GET", "/x", "", bearer(ofKey)...).want(t, 200, "")
	for what, token := range map[string]string{"of a session": ofSession, "of a key": ofKey} {
		if a := ts.do("POST", "/_auth/token", "", bearer(token)...); a.StatusCode != 403 || strings.Contains(a.body, "access_token") {
			t.Errorf("a token %s gets a token: %d %s", what, a.StatusCode, a.body)
		}
		for _, line := range []string{"wavegate=" + token, "__Host-wavegate=" + token} {
			ts.do("GET", "/x", "", "Cookie", line).want(t, 401, "credential_required")
		}
		for i, c := range token { // one character for another, at every fourth place
			if changed := token[:i] + string(token[i]^1) + token[i+1:]; i%4 == 0 && c != '.' {
				if a := withoutLockouts(ts).do("GET", "/x", "", bearer(changed)...); a.StatusCode == 200 {
					t.Errorf("a token %s that was changed at %d opens", what, i)
				}
			}
		}
		if a := ts.do("GET", "/x?access_token="+token, ""); a.StatusCode != 401 {
			t.Errorf("a token %s in the address: %d", what, a.StatusCode)
		}
	}
	b.send("POST", "/_auth/logout", url.Values{})
	ts.do("GET", "/x", "", bearer(ofSession)...).want(t, 401, "invalid_token")
	ts.do("GET", "/x", "", bearer(ofKey)...).want(t, 200, "")
	must(t, os.WriteFile(path, []byte(keychainLine(t, "id", "secret")+keychainLine(t, "other", "o")), 0o600)) // the same secret, another hash
	eventually(t, "the token ends with its key", func() bool { return ts.do("GET", "/x", "", bearer(ofKey)...).StatusCode == 401 })
}

func TestTokenKindsDoNotMix(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	app := newHandleApp(t)
	ts := configured(t, withUsers(t), withProvider(t, idp), func(c *Config) {
		withPolicy(t, "upstreams:\n  - {route: /, url: \""+app.url+"\", tokens: true}\n")(c)
	})
	b := newBrowser(t, ts.URL).signInAs("1001", "")
	b.xhr("/x").want(t, 200, "")
	provider, session := tokensOfSession(t, ts, b), b.token()
	kinds := map[string]string{
		"the assertion": app.header("Wave-Assertion"), "the ID token": provider.ID, "the provider's access token": provider.Access, "the refresh token": provider.Refresh,
		"a logout token": idp.LogoutToken("wavegate", "1001", "", nil), "the handle": app.header("Wave-Session-ID"), "the cookie's value": b.sessionCookie(), "the session's name": ts.allSessions()[0].ID,
		"alg none": oidctest.SignJWT(oidctest.Claims{"alg": "none", "typ": "wavegate-session+jwt"}, oidctest.ReadClaims(session), nil) + "x",
		"HS256":    oidctest.SignJWT(oidctest.Claims{"alg": "HS256", "typ": "wavegate-session+jwt"}, oidctest.ReadClaims(session), []byte("client-secret")),
	}
	withoutLockouts(ts)
	for what, token := range kinds {
		if token == "" {
			t.Fatalf("there is no %s", what)
		}
		for _, headers := range [][]string{{"Authorization", "Bearer " + token}, {"Authorization", token}, {"X-API-Key", token}, {"Authorization", basic("id", token)}, {"Authorization", basic(token, "")}} {
			for _, path := range []string{"/x", "/_auth/userinfo", "/_auth/token"} {
				method := "GET"
				if path == "/_auth/token" {
					method = "POST"
				}
				if a := ts.do(method, path, "", headers...); a.StatusCode != 401 && a.StatusCode != 400 {
					t.Errorf("%s as %q at %s: %d %s", what, headers[0], path, a.StatusCode, a.body)
				}
			}
		}
		if what != "the cookie's value" {
			ts.do("GET", "/x", "", "Cookie", "wavegate="+token).want(t, 401, "credential_required")
		}
		if what != "a logout token" {
			backchannel(ts, token).want(t, 400, "invalid_request")
		}
	}
	backchannel(ts, session).want(t, 400, "invalid_request")
	b.xhr("/x").want(t, 200, "")
}

func TestNeitherCookieNorTokenOfOursReachesAnApp(t *testing.T) {
	t.Parallel()
	app := newRawApp(t)
	ts := configured(t, withUsers(t), func(c *Config) {
		withPolicy(t, "upstreams:\n  - {route: /, url: \""+app.url+"\"}\n  - {route: /public, url: \""+app.url+"\", access: public}\n")(c)
	})
	b := newBrowser(t, ts.URL).signInLocal("ann")
	cookie, token := b.sessionCookie(), b.token()
	for _, path := range []string{"/x", "/public/x"} {
		for _, headers := range [][]string{
			{"Cookie", "a=1; wavegate=" + cookie + "; __Host-wavegate=" + cookie + "; wavegate-login-0123456789ab=SEALED; __Host-wavegate-login-x=SEALED; b=2"},
			{"Cookie", "wavegate=" + cookie},
			{"Authorization", "Bearer " + token},
			{"Authorization", token},
			{"X-API-Key", token},
			{"Cookie", "wavegate=" + cookie, "Authorization", "Bearer " + token},
		} {
			ts.do("GET", path, "", headers...).want(t, 200, "")
			seen := strings.Join(app.take(), "")
			for what, secret := range map[string]string{"the cookie": cookie, "a login's cookie": "SEALED", "the token": token} {
				if strings.Contains(seen, secret) {
					t.Errorf("%s %.40q: %s reached the app:\n%s", path, headers, what, seen)
				}
			}
			if strings.Contains(headers[1], "a=1") && !strings.Contains(seen, "\r\nCookie: a=1; b=2\r\n") {
				t.Errorf("%s: the app's own cookies did not come as they were:\n%s", path, seen)
			}
		}
	}
	// Another Authorization header beside the session is the app's own.
	ts.do("GET", "/x", "", "Cookie", "wavegate="+cookie, "Authorization", "Bearer the-apps-own").want(t, 200, "")
	if seen := strings.Join(app.take(), ""); !strings.Contains(seen, "Authorization: Bearer the-apps-own\r\n") || !strings.Contains(seen, "Wave-Subject-ID: local|ann\r\n") {
		t.Errorf("the app saw\n%s", seen)
	}
}

func TestWavedFaultClientIDTakesOverSockets(t *testing.T) {
	t.Parallel()
	app := newHandleApp(t)
	ts := configured(t, withUsers(t), func(c *Config) { withPolicy(t, "upstreams:\n  - {route: /, url: \""+app.url+"\"}\n")(c) })
	ann, bob := newBrowser(t, ts.URL).signInLocal("ann"), newBrowser(t, ts.URL).signInLocal("bob")
	ann.xhr("/x").want(t, 200, "")
	anns := app.header("Wave-Client-ID")
	ts.do("GET", "/x?client-id="+anns, "", "Wave-Client-ID", anns, "wave_client_id", anns, "Cookie", bob.cookies()+"; client-id="+anns).want(t, 200, "")
	if got := app.header("Wave-Client-ID"); anns == "" || got == anns || got == "" {
		t.Errorf("ann's client is %q and bob's %q", anns, got)
	}
	ann.xhr("/x").want(t, 200, "")
	if got := app.header("Wave-Client-ID"); got != anns {
		t.Errorf("ann's client changed from %q to %q", anns, got)
	}
}
