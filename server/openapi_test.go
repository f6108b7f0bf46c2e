package server

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/webhook"
)

// isAPI reports whether a path belongs to the management API.
func isAPI(path string) bool {
	return strings.HasPrefix(path, "/v1/auth/") || strings.HasPrefix(path, "/api/v1/")
}

func TestOpenAPIDescribesEveryRouteAndNoOther(t *testing.T) {
	ts := startServer(t, testConfig(t))
	var want, got []string
	for _, rt := range ts.table {
		if isAPI(rt.path) {
			want = append(want, rt.path+" "+strings.ToLower(rt.method))
		}
	}
	for path, item := range readAPI(t).Paths {
		for method := range item {
			if method != "parameters" {
				got = append(got, path+" "+method)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes and description differ (-routes +description):\n%s", diff)
	}
}

func TestOpenAPINamesThePartsOfEachPath(t *testing.T) {
	inPath := regexp.MustCompile(`\{([^}]+)\}`)
	for path, item := range readAPI(t).Paths {
		var want, got []string
		for _, m := range inPath.FindAllStringSubmatch(path, -1) {
			want = append(want, m[1])
		}
		var params []parameter
		if raw := item["parameters"]; raw != nil {
			if err := json.Unmarshal(raw, &params); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range params {
			if p.In != "path" || !p.Required {
				t.Errorf("%s: %+v", path, p)
			}
			got = append(got, p.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-path +parameters):\n%s", path, diff)
		}
	}
}

func TestOpenAPIRefersToWhatThereIs(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(openAPIFile, &doc); err != nil {
		t.Fatal(err)
	}
	refs := regexp.MustCompile(`"\$ref": "#/([^"]+)"`).FindAllStringSubmatch(string(openAPIFile), -1)
	if len(refs) < 50 {
		t.Fatalf("%d references found", len(refs))
	}
	used := map[string]bool{}
	for _, m := range refs {
		used[m[1]] = true
		at := any(doc)
		for step := range strings.SplitSeq(m[1], "/") {
			at = mapOf(at)[step]
		}
		if at == nil {
			t.Errorf("#/%s is not there", m[1])
		}
	}
	for part, things := range mapOf(doc["components"]) {
		for name := range mapOf(things) {
			if part != "securitySchemes" && !used["components/"+part+"/"+name] && name != "AuditEntry" {
				t.Errorf("nothing refers to %s/%s", part, name)
			}
		}
	}
}

func TestOpenAPIOperationsHaveNamesOfTheirOwn(t *testing.T) {
	api, seen := readAPI(t), map[string]bool{}
	for path, item := range api.Paths {
		for method := range item {
			if method == "parameters" {
				continue
			}
			op, _ := api.operation(t, method, path)
			if op.ID == "" || seen[op.ID] {
				t.Errorf("%s %s: the name %q is none, or another's", method, path, op.ID)
			}
			seen[op.ID] = true
		}
	}
}

// TestOpenAPISaysNothingThatTestsDoNotCheck keeps the description to the keywords
// that the comparison with real answers understands.
func TestOpenAPISaysNothingThatTestsDoNotCheck(t *testing.T) {
	for name, s := range readAPI(t).Components.Schemas {
		for _, problem := range unknownKeywords(s, name) {
			t.Error(problem)
		}
	}
}

func TestOpenAPIKnowsEveryEvent(t *testing.T) {
	s := readAPI(t).Components.Schemas["CreateWebhook"]
	events := mapOf(mapOf(mapOf(s["properties"])["events"])["items"])["enum"]
	var want []any
	for _, e := range webhook.Types() {
		want = append(want, e)
	}
	if diff := cmp.Diff(any(want), events); diff != "" {
		t.Errorf("events (-code +description):\n%s", diff)
	}
}

// TestTheCheckOfAnswersFindsLies proves the checker that other tests rely on.
func TestTheCheckOfAnswersFindsLies(t *testing.T) {
	api := readAPI(t)
	good := `{"id": "lck_1", "kind": "ip", "subject": "192.0.2.1", "since": "2026-11-27T08:00:00Z", "until": "2026-11-27T08:15:00Z"}`
	for text, want := range map[string]string{
		good:                                     "",
		strings.Replace(good, `"id"`, `"ID"`, 1): "lacks id",
		strings.Replace(good, `}`, `, "more": 1}`, 1):             "more is not described",
		strings.Replace(good, `"ip"`, `"other"`, 1):               "is not one of",
		strings.Replace(good, `"192.0.2.1"`, `1`, 1):              "described is string",
		strings.Replace(good, `2026-11-27T08:15:00Z`, `soon`, 1):  "no time",
		strings.Replace(good, `"2026-11-27T08:15:00Z"`, `[1]`, 1): "is array",
	} {
		problems := strings.Join(api.problems(api.Components.Schemas["Lockout"], decoded(t, text), "lock"), "; ")
		if want == "" && problems != "" || !strings.Contains(problems, want) {
			t.Errorf("%s: problems %q, want %q", text, problems, want)
		}
	}
}

func TestOpenAPIIsServedToEverybodyUnderTheBaseURL(t *testing.T) {
	cfg := testConfig(t)
	cfg.BaseURL = "/gate/"
	ts := startServer(t, cfg)
	a := ts.do("GET", "/gate/v1/auth/openapi.json", "").want(t, 200, "")
	var doc struct {
		OpenAPI string
		Servers []struct{ URL string }
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || len(doc.Servers) != 1 || doc.Servers[0].URL != "/gate/" {
		t.Errorf("%+v", doc)
	}
	if got := a.Header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("Cache-Control %q", got)
	}
	again := ts.do("GET", "/gate/v1/auth/openapi.json", "", "If-None-Match", a.Header.Get("Etag"))
	if again.StatusCode != http.StatusNotModified || again.body != "" {
		t.Errorf("asked again: %d, %d bytes", again.StatusCode, len(again.body))
	}
	if head := ts.do("HEAD", "/gate/v1/auth/openapi.json", ""); head.StatusCode != 200 || head.body != "" {
		t.Errorf("HEAD: %d %q", head.StatusCode, head.body)
	}
}

// TestCallsForKeysAnswerAsDescribed makes each call once; manage compares what it
// answers with the description.
func TestCallsForKeysAnswerAsDescribed(t *testing.T) {
	m := manage(t)
	made := m.as("ann", "POST", "/v1/auth/keys", `{"name": "ci", "scopes": ["keys:read", "keys:write", "status:read"], "allowed_ips": ["127.0.0.1"],
		"metadata": {"a": [1]}, "ops_limit": 10, "budget": {"operations_per_day": 5}, "expires_in_days": 30, "rate_limit_tier": "pro"}`, "Idempotency-Key", "once").want(t, 201, "")
	one, key := "/v1/auth/keys/"+made.text(t, "api_key.id"), made.text(t, "api_key.key")
	free := m.as("ann", "POST", "/api/v1/user/api-keys", `{"environment": "test", "role": "account_admin"}`).want(t, 201, "")
	for _, x := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/v1/auth/keys", "", 200},
		{"GET", "/v1/auth/keys/export", "", 200},
		{"GET", one, "", 200},
		{"PATCH", one, `{"description": "d", "budget": null}`, 200},
		{"POST", "/v1/auth/keys/verify", `{"key": "` + key + `", "ip": "127.0.0.1"}`, 200},
		{"POST", "/v1/auth/keys/verify", `{"key": "unknown"}`, 200},
		{"POST", one + "/rotate", `{"grace_period_hours": 1}`, 200},
		{"POST", one + "/rotate", `{}`, 409},
		{"GET", "/v1/auth/status", "", 200},
		{"GET", "/api/v1/user/api-keys", "", 200},
		{"DELETE", one, "", 204},
		{"GET", one, "", 200},
		{"POST", "/v1/auth/keys", `{"name": "", "colour": 1}`, 400},
		{"GET", "/v1/auth/keys/key_none", "", 404},
	} {
		m.as("ann", x.method, x.path, x.body).want(t, x.status, "")
	}
	m.call("GET", "/v1/auth/status", "", "X-API-Key", free.text(t, "key")).want(t, 200, "")
	m.call("POST", "/api/v1/keys/apikey/rotate", "", "X-API-Key", free.text(t, "key")).want(t, 200, "")
	m.as("ann", "DELETE", "/api/v1/user/api-keys/"+free.text(t, "id"), "").want(t, 204, "")
	trial := m.call("POST", "/api/v1/onboarding/temp-key", "")
	if trial.StatusCode >= 300 {
		t.Fatalf("trial: %d %s", trial.StatusCode, trial.body)
	}
	prefix := trial.text(t, "api_key")[:len("wave_trial_")+8]
	m.call("DELETE", "/api/v1/onboarding/temp-key/"+prefix, "").want(t, 200, "")
}
