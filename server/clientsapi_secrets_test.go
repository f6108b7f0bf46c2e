package server

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	authz "wavegate/oidc/provider"
	"wavegate/server/store"
	"wavegate/server/webhook"
)

// rotateClient gives a client another secret and returns it.
func (m *managed) rotateClient(c madeClient, body string) madeClient {
	m.t.Helper()
	a := m.as("all", "POST", clientsPath+"/"+c.ID+"/rotate-secret", body).want(m.t, 200, "")
	next := clientIn(m.t, a)
	if next.Secret == "" || next.Secret == c.Secret || a.text(m.t, "warning") == "" || a.Header.Get("Cache-Control") != "no-store" {
		m.t.Errorf("rotation: %s", a.body)
	}
	return next
}

// wantSecrets fails the test unless of a client's secrets those work that are to.
func (m *managed) wantSecrets(what string, works map[string]bool, id string) {
	m.t.Helper()
	for secret, want := range works {
		a := m.tokenFor(madeClient{id, secret}, ownGrant())
		if want {
			a.want(m.t, 200, "")
		} else if a.wantOAuth(m.t, 401, authz.InvalidClient); a.StatusCode == 200 {
			m.t.Errorf("%s: a dead secret works", what)
		}
	}
}

func TestTwoSecretsOfAClientWorkUntilTheGraceEnds(t *testing.T) {
	t.Parallel()
	m := issue(t)
	first := m.makeClient("all", `{"name":"app","scopes":["streams:read"]}`)
	one := clientsPath + "/" + first.ID
	second := m.rotateClient(first, "")
	m.wantSecrets("after a rotation", map[string]bool{first.Secret: true, second.Secret: true}, first.ID)
	list, _ := m.as("all", "GET", one, "").at(t, "client.client_secrets").([]any)
	if len(list) != 2 || mapOf(list[1])["expires_at"] != nil {
		t.Fatalf("secrets: %v", list)
	}
	ends, err := time.Parse(time.RFC3339, mapOf(list[0])["expires_at"].(string))
	if left := time.Until(ends); err != nil || left < 23*time.Hour || left > 24*time.Hour {
		t.Errorf("the old secret ends at %v", ends)
	}
	third := m.rotateClient(first, `{"grace_period_hours":720}`)
	m.wantSecrets("after a third", map[string]bool{first.Secret: false, second.Secret: true, third.Secret: true}, first.ID)

	c, err := m.store.Client(t.Context(), first.ID)
	must(t, err)
	c.Secrets[0].ExpiresAt = time.Now().UTC().Add(-time.Second)
	_, err = m.store.ChangeClient(t.Context(), c, store.Journal{})
	must(t, err)
	m.oauth.Apply([]authz.Change{{Kind: authz.ChangedClient, Key: first.ID}})
	m.wantSecrets("at its end", map[string]bool{second.Secret: false, third.Secret: true}, first.ID)
	m.try([]try{{"all", "GET", one, "", 200, "", []string{third.Secret[len(third.Secret)-4:]}, []string{`"ends_in":"` + second.Secret[len(second.Secret)-4:]}}})

	fourth := m.rotateClient(first, `{"grace_period_hours":0}`)
	m.wantSecrets("without a grace", map[string]bool{third.Secret: false, fourth.Secret: true}, first.ID)
	m.try([]try{
		{"all", "POST", one + "/rotate-secret", `{"grace_period_hours":721}`, 400, "invalid_request", []string{`"field":"grace_period_hours"`}, nil},
		{"all", "POST", one + "/rotate-secret", `{"grace_period_hours":-1,"x":1}`, 400, "invalid_request", []string{`"field":"grace_period_hours"`, `"field":"x"`}, nil},
		{"all", "POST", one + "/rotate-secret", `{"grace_period_hours":0.5}`, 400, "invalid_request", []string{`"field":"grace_period_hours"`}, nil},
		{"all", "GET", one + "/rotate-secret", ``, 405, "method_not_allowed", nil, nil},
	})
	m.wantSecrets("after what was refused", map[string]bool{fourth.Secret: true}, first.ID)
	if n := m.audited("client.rotate_secret", first.ID); n != 3 {
		t.Errorf("%d rotations in the audit log", n)
	}
	for _, text := range []string{m.log.String(), m.as("root", "GET", "/v1/auth/audit?limit=200", "").body, m.as("all", "GET", one, "").body, m.as("root", "GET", clientsPath+"?all=true", "").body} {
		for _, secret := range []string{first.Secret, second.Secret, third.Secret, fourth.Secret} {
			if strings.Contains(text, secret) || strings.Contains(text, "wgcs_") {
				t.Errorf("a secret is shown once more: %.300s", text)
			}
		}
	}
}

