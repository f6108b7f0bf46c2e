package oidc_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"wavegate/oidc"
	"wavegate/oidc/oidctest"

	"github.com/google/go-cmp/cmp"
)

// bare takes the claims about the person out of ID tokens.
func bare(c oidctest.Claims) {
	for _, name := range []string{"groups", "email", "email_verified", "preferred_username", "name"} {
		delete(c, name)
	}
}

// answerJSON makes an endpoint answer v.
func answerJSON(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func wantWarning(t *testing.T, login *oidc.Login, contains string) {
	t.Helper()
	all := strings.Join(login.Warnings, "\n")
	if !strings.Contains(all, contains) {
		t.Errorf("warnings %q, want %q in them", all, contains)
	}
	if login.AccessToken != "" && strings.Contains(all, login.AccessToken) {
		t.Errorf("a token is in the warnings: %s", all)
	}
}

func TestUserInfoIsAskedOnlyForWhatIsMissing(t *testing.T) {
	p := start(t, nil)
	p.mustSignIn(t, "alice")
	if n := p.idp.Count("/userinfo"); n != 0 {
		t.Errorf("%d requests though the ID token says everything", n)
	}
	p.idp.AlterIDToken(bare)
	login := p.mustSignIn(t, "alice")
	if p.idp.Count("/userinfo") != 1 || login.Username != "alice.a" || login.Email != "alice@example.com" {
		t.Errorf("%d requests, login %+v", p.idp.Count("/userinfo"), login)
	}
	if diff := cmp.Diff([]string{"eng", "ops"}, login.Groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestUserInfoOfAnotherSubjectIsNotUsed(t *testing.T) {
	p := start(t, nil)
	p.idp.AlterIDToken(bare)
	for name, answer := range map[string]oidctest.Claims{
		"another subject": {"sub": "bob", "groups": []string{"admin"}, "preferred_username": "admin", "email": "admin@example.com", "email_verified": true},
		"no subject":      {"groups": []string{"admin"}, "preferred_username": "admin", "email": "admin@example.com", "email_verified": true},
	} {
		t.Run(name, func(t *testing.T) {
			p.idp.Break("/userinfo", answerJSON(answer))
			login := p.mustSignIn(t, "alice")
			if login.Groups != nil || login.Username != "alice" || login.Email != "" {
				t.Errorf("login %+v", login)
			}
			wantWarning(t, login, "another subject")
		})
	}
}

func TestUserInfoThatFailsOpensNothing(t *testing.T) {
	p := start(t, nil)
	p.idp.AlterIDToken(bare)
	for name, fault := range map[string]http.HandlerFunc{
		"500": oidctest.Status(500), "401": oidctest.Status(401), "cut": oidctest.Cut, "huge": oidctest.Huge,
		"redirect": oidctest.Redirect("https://elsewhere.example"), "array": answerJSON([]string{"a"}),
	} {
		t.Run(name, func(t *testing.T) {
			p.idp.Break("/userinfo", fault)
			login := p.mustSignIn(t, "alice")
			if login.Groups != nil || login.Username != "alice" {
				t.Errorf("login %+v", login)
			}
			wantWarning(t, login, "no groups")
		})
	}
}

func TestEmailAndItsFlagComeFromOneSource(t *testing.T) {
	p := start(t, nil)
	p.idp.AlterIDToken(func(c oidctest.Claims) { c["email"] = "admin@example.com"; delete(c, "email_verified") })
	p.idp.Break("/userinfo", answerJSON(oidctest.Claims{"sub": "alice", "email_verified": true}))
	if login := p.mustSignIn(t, "alice"); login.Email != "" {
		t.Errorf("e-mail %q of the ID token, verified by userinfo", login.Email)
	}
}

func TestSignedUserInfo(t *testing.T) {
	p := start(t, nil)
	p.idp.AlterIDToken(bare)
	for name, test := range map[string]struct {
		claims oidctest.Claims
		ok     bool
	}{
		"right":                {oidctest.Claims{"iss": p.idp.URL, "aud": clientID}, true},
		"by another issuer":    {oidctest.Claims{"iss": "https://other.example", "aud": clientID}, false},
		"for another client":   {oidctest.Claims{"iss": p.idp.URL, "aud": "other"}, false},
		"about another person": {oidctest.Claims{"iss": p.idp.URL, "aud": clientID, "sub": "bob"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			claims := oidctest.Claims{"sub": "alice", "groups": []string{"signed"}}
			maps.Copy(claims, test.claims)
			p.idp.Break("/userinfo", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/jwt; charset=utf-8")
				w.Write([]byte(p.idp.Sign(clientID, claims)))
			})
			if login := p.mustSignIn(t, "alice"); (len(login.Groups) == 1) != test.ok {
				t.Errorf("groups %q, warnings %q", login.Groups, login.Warnings)
			}
		})
	}
}

// distributed makes ID tokens refer to an endpoint for the groups.
func distributed(p pair, endpoint string) {
	p.idp.AlterIDToken(func(c oidctest.Claims) {
		delete(c, "groups")
		c["_claim_names"] = oidctest.Claims{"groups": "src1"}
		c["_claim_sources"] = oidctest.Claims{"src1": oidctest.Claims{"endpoint": endpoint, "access_token": "for-groups"}}
	})
}

func TestDistributedGroups(t *testing.T) {
	p := start(t, nil)
	distributed(p, p.idp.URL+"/groups")
	answer := oidctest.Claims{"iss": p.idp.URL, "sub": "alice", "groups": []string{"far"}}
	p.idp.Break("/groups", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer for-groups" {
			t.Error("asked with another token than the one that was given for it")
		}
		w.Write([]byte(p.idp.Sign(clientID, answer)))
	})
	if login := p.mustSignIn(t, "alice"); !cmp.Equal(login.Groups, []string{"far"}) || login.Warnings != nil {
		t.Errorf("groups %q, warnings %q", login.Groups, login.Warnings)
	}
	answer["sub"] = "bob"
	login := p.mustSignIn(t, "alice")
	if login.Groups != nil {
		t.Errorf("groups %q of another subject", login.Groups)
	}
	wantWarning(t, login, "another subject")
	p.idp.Break("/groups", answerJSON(oidctest.Claims{"sub": "alice", "groups": []string{"unsigned"}}))
	if login := p.mustSignIn(t, "alice"); login.Groups != nil {
		t.Errorf("unsigned groups %q", login.Groups)
	}
}

