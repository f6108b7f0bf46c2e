package server

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const explainPath = "/v1/auth/explain"

func explainBody(request, as string) string {
	return fmt.Sprintf(`{"request":%q,"as":%q}`, request, as)
}

// explained are the lines of an explanation for an administrator.
func (m *managed) explained(request, as string) (lines []string) {
	m.t.Helper()
	a := m.as("root", "POST", explainPath, explainBody(request, as)).want(m.t, 200, "")
	list, _ := a.at(m.t, "lines").([]any)
	for _, line := range list {
		lines = append(lines, line.(string))
	}
	if end := a.text(m.t, "decision"); len(lines) == 0 || end != strings.TrimPrefix(lines[len(lines)-1], "decision: ") {
		m.t.Errorf("decision %q, lines %q", end, lines)
	}
	return lines
}

// TestTheAPIExplainsAsTheCommandDoes holds one against the other, on the settings and
// the store of a running server.
func TestTheAPIExplainsAsTheCommandDoes(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	newBrowser(t, m.URL).signInLocal("ann")
	key := m.makeKey("all", `{"name":"k","scopes":["streams:read"],"allowed_ips":["127.0.0.1"],"ops_limit":9}`)
	gone := m.makeKey("all", `{"name":"k","scopes":["streams:read"]}`)
	m.as("root", "DELETE", "/v1/auth/keys/"+gone.ID, "").want(t, 204, "")
	for _, request := range []string{
		"GET /v1/streams", "POST /v1/streams", "/vault", "WS other.example/x", "/v1%2fstreams", "GET /v1/auth/keys", "PUT /v1/auth/keys", "/v1/auth/none", "/oauth//x",
	} {
		for _, as := range []string{
			"", key.ID, "key:" + key.ID, gone.ID, "all", "key:narrow", "root", "local|ann", "ann", "bob", "sub:ann", "jane@example.com", m.allUsers()[0],
		} {
			want, err := Explain(t.Context(), m.cfg, request, as)
			must(t, err)
			got := m.explained(request, as)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s as %q (-command +API):\n%s", request, as, diff)
			}
		}
	}
}

func TestExplanationIsOfWhatTheServerHoldsNow(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	end := func(request, as string) string {
		t.Helper()
		lines := m.explained(request, as)
		return lines[len(lines)-1]
	}
	if got := end("POST /v1/streams", "narrow"); !strings.HasPrefix(got, "decision: insufficient_scope (403)") {
		t.Errorf("got %q", got)
	}
	writeFile(t, m.cfg.PolicyFile, strings.Replace(catalogPolicy, "narrow: {scopes: [streams:read]}", "narrow: {scopes: [streams:write]}", 1))
	eventually(t, "the new policy counts", func() bool { return strings.HasPrefix(end("POST /v1/streams", "narrow"), "decision: allowed (200)") })

	writeFile(t, m.cfg.Keychain.Path, keychainLine(t, "root", "secret"))
	eventually(t, "the key is gone", func() bool {
		return m.as("root", "POST", explainPath, explainBody("/", "key:narrow")).StatusCode == 400
	})
}

func TestExplanationKnowsRegisteredApps(t *testing.T) {
	t.Parallel()
	m := manage(t, withPolicy(t, "upstreams: [{route: /taken, url: \"static://204\"}]"), withKeys(t, "root:secret", "dev:secret"), func(c *Config) { c.Admins = []string{"root"} })
	if got := strings.Join(m.explained("/demo/x", "dev"), "\n"); !strings.Contains(got, "decision: not_found (404)") || strings.Contains(got, "apps that announced themselves") {
		t.Errorf("got %s", got)
	}
	m.do("POST", "/", `{"register_app":{"mode":"unicast","route":"/demo","address":"http://127.0.0.1:1","key_id":"a","key_secret":"b"}}`,
		"Authorization", basic("dev", "secret"), "Content-Type", "application/json").want(t, 200, "")
	if got := strings.Join(m.explained("/demo/x", "dev"), "\n"); !strings.Contains(got, "route: /demo (app registered by dev)") || !strings.Contains(got, "decision: allowed (200)") {
		t.Errorf("got %s", got)
	}
}

func TestExplanationSaysWhatIsWrongWithTheQuestion(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	for _, tt := range []struct{ body, field, says string }{
		{`{}`, "request", "is required"},
		{`{"request":" "}`, "request", "is required"},
		{`{"request":7}`, "request", ""},
		{explainBody("nonsense", ""), "request", "write a method and a path"},
		{explainBody("GET /a/../b", ""), "request", ""},
		{explainBody("/"+strings.Repeat("a", 20_000), ""), "request", "20001 bytes"},
		{explainBody("/", "key_none"), "as", "is no API key that there is"},
		{explainBody("/", "key:none"), "as", "is no access key that there is"},
		{explainBody("/", "usr_none"), "as", "is no user that there is"},
		{`{"request":"/","as":"a\u0000b"}`, "as", "is nobody's name"},
		{explainBody("/", strings.Repeat("a", 2000)), "as", "is nobody's name"},
		{`{"request":"/","colour":1}`, "colour", ""},
	} {
		a := m.as("root", "POST", explainPath, tt.body).want(t, 400, "invalid_request")
		if field := a.text(t, "error.fields.0.field"); field != tt.field {
			t.Errorf("%.60s: field %q, want %q", tt.body, field, tt.field)
		}
		if !strings.Contains(a.body, tt.says) || strings.Contains(a.body, "--") {
			t.Errorf("%.60s: %s", tt.body, a.body)
		}
	}
}

