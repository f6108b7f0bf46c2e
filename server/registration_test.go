package server

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"wavegate/keychain"
)

func TestAppsRegisterAndLeave(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		fmt.Fprintf(w, "%s as %s:%s for %s", r.URL.Path, id, secret, r.Header.Get("Wave-Subject-ID"))
	}))
	defer app.Close()
	cfg := testConfig(t)
	cfg.MetricsListen = "127.0.0.1:0"
	cfg.Keychain = keychain.Config{Required: true, Path: writeFile(t, filepath.Join(t.TempDir(), "kc"), keychainLine(t, "id", "secret")+keychainLine(t, "mallory", "m"))}
	ts := startServer(t, cfg)
	post := func(id, secret, body string) answer {
		return ts.do("POST", "/", body, "Authorization", basic(id, secret), "Content-Type", "application/json")
	}
	register := fmt.Sprintf(`{"register_app":{"mode":"unicast","route":"/demo","address":%q,"key_id":"app","key_secret":"app-secret"}}`, app.URL)
	ts.get("/demo/x").want(t, 404, "not_found")
	post("id", "wrong", register).want(t, 401, "invalid_access_key")
	post("id", "secret", register).want(t, 200, "")
	if got := ts.get("/demo/x/y").body; got != "/x/y as app:app-secret for id" {
		t.Errorf("the app answered %q", got)
	}
	ts.do("GET", "/demo/x", "").want(t, 401, "credential_required")
	for _, body := range []string{register, `{"unregister_app":{"route":"/demo"}}`} {
		if a := post("mallory", "m", body); a.StatusCode != 403 && a.StatusCode != 404 {
			t.Errorf("another key took or removed the route: %d %s", a.StatusCode, a.body)
		}
	}
	ts.get("/demo/x").want(t, 200, "")
	post("id", "secret", `{"unregister_app":{"route":"/demo"}}`).want(t, 200, "")
	ts.get("/demo/x").want(t, 404, "not_found")
	res, err := http.Get("http://" + ts.MetricsAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	series, _ := io.ReadAll(res.Body)
	if strings.Contains(string(series), `route="/demo"`) || !strings.Contains(string(series), `route="app"`) {
		t.Error("the apps' routes are labels of metrics: apps make as many as they like")
	}
	if strings.Contains(ts.log.String(), "app-secret") {
		t.Error("the app's secret is in the log")
	}
}

func TestPostToTheBaseURLReachesTheAppBehind(t *testing.T) {
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) {
		var b strings.Builder
		fmt.Fprint(&b, r.Method, " ")
		buf := make([]byte, 100)
		n, _ := r.Body.Read(buf)
		fmt.Fprintf(w, "%s%s", &b, buf[:n])
	})
	a := ts.do("POST", "/", `{"hello":1}`, "Authorization", basic("id", "secret"), "Content-Type", "application/json").want(t, 200, "")
	if a.body != `POST {"hello":1}` {
		t.Errorf("the app saw %q", a.body)
	}
}

// TestCanary sends one secret through everything that takes input and looks for
// it in everything that comes out.
func TestCanary(t *testing.T) {
	const canary = "canary-0123456789"
	ts := guarded(t, func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			for _, v := range r.Header[name] {
				if strings.Contains(v, canary) {
					t.Errorf("the app saw it in %s", name)
				}
			}
		}
	})
	inputs := [][]string{
		{"Authorization", basic("id", canary)},
		{"Authorization", basic(canary, "x")},
		{"Authorization", "Bearer " + canary},
		{"Authorization", canary},
		{"Authorization", "Digest " + canary},
		{"X-API-Key", canary},
		{"Wave-Access-Token", canary, "Authorization", basic("id", "secret")},
	}
	for _, headers := range inputs {
		for _, path := range []string{"/", "/_auth/verify", "/_auth/forward", "/_health/ready", "/oauth/jwks", "/?token=" + canary} {
			for _, accept := range []string{"text/html", "*/*"} {
				a := ts.do("GET", path, "", append(headers, "Accept", accept)...)
				if strings.Contains(a.body+fmt.Sprint(a.Header), canary) {
					t.Errorf("%s %s: the answer shows it", path, headers)
				}
			}
		}
	}
	ts.do("POST", "/", `{"register_app":{"key_secret":"`+canary+`"}}`, "Content-Type", "application/json", "Authorization", basic("id", "secret"))
	if strings.Contains(ts.log.String(), canary) {
		t.Errorf("the log shows it:\n%s", ts.log)
	}
}
