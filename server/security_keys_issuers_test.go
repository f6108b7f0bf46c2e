package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"wavegate/oidc/oidctest"
)

// trusting starts a server that trusts an issuer (scope_claim "scope", role viewer),
// and returns what its tokens for us say.
func trusting(t *testing.T) (a attacked, idp *oidctest.Provider, good func(changes oidctest.Claims) oidctest.Claims) {
	t.Helper()
	idp = oidctest.New(t, oidctest.Config{Clients: []oidctest.Client{{ID: "theirs", Secret: "theirs-secret"}}})
	a = attack(t)
	text := readPolicyOf(t, a)
	text += fmt.Sprintf("issuers:\n  - {issuer: %q, audience: wavegate, name: clerk, role: viewer, scope_claim: scope}\n", idp.URL)
	writeFile(t, a.cfg.PolicyFile, text)
	must(t, a.Reload())
	return attacked{withoutLockouts(a.testServer)}, idp, func(changes oidctest.Claims) oidctest.Claims {
		now := time.Now()
		c := oidctest.Claims{
			"iss": idp.URL, "aud": "wavegate", "sub": "user_1", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
			"scope": "things:read", "email": "root@example.com", "email_verified": true, "groups": []string{"eng"},
		}
		for name, value := range changes {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
		return c
	}
}

func TestTokensOfATrustedIssuerOpenWhatTheyClaimAndNoMore(t *testing.T) {
	t.Parallel()
	a, idp, good := trusting(t)
	token := idp.Sign("theirs", good(nil))
	got := a.do("GET", "/things", "", bearer(token)...).want(t, 200, "")
	if !strings.Contains(got.body, "subject=clerk|user_1") || !strings.Contains(got.body, "method=token") {
		t.Errorf("the app is told %s", got.body)
	}
	a.do("POST", "/things", "", bearer(token)...).want(t, 403, "insufficient_scope")
	a.do("GET", "/v1/auth/keys", "", bearer(token)...).want(t, 200, "") // a viewer's
	a.do("POST", "/v1/auth/keys", `{"name":"x","scopes":["things:read"]}`, bearer(token)...).want(t, 403, "insufficient_role")
	a.do("POST", "/_auth/token", "", bearer(token)...).want(t, 403, "session_required")

	everything := idp.Sign("theirs", good(oidctest.Claims{"scope": "* account_admin admin things:read keys:write"}))
	a.do("POST", "/things", "", bearer(everything)...).want(t, 403, "insufficient_scope") // somebody else's everything is not ours
	theirs := a.mint("root", `"scopes":["*"]`)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/v1/auth/keys?all=true", "", 403},
		{"GET", "/v1/auth/keys/" + theirs.ID, "", 404},
		{"DELETE", "/v1/auth/keys/" + theirs.ID, "", 404},
		{"POST", "/v1/auth/keys/" + theirs.ID + "/rotate", "", 404},
		{"PATCH", "/v1/auth/keys/" + theirs.ID, `{"name":"y"}`, 404},
		{"GET", "/v1/auth/users", "", 403},
		{"POST", "/v1/auth/keys", `{"name":"x","scopes":["*"]}`, 403},
		{"POST", "/v1/auth/keys", `{"name":"x","scopes":["things:write"]}`, 403},
		{"POST", "/v1/auth/keys", `{"name":"x","role":"account_admin"}`, 403},
		{"POST", "/v1/auth/keys", `{"name":"x","scopes":[],"owner":"sub:local|ann"}`, 403},
		{"POST", "/v1/auth/keys/import", `{"hash":"` + strings.Repeat("0", 64) + `"}`, 403},
		{"GET", "/v1/auth/audit/verify", "", 403},
	} {
		if got := a.do(c.method, c.path, c.body, bearer(everything)...); got.StatusCode != c.status {
			t.Errorf("%s %s %s: %d %s, want %d", c.method, c.path, c.body, got.StatusCode, got.body, c.status)
		}
	}
	own := mintedIn(t, a.do("POST", "/v1/auth/keys", `{"name":"x","scopes":["things:read"]}`, bearer(everything)...))
	if rec := a.keyRecord(own.ID); rec.Owner != "sub:clerk|user_1" {
		t.Errorf("the key belongs to %q", rec.Owner)
	}
	other := idp.Sign("theirs", good(oidctest.Claims{"sub": "user_2", "scope": "keys:write keys:read"}))
	a.do("GET", "/v1/auth/keys/"+own.ID, "", bearer(other)...).want(t, 404, "not_found")
	a.do("DELETE", "/v1/auth/keys/"+own.ID, "", bearer(other)...).want(t, 404, "not_found")
	a.things(own.Key, "192.0.2.1").want(t, 200, "")
}

