package oidc_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

func TestAuthURL(t *testing.T) {
	p := start(t, func(c *oidc.Config) {
		c.Scopes = []string{"profile", "email"}
		c.AuthURLParams = []oidc.Param{{"audience", "api"}, {"resource", "a"}, {"resource", "b"}, {"prompt", "consent"}}
	})
	p.idp.AlterMetadata(func(m oidctest.Claims) { m["authorization_endpoint"] = p.idp.URL + "/authorize?tenant=7" })
	r := request()
	r.Prompt, r.LoginHint = "login", "alice"
	address, err := p.rp.AuthURL(t.Context(), r)
	must(t, err)
	want := url.Values{
		"tenant": {"7"}, "audience": {"api"}, "resource": {"a", "b"}, "prompt": {"login"}, "login_hint": {"alice"},
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {callbackURL}, "scope": {"openid profile email"},
		"state": {"state"}, "nonce": {"nonce"}, "code_challenge_method": {"S256"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(r.Verifier)},
	}
	if diff := cmp.Diff(want, query(t, address)); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
}

func TestAuthURLNeverGoesWithoutItsSecrets(t *testing.T) {
	p := start(t, nil)
	for name, drop := range map[string]func(*oidc.AuthRequest){
		"state": func(r *oidc.AuthRequest) { r.State = "" },
		"nonce": func(r *oidc.AuthRequest) { r.Nonce = "" },
		"PKCE":  func(r *oidc.AuthRequest) { r.Verifier = "short" },
	} {
		r := request()
		drop(&r)
		if address, err := p.rp.AuthURL(t.Context(), r); err == nil {
			t.Errorf("without %s: %s", name, address)
		}
	}
}

func TestLogin(t *testing.T) {
	p := start(t, nil)
	login := p.mustSignIn(t, "alice")
	if login.IDToken == "" || login.AccessToken == "" || login.RefreshToken == "" || login.SID == "" {
		t.Errorf("a token or the session is missing: %+v", login)
	}
	want := &oidc.Login{
		Issuer: p.idp.URL, Subject: "alice", SID: login.SID,
		Username: "alice.a", Email: "alice@example.com", Groups: []string{"eng", "ops"},
		IDToken: login.IDToken, AccessToken: login.AccessToken, RefreshToken: login.RefreshToken,
		Expiry: p.clk.Now().Add(5 * time.Minute), AuthTime: p.clk.Now(),
	}
	if diff := cmp.Diff(want, login); diff != "" {
		t.Errorf("login (-want +got):\n%s", diff)
	}
}

func TestUnverifiedEmailIsNoEmail(t *testing.T) {
	p := start(t, nil)
	if login := p.mustSignIn(t, "bob"); login.Email != "" {
		t.Errorf("e-mail %q, which the provider has not verified", login.Email)
	}
	p.idp.SetUser("carl", oidctest.Claims{"email": "carl@example.com", "email_verified": "true"})
	if login := p.mustSignIn(t, "carl"); login.Email != "carl@example.com" || login.Username != "carl@example.com" {
		t.Errorf("e-mail %q, user name %q of an address that is verified by a string", login.Email, login.Username)
	}
	p.idp.SetUser("dora", oidctest.Claims{"email": "admin@example.com"})
	if login := p.mustSignIn(t, "dora"); login.Email != "" || login.Username != "dora" {
		t.Errorf("e-mail %q, user name %q of an address that nobody verified", login.Email, login.Username)
	}
	p.idp.SetUser("eve", oidctest.Claims{"email": "a@evil@corp", "email_verified": true})
	if login := p.mustSignIn(t, "eve"); login.Email != "" {
		t.Errorf("malformed e-mail %q", login.Email)
	}
}

func TestUsernameClaim(t *testing.T) {
	p := start(t, func(c *oidc.Config) { c.UsernameClaim = "account.login" })
	p.idp.SetUser("carl", oidctest.Claims{"account": oidctest.Claims{"login": "carl7"}, "groups": []string{}})
	if login := p.mustSignIn(t, "carl"); login.Username != "carl7" || login.Warnings != nil {
		t.Errorf("user name %q, warnings %q", login.Username, login.Warnings)
	}
	if login := p.mustSignIn(t, "alice"); login.Username != "alice" || len(login.Warnings) == 0 {
		t.Errorf("user name %q, warnings %q; want the subject and a warning", login.Username, login.Warnings)
	}
}

