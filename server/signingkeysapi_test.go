package server

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"wavegate/server/store/storetest"
)

const signingKeysPath = "/v1/auth/signing-keys"

// published are the IDs of the keys that verify what a server signs.
func (ts *testServer) published() (kids []string) {
	ts.t.Helper()
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	a := ts.do("GET", "/oauth/jwks", "").want(ts.t, 200, "")
	must(ts.t, json.Unmarshal([]byte(a.body), &set))
	for _, k := range set.Keys {
		if k["d"] != "" || k["p"] != "" {
			ts.t.Errorf("a private key is published: %s", k["kid"])
		}
		kids = append(kids, k["kid"])
	}
	return kids
}

// kidOf is the key that signed a token.
func kidOf(t *testing.T, raw string) string {
	t.Helper()
	header, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	must(t, err)
	kid, _ := mapOf(decoded(t, string(text)))["kid"].(string)
	return kid
}

// signingKeys are the keys of an answer, by their state and algorithm.
func signingKeys(t *testing.T, a answer) map[string][]string {
	t.Helper()
	list, _ := a.at(t, "signing_keys").([]any)
	of := map[string][]string{}
	for _, k := range list {
		k := mapOf(k)
		state := k["status"].(string) + " " + k["alg"].(string)
		of[state] = append(of[state], k["kid"].(string))
	}
	return of
}

// TestRotatedSigningKeysVerifyWhatTheySigned rotates at one server and looks at both.
func TestRotatedSigningKeysVerifyWhatTheySigned(t *testing.T) {
	t.Parallel()
	for kind, url := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			pair := issuePair(t, url(t))
			made := pair[0].makeClient("all", `{"name":"app","scopes":["streams:read"]}`)
			before := pair[0].own(made)
			states := signingKeys(t, pair[0].as("root", "GET", signingKeysPath, "").want(t, 200, ""))
			if !slices.Equal(states["current ES256"], []string{kidOf(t, before)}) || len(states["current RS256"]) != 1 {
				t.Errorf("keys %v, and the token was signed by %s", states, kidOf(t, before))
			}
			a := pair[0].as("root", "POST", signingKeysPath+"/rotate", "").want(t, 200, "")
			after := pair[0].own(made)
			states = signingKeys(t, a)
			if !slices.Equal(states["current ES256"], []string{kidOf(t, after)}) || kidOf(t, after) == kidOf(t, before) || !slices.Contains(states["retired ES256"], kidOf(t, before)) {
				t.Errorf("keys %v; before %s signed, now %s", states, kidOf(t, before), kidOf(t, after))
			}
			if strings.Contains(a.body, "sealed") || strings.Contains(a.body, "PRIVATE") {
				t.Errorf("the answer holds more than it should: %s", a.body)
			}
			for _, m := range pair {
				eventually(t, "the new key is published", func() bool { return slices.Contains(m.published(), kidOf(t, after)) })
				if !slices.Contains(m.published(), kidOf(t, before)) {
					t.Error("the key before is not published any more")
				}
				for _, token := range []string{before, after} {
					m.do("GET", "/v1/streams", "", by(token)...).want(t, 200, "")
				}
			}
			if n := pair[0].audited("signing_key.rotate", "all"); n != 1 {
				t.Errorf("%d rotations in the audit log", n)
			}
		})
	}
}

func TestSigningKeysAreForAdministratorsAlone(t *testing.T) {
	t.Parallel()
	m := issue(t, func(c *Config) { c.Admins = append(c.Admins, "local|ann") })
	ann, bob := newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("bob")
	app := m.makeClient("root", `{"name":"app","redirect_uris":["`+appRedirect+`"],"scopes":["*"],"grant_types":["authorization_code","client_credentials"]}`)
	own := m.own(app)
	kids := m.published()
	key := m.as("root", "POST", "/v1/auth/keys", `{"name":"k","scopes":["*"]}`).want(t, 201, "").text(t, "api_key.key")
	for what, headers := range map[string][]string{
		"an access key": by("all"), "an administrator's API key": by(key), "an administrator's session token": by(ann.token()),
		"somebody": {"Cookie", bob.cookies()}, "an app of an administrator's": by(own),
	} {
		if a := m.call("GET", signingKeysPath, "", headers...).want(t, 403, "insufficient_role"); strings.Contains(a.body, kids[0]) {
			t.Errorf("%s: %s", what, a.body)
		}
		m.call("POST", signingKeysPath+"/rotate", "", headers...).want(t, 403, "insufficient_role")
	}
	m.call("GET", signingKeysPath, "").want(t, 401, "credential_required")
	m.call("POST", signingKeysPath+"/rotate", "").want(t, 401, "credential_required")
	m.checked(ann.api("POST", signingKeysPath+"/rotate", "", "Sec-Fetch-Site", "cross-site")).want(t, 403, "cross_origin")
	if !slices.Equal(kids, m.published()) {
		t.Error("the keys were replaced")
	}
	m.checked(ann.api("GET", signingKeysPath, "")).want(t, 200, "")
	m.checked(ann.api("POST", signingKeysPath+"/rotate", "", "Sec-Fetch-Site", "same-origin")).want(t, 200, "")
	if slices.Equal(kids, m.published()) {
		t.Error("the keys are the same")
	}
}

// TestTokensOutliveManyRotations: a rotation right after another one takes
// nothing away that tokens are signed with.
func TestTokensOutliveManyRotations(t *testing.T) {
	t.Parallel()
	m := issue(t, func(c *Config) { c.Store = storetest.SQLite(t) })
	made := m.makeClient("all", `{"name":"app","scopes":["streams:read"]}`)
	var tokens []string
	for range 4 {
		tokens = append(tokens, m.own(made))
		if a := m.as("root", "POST", signingKeysPath+"/rotate", ""); a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	for i, token := range tokens {
		if a := m.do("GET", "/v1/streams", "", by(token)...); a.StatusCode != 200 {
			t.Errorf("token %d: %d %s", i, a.StatusCode, a.body)
		}
	}
}
