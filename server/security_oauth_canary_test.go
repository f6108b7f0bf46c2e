package server

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// pushOAuth sends a secret to every endpoint of the authorization server, in every
// parameter, credential and header.
func (c *keyCanary) pushOAuth(o attackedOAuth, client app, b *browser, secret string) {
	c.t.Helper()
	const form = "application/x-www-form-urlencoded"
	params := []string{
		"grant_type", "code", "code_verifier", "redirect_uri", "refresh_token", "scope", "resource", "device_code", "client_id", "client_secret", "client_assertion", "client_assertion_type",
		"assertion", "subject_token", "token", "token_type_hint", "response_type", "response_mode", "request", "request_uri", "prompt", "max_age", "id_token_hint",
		"code_challenge_method", "user_code", "decision", "post_logout_redirect_uri", "next", "username", "password", "access_token", secret,
	}
	good := map[string]url.Values{
		"/oauth/token": own, "/oauth/revoke": {"token": {"x"}}, "/oauth/introspect": {"token": {"x"}}, "/oauth/par": ask(client), "/oauth/device": {}, "/oauth/userinfo": {},
	}
	everywhere := []string{"User-Agent", secret, "Referer", "https://x/" + secret, "Origin", "https://" + secret, "X-Request-Id", secret, "Traceparent", secret, "DPoP", secret}
	for path, v := range good {
		for _, auth := range [][]string{{"Authorization", basic(client.ID, client.Secret)}, {"Authorization", basic(client.ID, secret)}, {"Authorization", basic(secret, secret)}, {"Authorization", "Bearer " + secret}, {"Authorization", secret}, nil} {
			what := "POST " + path
			c.keepOAuth(what, o.do("POST", path, v.Encode(), append(append([]string{"Content-Type", form}, auth...), everywhere...)...))
			if auth != nil && auth[1] != basic(client.ID, client.Secret) {
				continue
			}
			for _, name := range params {
				c.keepOAuth(what, o.do("POST", path, values(v, name, secret).Encode(), append([]string{"Content-Type", form}, auth...)...))
				if path != "/oauth/token" {
					continue
				}
				c.keepOAuth(what, o.do("POST", path, fmt.Sprintf(`{"token":"x",%q:[%q]}`, name, secret), append([]string{"Content-Type", "application/json"}, auth...)...))
			}
			c.keepOAuth(what, o.do("POST", path+"?token="+secret, v.Encode(), append([]string{"Content-Type", form}, auth...)...))
		}
	}
	for _, body := range []string{secret, fmt.Sprintf(`{%q:1}`, secret), fmt.Sprintf(`{"redirect_uris":[%q]}`, secret), fmt.Sprintf(`{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":%q}`, secret), fmt.Sprintf(`{"redirect_uris":["https://a.example/"],"grant_types":[%q]}`, secret)} {
		c.keepOAuth("POST /oauth/register", o.do("POST", "/oauth/register", body, "Content-Type", "application/json"))
	}
	for _, name := range params {
		for _, path := range []string{"/oauth/authorize", "/oauth/logout", "/oauth/device", "/oauth/userinfo", "/oauth/jwks", "/oauth/" + url.PathEscape(secret), "/.well-known/openid-configuration"} {
			b.send("GET", path+"?"+values(ask(client), name, secret).Encode(), nil) // pages and ways back may repeat what they were sent
		}
		for _, path := range []string{decisionPath, deviceCodePath, deviceAllowPath, confirmPath} {
			c.keepOAuth("POST "+path, b.send("POST", path, url.Values{name: {secret}, "decision": {"allow"}}, fromOurPage...))
		}
	}
	for _, path := range []string{"/things", "/_auth/userinfo", "/v1/auth/clients/" + url.PathEscape(secret), "/v1/auth/connections/" + url.PathEscape(secret)} {
		for _, h := range [][]string{bearer(secret), {"X-API-Key", secret}, {"Authorization", basic("root", secret)}, {"Authorization", basic("root", "secret")}, {"Cookie", "wavegate=" + secret}} {
			c.keepOAuth("GET "+path, o.do("GET", path, "", h...))
		}
	}
}

// keepOAuth sees an answer, but for what is given to whoever asks rightly and the way
// back to the app.
func (c *keyCanary) keepOAuth(what string, a answer) {
	if a.StatusCode >= 400 {
		c.see(what, fmt.Sprint(a.Header)+a.body)
	} else {
		c.see(what, a.Status)
	}
}