func TestTokensThatNoTrustedIssuerMadeForUsOpenNothing(t *testing.T) {
	t.Parallel()
	a, idp, good := trusting(t)
	stranger := oidctest.New(t, oidctest.Config{Clients: []oidctest.Client{{ID: "theirs", Secret: "x"}}})
	signed := idp.Sign("theirs", good(nil))
	parts := strings.Split(signed, ".")
	bad := map[string]string{
		"another issuer":            stranger.Sign("theirs", good(oidctest.Claims{"iss": stranger.URL})),
		"signed by another":         stranger.Sign("theirs", good(nil)),
		"another audience":          idp.Sign("theirs", good(oidctest.Claims{"aud": "theirs"})),
		"an audience that begins":   idp.Sign("theirs", good(oidctest.Claims{"aud": "wavegate2"})),
		"no audience":               idp.Sign("theirs", good(oidctest.Claims{"aud": nil})),
		"an issuer with a slash":    idp.Sign("theirs", good(oidctest.Claims{"iss": idp.URL + "/"})),
		"no end":                    idp.Sign("theirs", good(oidctest.Claims{"exp": nil})),
		"from the future":           idp.Sign("theirs", good(oidctest.Claims{"iat": time.Now().Add(time.Hour).Unix(), "nbf": time.Now().Add(time.Hour).Unix()})),
		"no subject":                idp.Sign("theirs", good(oidctest.Claims{"sub": nil})),
		"an ID token":               idp.Sign("theirs", good(oidctest.Claims{"nonce": "n"})),
		"a logout token":            idp.LogoutToken("theirs", "user_1", "", nil),
		"alg none":                  oidctest.SignJWT(oidctest.Claims{"alg": "none", "typ": "at+jwt"}, good(nil), nil),
		"alg none and a signature":  oidctest.SignJWT(oidctest.Claims{"alg": "none", "typ": "at+jwt"}, good(nil), nil) + parts[2],
		"HS256 with the audience":   oidctest.SignJWT(oidctest.Claims{"alg": "HS256", "typ": "at+jwt"}, good(nil), []byte("wavegate")),
		"HS256 with the client's":   oidctest.SignJWT(oidctest.Claims{"alg": "HS256", "typ": "at+jwt"}, good(nil), []byte("theirs-secret")),
		"other claims":              parts[0] + "." + strings.Split(oidctest.SignJWT(oidctest.Claims{"alg": "none"}, good(oidctest.Claims{"scope": "things:write"}), nil), ".")[1] + "." + parts[2],
		"no signature":              parts[0] + "." + parts[1] + ".",
		"an encrypted one's shape":  signed + ".x.y",
		"a session token's type":    oidctest.SignJWT(oidctest.Claims{"alg": "HS256", "typ": "wavegate-session+jwt"}, good(nil), []byte("wavegate")),
		"a huge one":                idp.Sign("theirs", good(oidctest.Claims{"x": strings.Repeat("x", 9<<10)})),
		"dots":                      strings.Repeat(".", 8<<10),
		"the policy's own provider": idp.Sign("theirs", good(oidctest.Claims{"iss": "main"})),
	}
	for what, token := range bad {
		for _, headers := range [][]string{bearer(token), {"Authorization", token}, {"X-API-Key", token}} {
			for _, path := range []string{"/things", "/v1/auth/keys", "/_auth/userinfo"} {
				if got := a.do("GET", path, "", headers...); got.StatusCode != 401 && got.StatusCode != 400 {
					t.Errorf("%s at %s: %d %s", what, path, got.StatusCode, got.body)
				}
			}
		}
	}
	expired := idp.Sign("theirs", good(oidctest.Claims{"exp": time.Now().Add(-time.Second).Unix()}))
	if got := a.do("GET", "/things", "", bearer(expired)...).want(t, 401, "expired_token"); !strings.Contains(got.Header.Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("WWW-Authenticate %q", got.Header.Get("WWW-Authenticate"))
	}
	for i := range signed { // one character for another, at every seventh place
		if changed := signed[:i] + string(signed[i]^1) + signed[i+1:]; i%7 == 0 && signed[i] != '.' {
			if got := a.do("GET", "/things", "", bearer(changed)...); got.StatusCode == 200 && i < len(signed)-1 {
				t.Errorf("a token that was changed at %d opens", i)
			}
		}
	}
	a.do("GET", "/things", "", bearer(signed)...).want(t, 200, "")
	a.do("GET", "/things?access_token="+signed, "").want(t, 401, "credential_required")
}