func TestRacingRotationsLeaveTwoSecrets(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.makeClient("all", `{"name":"app"}`)
	statuses, answers := race(4, func() answer { return m.as("all", "POST", clientsPath+"/"+made.ID+"/rotate-secret", "") })
	if statuses[200] != 4 {
		t.Fatalf("statuses %v", statuses)
	}
	live := 0
	for _, a := range answers {
		if m.tokenFor(clientIn(t, a), ownGrant()).StatusCode == 200 {
			live++
		}
	}
	if live != 2 {
		t.Errorf("%d of four new secrets work, want the last two", live)
	}
}

func TestPublicClientsNeverHaveSecrets(t *testing.T) {
	t.Parallel()
	m := issue(t)
	public := m.makeClient("all", `{"name":"app","type":"public","redirect_uris":["https://a.example.com/"]}`)
	one := clientsPath + "/" + public.ID
	if public.Secret != "" {
		t.Error("a public client was given a secret")
	}
	m.try([]try{
		{"all", "POST", one + "/rotate-secret", "", 409, "conflict", []string{"public"}, nil},
		{"all", "PATCH", one, `{"type":"confidential"}`, 400, "invalid_request", []string{`"field":"type"`}, nil},
		{"all", "PATCH", one, `{"grant_types":["client_credentials"]}`, 400, "invalid_request", []string{`"field":"grant_types"`}, nil},
		{"all", "PATCH", one, `{"pkce":"optional"}`, 400, "invalid_request", []string{`"field":"pkce"`}, nil},
		{"all", "PATCH", one, `{"name":"other"}`, 200, "", []string{`"client_secrets":[]`, `"token_endpoint_auth_method":"none"`}, nil},
	})
	if a := m.tokenFor(madeClient{public.ID, "wgcs_made-up"}, ownGrant()); a.StatusCode < 400 {
		t.Errorf("a public client proved itself: %s", a.body)
	}
}

// TestAClientWithKeysDropsItsSecrets goes there and back.
func TestAClientWithKeysDropsItsSecrets(t *testing.T) {
	t.Parallel()
	m := issue(t)
	made := m.makeClient("all", `{"name":"app","scopes":["streams:read"]}`)
	one, key := clientsPath+"/"+made.ID, newECKey(t)
	m.wantSecrets("before", map[string]bool{made.Secret: true}, made.ID)
	m.as("all", "PATCH", one, `{"jwks":`+jwksOf(t, key, false)+`}`).want(t, 200, "")
	m.wantSecrets("with keys", map[string]bool{made.Secret: false}, made.ID)
	m.try([]try{
		{"all", "GET", one, "", 200, "", []string{`"token_endpoint_auth_method":"private_key_jwt"`, `"client_secrets":[]`, `"kid":"k1"`}, nil},
		{"all", "POST", one + "/rotate-secret", "", 409, "conflict", []string{"key of its own"}, nil},
	})
	assert := func(id string) answer {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
		must(t, err)
		now := time.Now()
		raw, err := jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: made.ID, Subject: made.ID, Audience: jwt.Audience{"http://gate.test"}, ID: id,
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Minute)),
		}).Serialize()
		must(t, err)
		return m.tokenFor(madeClient{ID: made.ID}, url.Values{
			"grant_type": {"client_credentials"}, "client_assertion": {raw},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		})
	}
	issuedIn(t, assert("one"))
	m.as("all", "PATCH", one, `{"jwks":null}`).want(t, 200, "")
	assert("two").wantOAuth(t, 401, authz.InvalidClient)
	m.wantSecrets("without keys again", map[string]bool{made.Secret: false}, made.ID)
	m.wantSecrets("with a secret again", map[string]bool{m.rotateClient(made, "").Secret: true}, made.ID)
	fresh := m.as("all", "POST", clientsPath, `{"name":"signs","jwks":`+jwksOf(t, key, false)+`}`).want(t, 201, "")
	if strings.Contains(fresh.body, "wgcs_") || strings.Contains(fresh.body, "warning") {
		t.Errorf("a client with keys was given a secret: %s", fresh.body)
	}
}

