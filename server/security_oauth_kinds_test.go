package server

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wavegate/oidc/oidctest"
)

// kinds starts a server behind which an app sees its assertion, and returns one live
// thing of every kind that opens something somewhere.
func kinds(t *testing.T) (attackedOAuth, app, map[string]string) {
	t.Helper()
	behind := newHandleApp(t)
	secret := writeFile(t, filepath.Join(t.TempDir(), "shared"), strings.Repeat("0123456789abcdef", 4)+"\n")
	cfg := attackedConfig(t, behind.url, "session_tokens: {secret_file: "+secret+"}\n", func(c *Config) { c.Listen = freeAddress(t) })
	o := attackedOAuth{attacked{startServer(t, cfg, func(s *Server) { withoutLockouts(&testServer{Server: s}) })}}
	c := o.app("ci", hasAll)
	ann := o.person("ann")
	given := o.letIn(ann, c)
	ann.xhr("/things").want(t, 200, "")
	device := o.device(c)
	claims := oidctest.ReadClaims(given.Access)
	list := map[string]string{
		"an access token":             given.Access,
		"a client's own token":        o.token(c, own).given(t).Access,
		"a token for another address": o.letIn(ann, c, "resource", o.oauth.prefix+"/other").Access,
		"a refresh token":             given.Refresh,
		"an ID token":                 given.ID,
		"a code":                      ann.codeFor(ask(c)),
		"a device code":               device.Code,
		"a user code":                 device.User,
		"a client secret":             c.Secret,
		"a pushed request":            o.pushed(c, ask(c)).Get("request_uri"),
		"a session token":             ann.token(),
		"a shared token":              ann.api("POST", "/_auth/token", `{"format":"HS256"}`, "Content-Type", "application/json").text(t, "access_token"),
		"an assertion":                behind.header("Wave-Assertion"),
		"a handle":                    behind.header("Wave-Session-ID"),
		"a cookie":                    ann.sessionCookie(),
		"a consent form":              ann.authorize(ask(c)).sealed(t),
		"alg none":                    oidctest.SignJWT(oidctest.Claims{"alg": "none", "typ": "at+jwt"}, claims, nil),
		"HS256 by the JWKS":           oidctest.SignJWT(oidctest.Claims{"alg": "HS256", "typ": "at+jwt", "kid": headerOf(t, given.Access)["kid"]}, claims, []byte(o.do("GET", "/oauth/jwks", "").body)),
		"HS256 by the client":         oidctest.SignJWT(oidctest.Claims{"alg": "HS256", "typ": "at+jwt", "kid": headerOf(t, given.Access)["kid"]}, claims, []byte(c.Secret)),
		"a logout token":              oidctest.SignJWT(oidctest.Claims{"alg": "HS256", "typ": "logout+jwt"}, oidctest.Claims{"iss": o.oauth.prefix, "aud": c.ID, "sub": "local|ann", "jti": "1", "iat": time.Now().Unix(), "events": oidctest.Claims{"http://schemas.openid.net/event/backchannel-logout": oidctest.Claims{}}}, []byte(c.Secret)),
	}
	for what, one := range list {
		if len(one) < 8 {
			t.Fatalf("there is no %s: %q", what, one)
		}
	}
	return o, c, list
}