func TestKeysOfAnIssuerAreRotatedAndNothingOpensWhileItIsDown(t *testing.T) {
	t.Parallel()
	a, idp, good := trusting(t)
	idp.Break("*", oidctest.Cut)
	first := idp.Sign("theirs", good(nil))
	for range 3 {
		got := a.do("GET", "/things", "", bearer(first)...).want(t, 503, "issuer_unavailable")
		if got.Header.Get("Retry-After") == "" || strings.Contains(got.body, idp.URL) {
			t.Errorf("Retry-After %q: %s", got.Header.Get("Retry-After"), got.body)
		}
	}
	k := a.mint("ci", `"scopes":["things:read"]`)
	a.things(k.Key, "192.0.2.1").want(t, 200, "") // nobody else is held up
	idp.Mend("*")
	eventually(t, "it works without a restart", func() bool { return a.do("GET", "/things", "", bearer(first)...).StatusCode == 200 })
	idp.RotateKeys()
	second := idp.Sign("theirs", good(oidctest.Claims{"sub": "user_2"}))
	eventually(t, "the new key is fetched", func() bool { return a.do("GET", "/things", "", bearer(second)...).StatusCode == 200 })
	idp.Break("*", oidctest.Status(http.StatusInternalServerError))
	a.do("GET", "/things", "", bearer(idp.Sign("theirs", good(oidctest.Claims{"sub": "user_3"})))...).want(t, 200, "") // its keys are known
	forged := oidctest.New(t, oidctest.Config{Clients: []oidctest.Client{{ID: "theirs"}}}).Sign("theirs", good(nil))
	if got := a.do("GET", "/things", "", bearer(forged)...); got.StatusCode != 401 && got.StatusCode != 503 {
		t.Errorf("a key that nobody knows, while the issuer is down: %d", got.StatusCode)
	}
}

// TestWhatATokenOfAnIssuerOpenedEndsWithIt: sockets and streams too, and when the issuer is
// trusted no more, every token of it.
func TestWhatATokenOfAnIssuerOpenedEndsWithIt(t *testing.T) {
	t.Parallel()
	a, idp, good := trusting(t)
	short, long := idp.Sign("theirs", good(oidctest.Claims{"exp": time.Now().Add(2 * time.Second).Unix()})), idp.Sign("theirs", good(nil))
	end := []open{a.socket(bearer(short)...), a.events(bearer(short)...)}
	stays := a.socket(bearer(long)...)
	for _, o := range end {
		o.ended("the token has expired")
	}
	stays.stays("another token has expired")
	a.do("GET", "/things", "", bearer(short)...).want(t, 401, "expired_token")
	text := readPolicyOf(t, a)
	writeFile(t, a.cfg.PolicyFile, text[:strings.Index(text, "issuers:")])
	must(t, a.Reload())
	a.do("GET", "/things", "", bearer(long)...).want(t, 401, "invalid_token")
}