// TestSecretsOfTheAuthorizationServerAreFoundNowhere: whole flows, their failures, and
// every secret of theirs in the wrong place everywhere.
func TestSecretsOfTheAuthorizationServerAreFoundNowhere(t *testing.T) {
	t.Parallel()
	c := &keyCanary{secrets: map[string]string{}, seen: map[string]string{}}
	hooks := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.see("webhook "+r.Header.Get("webhook-id"), fmt.Sprint(r.Header)+string(body))
	}))
	defer hooks.Close()
	o := attackOAuth(t, "oauth: {registration: {enabled: true, per_ip_per_hour: 100000}}\n", func(cfg *Config) { cfg.LogLevel, cfg.MetricsListen = "debug", "127.0.0.1:0" })
	c.attacked = o.attacked
	o.by("root", "POST", "/v1/auth/webhooks", `{"url":"`+hooks.URL+`","all":true}`).want(t, 201, "")
	client, key, ann := o.app("root", hasAll), o.asserting(hasAll), o.person("ann")
	given, dead := o.letIn(ann, client), o.letIn(ann, client)
	next := o.token(client, refreshing(given.Refresh)).given(t)
	o.call("/oauth/revoke", client, url.Values{"token": {dead.Refresh}}).want(t, 200, "")
	replayed, open, device := ann.codeFor(ask(client)), ann.codeFor(ask(client)), o.device(client)
	o.token(client, redeeming(replayed)).given(t)
	o.token(client, redeeming(replayed)).refused(t, "a replay", 400, "invalid_grant")
	used, unused := key.assertion(o.oauth.prefix, nil), key.assertion("https://evil.example", nil)
	o.token(app{}, proving(own, used)).given(t)
	pushed := o.pushed(client, ask(client, "id_token_hint", given.ID)).Get("request_uri")
	if a := ann.authorize(url.Values{"client_id": {client.ID}, "request_uri": {pushed}}); a.StatusCode != 200 {
		t.Errorf("a pushed hint: %d", a.StatusCode)
	}
	rotated := o.by("root", "POST", "/v1/auth/clients/"+client.ID+"/rotate-secret", `{}`).text(t, "client.client_secret")
	maps.Copy(c.secrets, map[string]string{
		"access token": given.Access, "refresh token": given.Refresh, "next refresh token": next.Refresh, "ID token": given.ID, "dead token": dead.Access, "replayed code": replayed, "open code": open,
		"device code": device.Code, "client secret": client.Secret, "new secret": rotated, "used assertion": used, "unused assertion": unused, "session token": ann.token(), "cookie": ann.sessionCookie(),
		"pushed request": pushed, "verifier": strings.Repeat("canary-verifier-", 3), "unknown": "wgrt_" + strings.Repeat("c", 43),
	})
	for _, what := range []string{"access token", "next refresh token", "open code", "new secret"} {
		c.pushOAuth(o, client, o.person("bob"), c.secrets[what])
	}
	for _, path := range []string{"/v1/auth/audit", "/v1/auth/audit/export", "/v1/auth/usage?all=true&by=key,owner,route", "/v1/auth/clients?all=true", "/v1/auth/clients/" + client.ID, "/v1/auth/lockouts", "/v1/auth/signing-keys"} {
		c.see("GET "+path, o.by("root", "GET", path, "").want(t, 200, "").body)
	}
	c.see("GET connections", ann.api("GET", "/v1/auth/connections", "").want(t, 200, "").body)
	for _, page := range []string{"profile", "sessions", "connected"} {
		c.see("GET "+page, ann.open("/_portal/"+page).want(t, 200, "").body)
	}
	res, err := http.Get("http://" + c.MetricsAddr().String() + "/metrics")
	must(t, err)
	metrics, err := io.ReadAll(res.Body)
	must(t, err)
	res.Body.Close()
	c.see("metrics", string(metrics))
	must(t, c.stop())
	c.see("log", c.log.String())
	c.readDatabase(filepath.Join(c.cfg.DataDir, "wavegate.db"))
	c.find(map[string]int{"webhook": 1, "table": 50, "log": 1, "metrics": 1, "GET": 50, "POST": 800})
}

// find searches everything seen for every secret; so much of each kind must be there.
func (c *keyCanary) find(least map[string]int) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	found, places := 0, map[string]int{}
	for where, text := range c.seen {
		kind, _, _ := strings.Cut(where, " ")
		places[kind]++
		for what, secret := range c.secrets {
			if at := strings.Index(text, secret[len(secret)-24:]); at >= 0 && found < 20 {
				found++
				c.t.Errorf("%s shows the %s: …%q", where, what, text[max(0, at-160):at])
			}
		}
	}
	for kind, n := range least {
		if places[kind] < n {
			c.t.Errorf("%d of %s were seen, want %d: the test says little", places[kind], kind, n)
		}
	}
}