// TestRFC9700_2_3_KindsOfTokensOfThisServerDoNotMix sends each where another is wanted.
func TestRFC9700_2_3_KindsOfTokensOfThisServerDoNotMix(t *testing.T) {
	t.Parallel()
	o, c, list := kinds(t)
	person := []string{"an access token", "a session token", "a shared token"}
	form := func(path string, kv ...string) func(string) answer {
		return func(one string) answer {
			v := url.Values{}
			for i := 0; i+1 < len(kv); i += 2 {
				v.Set(kv[i], strings.ReplaceAll(kv[i+1], "{}", one))
			}
			return o.call(path, c, v)
		}
	}
	with := func(method, path string, headers ...string) func(string) answer {
		return func(one string) answer {
			var h []string
			for _, text := range headers {
				h = append(h, strings.ReplaceAll(text, "{}", one))
			}
			return o.do(method, path, "", h...)
		}
	}
	ann := o.person("ann")
	places := map[string]struct {
		send func(string) answer
		good []string // that are wanted there
	}{
		"the gateway":              {with("GET", "/things", "Authorization", "Bearer {}"), append(slices.Clone(person), "a client's own token")},
		"the gateway, X-API-Key":   {with("GET", "/things", "X-API-Key", "{}"), append(slices.Clone(person), "a client's own token")},
		"the gateway, bare":        {with("GET", "/things", "Authorization", "{}"), append(slices.Clone(person), "a client's own token")},
		"the gateway, in the path": {with("GET", "/things?access_token={}"), nil},
		"as a cookie":              {with("GET", "/things", "Cookie", "wavegate={}"), []string{"a cookie"}},
		"as a password":            {func(one string) answer { return o.do("GET", "/things", "", "Authorization", basic("ci", one)) }, nil},
		"/_auth/verify":            {with("GET", "/_auth/verify", "X-Original-URL", o.URL+"/things", "X-Original-Method", "GET", "X-Forwarded-For", "192.0.2.7", "Authorization", "Bearer {}"), append(slices.Clone(person), "a client's own token")},
		"/_auth/userinfo":          {with("GET", "/_auth/userinfo", "Authorization", "Bearer {}"), append(slices.Clone(person), "a client's own token")},
		"/_auth/token":             {with("POST", "/_auth/token", "Authorization", "Bearer {}"), nil},
		"/oauth/userinfo":          {with("GET", "/oauth/userinfo", "Authorization", "Bearer {}"), []string{"an access token"}},
		"/v1/auth/keys":            {with("GET", "/v1/auth/keys", "Authorization", "Bearer {}"), []string{"a session token"}},
		"/v1/auth/clients":         {with("GET", "/v1/auth/clients", "Authorization", "Bearer {}"), []string{"a session token"}},
		"/v1/auth/connections":     {with("GET", "/v1/auth/connections", "Authorization", "Bearer {}"), []string{"a session token"}},
		"a client secret":          {func(one string) answer { return o.token(app{c.ID, one}, own) }, []string{"a client secret"}},
		"a client assertion":       {func(one string) answer { return o.token(app{}, proving(values(own, "client_id", c.ID), one)) }, nil},
		"a refresh token":          {form("/oauth/token", "grant_type", "refresh_token", "refresh_token", "{}"), []string{"a refresh token"}},
		"a code":                   {form("/oauth/token", "grant_type", "authorization_code", "code", "{}", "redirect_uri", appURI, "code_verifier", proof), []string{"a code"}},
		"a device code":            {form("/oauth/token", "grant_type", "urn:ietf:params:oauth:grant-type:device_code", "device_code", "{}"), nil},
		"token exchange":           {form("/oauth/token", "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", "{}"), nil},
		"an assertion as a grant":  {form("/oauth/token", "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion", "{}"), nil},
		"an id_token_hint": {func(one string) answer {
			a := ann.authorize(ask(c, "id_token_hint", one))
			if a.StatusCode == 303 {
				a.StatusCode = 400 // back to the app with an error
			}
			return a
		}, []string{"an ID token"}},
		"a logout's hint": {func(one string) answer {
			return newBrowser(t, o.URL).send("GET", "/oauth/logout?id_token_hint="+url.QueryEscape(one), nil)
		}, []string{"an ID token"}},
		"a request_uri": {func(one string) answer {
			return ann.send("GET", "/oauth/authorize?client_id="+c.ID+"&request_uri="+url.QueryEscape(one)+"&redirect_uri=x", nil)
		}, []string{"a pushed request"}},
	}
	for where, place := range places {
		for _, what := range sortedKeys(list) {
			if slices.Contains(place.good, what) {
				continue
			}
			if a := place.send(list[what]); a.StatusCode < 400 || a.StatusCode > 499 || strings.Contains(a.body, `"access_token"`) {
				t.Errorf("%s as %s: %d %.200s", what, where, a.StatusCode, a.body)
			}
		}
	}
	for _, what := range sortedKeys(list) { // what introspection knows is what can be used
		want := slices.Contains([]string{"an access token", "a client's own token", "a token for another address", "a refresh token"}, what)
		if got := o.active(c, list[what]); got != want {
			t.Errorf("introspection of %s: %t", what, got)
		}
		if !want {
			o.call("/oauth/revoke", c, url.Values{"token": {list[what]}}).want(t, 200, "")
		}
	}
	for where, place := range places { // each is good where it is wanted; what is used up is last
		if where == "a refresh token" || where == "a code" {
			continue
		}
		for _, what := range place.good {
			if a := place.send(list[what]); a.StatusCode >= 400 {
				t.Errorf("%s as %s: %d %.200s", what, where, a.StatusCode, a.body)
			}
		}
	}
	for _, where := range []string{"a refresh token", "a code"} {
		places[where].send(list[where]).given(t)
	}
}