// TestExplanationKnowsKeysWhoseOwnerIsNobody holds the explanation against what the
// key gets.
func TestExplanationKnowsKeysWhoseOwnerIsNobody(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	made := map[string]madeKey{}
	for _, name := range []string{"ann", "bob"} {
		made[name] = madeBy(t, newBrowser(t, m.URL).signInLocal(name).api("POST", "/v1/auth/keys", `{"name":"k","scopes":["keys:read"]}`))
	}
	want := func(name, end string, status int) {
		t.Helper()
		lines := m.explained("/", made[name].ID)
		got := m.do("GET", "/", "", by(made[name].Key)...)
		if !strings.Contains(lines[len(lines)-1], end) || got.StatusCode != status {
			t.Errorf("%s: explained as %q, and the key gets %d %s", name, lines[len(lines)-1], got.StatusCode, got.body)
		}
	}
	want("ann", "insufficient_scope (403)", 403)
	want("bob", "insufficient_scope (403)", 403)
	bobs, err := m.store.Key(t.Context(), made["bob"].ID)
	must(t, err)
	m.as("root", "PATCH", "/v1/auth/users/"+bobs.UserID, `{"disabled":true}`).want(t, 200, "")
	want("bob", "invalid_api_key (401): the person whose key it is was disabled on ", 401)
	writeFile(t, m.cfg.Users.Path, keychainLine(t, "bob", "other"))
	must(t, m.Reload())
	want("ann", "invalid_api_key (401): the users file has nobody of the owner's name any more", 401)
}

// TestAKeyInAQuestionIsNeverRepeated: neither in the answer nor in the log.
func TestAKeyInAQuestionIsNeverRepeated(t *testing.T) {
	t.Parallel()
	m := catalogServer(t)
	key := m.makeKey("all", `{"name":"k","scopes":["streams:read"]}`)
	secret := key.Key[len(key.Prefix):]
	for _, as := range []string{key.Key, "key:" + key.Key, "sub:" + key.Key, " " + key.Key + " ", "Bearer " + key.Key, key.Key + "@example.com", strings.ToUpper(key.Key)} {
		a := m.as("root", "POST", explainPath, explainBody("/", as))
		if strings.Contains(strings.ToLower(a.body), secret) {
			t.Errorf("%q: the answer repeats it: %s", as, a.body)
		}
		if as != strings.ToUpper(key.Key) {
			a.want(t, 400, "invalid_request")
		}
		if _, err := Explain(context.Background(), m.cfg, "/", as); err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the command repeats it: %v", err)
		}
	}
	for _, request := range []string{"GET /x?key=" + key.Key, "GET /" + key.Key, key.Key, "GET " + key.Key + "/x"} {
		if a := m.as("root", "POST", explainPath, explainBody(request, "")).want(t, 400, "invalid_request"); strings.Contains(a.body, secret) {
			t.Errorf("%q: the answer repeats it: %s", request, a.body)
		}
	}
	if strings.Contains(strings.ToLower(m.log.String()), secret) {
		t.Error("the log repeats it")
	}
}

// TestWhatIsAboutTheServerIsForAdministratorsAlone: others, their keys and tokens
// included, see nothing of it.
func TestWhatIsAboutTheServerIsForAdministratorsAlone(t *testing.T) {
	t.Parallel()
	m := issue(t, func(c *Config) { c.Admins = append(c.Admins, "local|ann") })
	ann, bob := newBrowser(t, m.URL).signInLocal("ann"), newBrowser(t, m.URL).signInLocal("bob")
	key := m.makeKey("root", `{"name":"k","scopes":["*"]}`)
	for _, call := range []struct{ method, path, body string }{
		{"GET", "/v1/auth/policy", ""}, {"GET", "/v1/auth/system", ""}, {"POST", explainPath, explainBody("/", "")},
	} {
		for what, headers := range map[string][]string{
			"an access key": by("all"), "an administrator's API key": by(key.Key), "an administrator's session token": by(ann.token()), "somebody": {"Cookie", bob.cookies()},
		} {
			if a := m.call(call.method, call.path, call.body, headers...).want(t, 403, "insufficient_role"); strings.Contains(a.body, "streams") {
				t.Errorf("%s: %s %s", what, call.path, a.body)
			}
		}
		m.call(call.method, call.path, call.body).want(t, 401, "credential_required")
		m.checked(ann.api(call.method, call.path, call.body)).want(t, 200, "")
	}
	m.checked(ann.api("POST", explainPath, explainBody("/", ""), "Sec-Fetch-Site", "cross-site")).want(t, 403, "cross_origin")
}
