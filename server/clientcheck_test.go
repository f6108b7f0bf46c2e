package server

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// complaints are the fields that an answer to a check complains about, sorted.
func complaints(t *testing.T, a answer) []string {
	t.Helper()
	list, _ := a.want(t, 200, "").at(t, "errors").([]any)
	fields := []string{}
	for _, e := range list {
		fields = append(fields, mapOf(e)["field"].(string))
	}
	slices.Sort(fields)
	if valid := a.at(t, "valid"); valid != (len(fields) == 0) {
		t.Errorf("valid is %v with %v", valid, fields)
	}
	return fields
}

// TestACheckSaysWhatMakingWouldSay sends the same body to both calls, and the check
// makes nothing.
func TestACheckSaysWhatMakingWouldSay(t *testing.T) {
	m := issue(t)
	for body, want := range map[string][]string{
		`{"name": "app"}`: {},
		`{"name": "app", "type": "public", "redirect_uris": ["http://127.0.0.1/cb"], "scopes": ["openid", "streams:read"]}`: {},
		``: {"name"},
		`{"name": "", "redirect_uris": ["ftp://x", "https://ok.example.com/cb", "https://user@x/"], "colour": 1}`:  {"colour", "name", "redirect_uris[0]", "redirect_uris[2]"},
		`{"name": "app", "type": "secret", "pkce": 1, "scopes": ["none"], "first_party": "yes"}`:                   {"first_party", "pkce", "scopes[0]", "type"},
		`{"name": "app", "scopes": ["billing:write"], "first_party": true, "rate_limit_tier": "small"}`:            {"first_party", "rate_limit_tier", "scopes"},
		`{"name": "app", "type": "public", "grant_types": ["client_credentials"], "jwks": {"keys": []}}`:           {"grant_types", "jwks"},
		`{"name": "app", "post_logout_redirect_uris": ["nonsense"], "id_token_signed_response_alg": "none"}`:       {"id_token_signed_response_alg", "post_logout_redirect_uris[0]"},
		`{"name": "app", "grant_types": ["authorization_code"], "client_uri": "http://x", "introspection": false}`: {"client_uri", "redirect_uris"},
	} {
		got := complaints(t, m.as("narrow", "POST", clientsPath+"/check", body))
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
		if list := m.as("root", "GET", clientsPath+"?all=true", ""); !strings.Contains(list.body, `"clients":[]`) {
			t.Fatalf("a check of %s made something: %s", body, list.body)
		}
		made := m.as("narrow", "POST", clientsPath, body)
		if (made.StatusCode == 201) != (len(want) == 0) {
			t.Errorf("%s: making it is %d %s", body, made.StatusCode, made.body)
		}
		if made.StatusCode == 201 {
			m.as("root", "DELETE", clientsPath+"/"+clientIn(t, made).ID, "").want(t, 204, "")
		}
	}
	if n := m.audited("client.check", ""); n != 0 {
		t.Errorf("%d checks are in the audit log", n)
	}
}

func TestAPartialCheckSaysNothingOfWhatIsNotThereYet(t *testing.T) {
	m := issue(t)
	for body, want := range map[string][]string{
		``:                               {},
		`{}`:                             {},
		`{"name": null}`:                 {},
		`{"name": " "}`:                  {"name"},
		`{"redirect_uris": ["ftp://x"]}`: {"redirect_uris[0]"},
		`{"redirect_uris": []}`:          {},
		`{"grant_types": ["refresh_token", "authorization_code"]}`: {}, // whose redirect_uris come later
		`{"colour": 1}`:                    {"colour"},
		`{"scopes": ["billing:write"]}`:    {"scopes"},
		`{"first_party": true, "name": 1}`: {"first_party", "name"},
	} {
		if diff := cmp.Diff(want, complaints(t, m.as("narrow", "POST", clientsPath+"/check?partial=true", body))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	bounded := m.makeKey("all", `{"name": "x", "ops_limit": 5, "scopes": ["*"]}`)
	for _, x := range []struct {
		query, body, code string
		status            int
		headers           []string
	}{
		{"", `[]`, "invalid_request", 400, by("narrow")},
		{"?partial=maybe", `{}`, "invalid_request", 400, by("narrow")},
		{"?part=true", `{}`, "invalid_request", 400, by("narrow")},
		{"", `{"name": "app"}`, "insufficient_scope", 403, by(bounded.Key)},
		{"", `{"name": "app"}`, "credential_required", 401, nil},
		{"", `{"name": "app"}`, "cross_origin", 403, append(by("narrow"), "Sec-Fetch-Site", "cross-site")},
	} {
		m.call("POST", clientsPath+"/check"+x.query, x.body, x.headers...).want(t, x.status, x.code)
	}
	m.do("GET", clientsPath+"/check", "", by("narrow")...).want(t, 404, "not_found")
}