// headerOf reads the header of a JWT.
func headerOf(t *testing.T, raw string) map[string]any {
	t.Helper()
	head, _, _ := strings.Cut(raw, ".")
	return oidctest.ReadClaims("." + head + ".")
}

// TestRFC9700_2_3_AnAudienceIsAPlaceAndNothingBeside: a token for one address opens what
// lies below it, whatever the request is spelled like.
func TestRFC9700_2_3_AnAudienceIsAPlaceAndNothingBeside(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", "")
	ann := o.person("ann")
	here := o.letIn(ann, c, "resource", o.oauth.prefix+"/things/a")
	for path, want := range map[string]int{
		"/things/a": 200, "/things/a/": 200, "/things/a/b": 200, "/things/a?x=/things/b": 200,
		"/things": 401, "/things/ab": 401, "/things/b": 401, "/things/A": 401, "/things/a/../b": 400, "/things/a/..": 400, "/things/a//b": 400, "/things/b?/things/a": 401,
		"/things/a%2fb": 400, "/things/a%2e%2e/b": 401, "/things/a;b": 401, "//things/a": 400, "/_auth/userinfo": 401, "/v1/auth/status": 401, "/oauth/userinfo": 401, "/_auth/token": 401,
	} {
		method := "GET"
		if path == "/_auth/token" {
			method = "POST"
		}
		a := o.do(method, path, "", bearer(here.Access)...)
		if (a.StatusCode == 200) != (want == 200) {
			t.Errorf("%s: %d, want %d", path, a.StatusCode, want)
		}
		if want == 401 && a.StatusCode != 401 && a.StatusCode != 400 {
			t.Errorf("%s: %d, want %d", path, a.StatusCode, want)
		}
	}
	for _, host := range []string{"evil.example", "127.0.0.1.evil.example", "localhost"} {
		if a := o.do("GET", "/things/a", "", append(bearer(here.Access), "Host", host)...); a.StatusCode != 401 {
			t.Errorf("at the host %s: %d", host, a.StatusCode)
		}
	}
	for _, uri := range []string{"/things/a", "/things/b"} {
		a := o.do("GET", "/_auth/verify", "", append(bearer(here.Access), "X-Original-URL", o.URL+uri, "X-Original-Method", "GET", "X-Forwarded-For", "192.0.2.7")...)
		if (a.StatusCode == http.StatusOK) != (uri == "/things/a") {
			t.Errorf("asked by another proxy about %s: %d", uri, a.StatusCode)
		}
	}
	for _, bad := range []string{"https://evil.example/", o.oauth.prefix + "/a/../b", o.oauth.prefix + "/%61", o.oauth.prefix + ".evil.example/", o.oauth.prefix + "@evil.example/", o.oauth.prefix + "#f", "things", o.oauth.prefix + "\\x"} {
		o.goesBack(fmt.Sprintf("%q", bad), ann.authorize(ask(c, "resource", bad)), "invalid_target", "st")
	}
}