func TestClientSecretInTheBodyWhereTheProviderWantsIt(t *testing.T) {
	for method, inBody := range map[string]bool{"client_secret_basic": false, "client_secret_post": true} {
		p := start(t, nil)
		p.idp.AlterMetadata(func(m oidctest.Claims) { m["token_endpoint_auth_methods_supported"] = []string{method} })
		p.mustSignIn(t, "alice")
		form, err := url.ParseQuery(p.idp.TokenRequests()[0])
		must(t, err)
		if form.Has("client_secret") != inBody {
			t.Errorf("%s: secret in the body: %v", method, !inBody)
		}
	}
}

func TestCallbackErrors(t *testing.T) {
	p := start(t, nil)
	for code, kind := range map[string]oidc.Kind{
		"access_denied": oidc.Denied, "login_required": oidc.Denied, "consent_required": oidc.Denied, "interaction_required": oidc.Denied,
		"server_error": oidc.Unreachable, "temporarily_unavailable": oidc.Unreachable,
		"invalid_request": oidc.Misconfigured, "invalid_scope": oidc.Misconfigured, "unauthorized_client": oidc.Misconfigured, "made_up": oidc.Misconfigured,
	} {
		p.idp.Deny(code, "because")
		_, err := p.signIn(t, "alice")
		wantError(t, err, kind, code, "because", `"main"`)
		if e, _ := errors.AsType[*oidc.Error](err); e.Code != code {
			t.Errorf("code %q, want %q", e.Code, code)
		}
	}
}

func TestCallbackErrorNeedsNoProvider(t *testing.T) {
	p := start(t, nil)
	p.idp.Break("*", oidctest.Cut)
	_, err := p.rp.Exchange(t.Context(), oidc.Callback{Error: "access_denied"})
	wantError(t, err, oidc.Denied)
}

func TestForeignTextNeverReachesTheLogRaw(t *testing.T) {
	p := start(t, nil)
	hostile := "line\nbreak\x1b[31m\u202e code-value " + strings.Repeat("é", 500)
	_, err := p.rp.Exchange(t.Context(), oidc.Callback{Error: "x\r\ny", ErrorDescription: hostile, Code: "code-value"})
	wantError(t, err, oidc.Misconfigured)
	text := err.Error()
	if strings.ContainsAny(text, "\n\r\x1b\u202e") || strings.Contains(text, "code-value") || len(text) > 600 {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	if e, _ := errors.AsType[*oidc.Error](err); e.Code != "" {
		t.Errorf("code %q", e.Code)
	}
}

func TestAnswerOfAnotherIssuerIsRefused(t *testing.T) {
	p := start(t, nil)
	cb := authorize(t, p.rp, "alice")
	cb.Issuer = "https://attacker.example"
	_, err := p.rp.Exchange(t.Context(), cb)
	wantError(t, err, oidc.Untrusted, "attacker.example")
	if n := p.idp.Count("/token"); n != 0 {
		t.Error("the code was sent all the same")
	}
	cb.Issuer = ""
	_, err = p.rp.Exchange(t.Context(), cb)
	wantError(t, err, oidc.Untrusted, "iss")
}

func TestMissingIssuerParameterIsFineWhereNoneIsPromised(t *testing.T) {
	p := start(t, nil)
	p.idp.AlterMetadata(func(m oidctest.Claims) { delete(m, "authorization_response_iss_parameter_supported") })
	cb := authorize(t, p.rp, "alice")
	cb.Issuer = ""
	_, err := p.rp.Exchange(t.Context(), cb)
	must(t, err)
}

func TestCodeIsSpentOnce(t *testing.T) {
	p := start(t, nil)
	cb := authorize(t, p.rp, "alice")
	_, err := p.rp.Exchange(t.Context(), cb)
	must(t, err)
	_, err = p.rp.Exchange(t.Context(), cb)
	wantError(t, err, oidc.Stale, "invalid_grant")
	if strings.Contains(err.Error(), cb.Code) || strings.Contains(err.Error(), cb.Verifier) {
		t.Errorf("a secret in the error: %v", err)
	}
}

func TestVerifierOfAnotherAttemptIsRefused(t *testing.T) {
	p := start(t, nil)
	cb := authorize(t, p.rp, "alice")
	cb.Verifier = oauth2.GenerateVerifier()
	_, err := p.rp.Exchange(t.Context(), cb)
	wantError(t, err, oidc.Stale)
	for name, cb := range map[string]oidc.Callback{
		"no code":     {Issuer: p.idp.URL, Verifier: oauth2.GenerateVerifier(), Nonce: "n"},
		"no verifier": {Issuer: p.idp.URL, Code: "c", Nonce: "n"},
		"huge code":   {Issuer: p.idp.URL, Code: strings.Repeat("c", 1<<20), Verifier: oauth2.GenerateVerifier(), Nonce: "n"},
	} {
		before := p.idp.Count("/token")
		_, err := p.rp.Exchange(t.Context(), cb)
		wantError(t, err, oidc.Stale)
		if p.idp.Count("/token") != before {
			t.Errorf("%s: the provider was asked", name)
		}
	}
}

func TestWrongSecretSaysWhatToMend(t *testing.T) {
	p := start(t, func(c *oidc.Config) { c.ClientSecret = "wrong-secret" })
	_, err := p.signIn(t, "alice")
	wantError(t, err, oidc.Misconfigured, "invalid_client", "-oidc-client-secret")
	if strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("the secret is in the error: %v", err)
	}
}