// TestAKeyWithBoundsGivesNoClientWithout: what a client does for itself would outlive
// the key, or come from elsewhere.
func TestAKeyWithBoundsGivesNoClientWithout(t *testing.T) {
	t.Parallel()
	m := issue(t)
	key := func(more string) []string {
		return by(m.as("all", "POST", "/v1/auth/keys", `{"name":"k","scopes":["clients:write","streams:read"],`+more+`}`).want(t, 201, "").text(t, "api_key.key"))
	}
	service := clientsPath + "/" + m.makeClient("all", `{"name":"service"}`).ID
	site := `{"name":"site","redirect_uris":["https://a.example.com/"],"scopes":["streams:read"]}`
	for _, more := range []string{`"expires_in_days":30`, `"allowed_ips":["127.0.0.1"]`} {
		k := key(more)
		m.call("POST", clientsPath, `{"name":"x"}`, k...).want(t, 403, "insufficient_role")
		m.call("POST", service+"/rotate-secret", "", k...).want(t, 403, "insufficient_role")
		m.call("PATCH", service, `{"scopes":["streams:read"]}`, k...).want(t, 403, "insufficient_role")
		m.call("PATCH", service, `{"name":"renamed"}`, k...).want(t, 200, "")
		made := clientIn(t, m.call("POST", clientsPath, site, k...).want(t, 201, ""))
		m.call("POST", clientsPath+"/"+made.ID+"/rotate-secret", "", k...).want(t, 200, "")
		m.call("PATCH", clientsPath+"/"+made.ID, `{"grant_types":["client_credentials"]}`, k...).want(t, 403, "insufficient_role")
	}
	counted := key(`"ops_limit":100`)
	m.call("POST", clientsPath, site, counted...).want(t, 403, "insufficient_scope")
	m.call("PATCH", service, `{"name":"renamed"}`, counted...).want(t, 403, "insufficient_scope")
	m.call("POST", service+"/rotate-secret", "", counted...).want(t, 403, "insufficient_scope")
}

func TestAChangeIsMadeOverThatOfAnother(t *testing.T) {
	t.Parallel()
	pair := sqlitePair(t)
	made := pair[0].makeClient("all", `{"name":"app"}`)
	bodies := make(chan string, 4)
	for _, body := range []string{`{"name":"renamed"}`, `{"scopes":["streams:read"]}`, `{"client_uri":"https://a.example.com/"}`, `{"pkce":"optional"}`} {
		bodies <- body
	}
	servers := make(chan *managed, 4)
	servers <- pair[0]
	servers <- pair[1]
	servers <- pair[0]
	servers <- pair[1]
	statuses, _ := race(4, func() answer { return (<-servers).as("all", "PATCH", clientsPath+"/"+made.ID, <-bodies) })
	if statuses[200] != 4 {
		t.Errorf("statuses %v", statuses)
	}
	pair[0].try([]try{{"all", "GET", clientsPath + "/" + made.ID, "", 200, "", []string{`"name":"renamed"`, `"scopes":["streams:read"]`, `"client_uri":"https://a.example.com/"`, `"pkce":"optional"`}, nil}})

	// The same for sure: somebody else is faster each time.
	k, ann := pair[0].clientService(), asker{apiCaller: &apiCaller{owner: "key:all"}, note: func(deed, ...webhook.Event) store.Journal { return store.Journal{} }}
	for faster, want := range map[int]error{0: nil, 1: nil, clientTries - 1: nil, clientTries: errClientConflict} {
		tries := 0
		_, err := k.alter(t.Context(), ann, made.ID, "client.update", func(c *authz.Client) (map[string]string, error) {
			if tries++; tries <= faster {
				_, err := pair[1].store.ChangeClient(t.Context(), *c, store.Journal{})
				must(t, err)
			}
			c.Name = "mine"
			return nil, nil
		})
		if err != want || tries != min(faster+1, clientTries) {
			t.Errorf("%d were faster: %v after %d tries", faster, err, tries)
		}
	}
}