func TestDistributedClaimsNeverChooseWhereRequestsGo(t *testing.T) {
	other := oidctest.New(t, oidctest.Config{})
	p := start(t, nil)
	host := strings.TrimPrefix(p.idp.URL, "http://")
	for _, endpoint := range []string{
		other.URL + "/groups", "https://graph.example/users/1", "http://169.254.169.254/latest", "https://" + host + "/groups",
		"http://u@" + host + "/groups", "//" + host, "", "file:///etc/passwd", ":", "http://" + host + ".evil.example/",
	} {
		distributed(p, endpoint)
		login := p.mustSignIn(t, "alice")
		if login.Groups != nil {
			t.Errorf("%s: groups %q", endpoint, login.Groups)
		}
		wantWarning(t, login, "limit the groups")
	}
	if other.Count("/groups") != 0 {
		t.Error("another host was asked")
	}
}

func TestMissingGroupsAreSaid(t *testing.T) {
	p := start(t, func(c *oidc.Config) { c.GroupsClaim = "realm_access.roles" })
	wantWarning(t, p.mustSignIn(t, "alice"), `"realm_access.roles"`)
	p.idp.SetUser("carl", oidctest.Claims{"realm_access": oidctest.Claims{"roles": []string{"nested"}}})
	if login := p.mustSignIn(t, "carl"); !cmp.Equal(login.Groups, []string{"nested"}) {
		t.Errorf("groups %q", login.Groups)
	}
	p.idp.SetUser("dora", oidctest.Claims{"hasgroups": true})
	wantWarning(t, p.mustSignIn(t, "dora"), "more groups than")
}