func TestTokenEndpointFaults(t *testing.T) {
	p := start(t, func(c *oidc.Config) { c.Timeout = 200 * time.Millisecond })
	cb := authorize(t, p.rp, "alice")
	for name, test := range map[string]struct {
		fault func()
		kind  oidc.Kind
	}{
		"500":      {func() { p.idp.Break("/token", oidctest.Status(500)) }, oidc.Unreachable},
		"429":      {func() { p.idp.Break("/token", oidctest.Status(429)) }, oidc.Unreachable},
		"404":      {func() { p.idp.Break("/token", oidctest.Status(404)) }, oidc.Misconfigured},
		"redirect": {func() { p.idp.Break("/token", oidctest.Redirect(p.idp.URL+"/elsewhere")) }, oidc.Misconfigured},
		"cut":      {func() { p.idp.Break("/token", oidctest.Cut) }, oidc.Unreachable},
		"hang":     {func() { p.idp.Break("/token", p.idp.Hang) }, oidc.Unreachable},
		"huge":     {func() { p.idp.Break("/token", oidctest.Huge) }, oidc.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			test.fault()
			_, err := p.rp.Exchange(t.Context(), cb)
			wantError(t, err, test.kind, "token endpoint")
			if strings.Contains(err.Error(), cb.Code) {
				t.Errorf("the code is in the error: %v", err)
			}
		})
	}
	if p.idp.Count("/elsewhere") != 0 {
		t.Error("the code was sent after a redirect")
	}
}

func TestOAuthAnswerWithoutIDTokenIsRefused(t *testing.T) {
	p := start(t, nil)
	p.idp.AlterTokenAnswer(func(_ string, answer oidctest.Claims) { delete(answer, "id_token") })
	_, err := p.signIn(t, "alice")
	wantError(t, err, oidc.Misconfigured, "openid")
	p.idp.AlterTokenAnswer(func(_ string, answer oidctest.Claims) { answer["refresh_token"] = strings.Repeat("r", 65<<10) })
	_, err = p.signIn(t, "alice")
	wantError(t, err, oidc.Misconfigured)
}

func TestHundredLoginsOfTwoUsersNeverMix(t *testing.T) {
	p := start(t, nil)
	var wg sync.WaitGroup
	for i := range 100 {
		browser := oidctest.NewBrowser(t)
		wg.Go(func() {
			name := []string{"alice", "bob"}[i%2]
			cb, err := visit(t.Context(), browser, p.rp, name)
			if err != nil {
				t.Error(err)
				return
			}
			login, err := p.rp.Exchange(t.Context(), cb)
			if err != nil || login.Subject != name {
				t.Errorf("%s signed in as %+v, %v", name, login, err)
			}
		})
	}
	wg.Wait()
	if d, k := p.idp.Count("/.well-known/openid-configuration"), p.idp.Count("/jwks"); d != 1 || k != 1 {
		t.Errorf("%d discoveries and %d fetches of keys for 100 logins", d, k)
	}
}

func ExampleNew() {
	rp, err := oidc.New(oidc.Config{Name: "main", Issuer: "https://id.example.com", ClientID: "gate", ClientSecret: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rp.Close()
	fmt.Println(rp.Name(), rp.Issuer(), rp.Status())
	// Output: main https://id.example.com <nil>
}
