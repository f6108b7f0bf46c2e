package manage

import (
	"net/http"
	"testing"

	"wavegate/server/fault"
)

const oneKeyJSON = `{"api_key": {"id": "key_1", "name": "build server", "prefix": "wave_live_abc", "status": "active", "scopes": ["a:read"], "version": 3}}`

func TestAPageIsMadeOfWhatTheAPISays(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/keys/key_1": oneKeyJSON})
	page := d.get("keys/key_1").want(http.StatusOK, "build server", "curl &#39;https://gate.example.com/gate/v1/auth/keys/key_1&#39;")
	if got := page.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
}

func TestAFormThatIsSentTwiceIsDoneOnce(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/keys/key_1": oneKeyJSON, "DELETE /v1/auth/keys/key_1": ""})
	form := d.get("keys/key_1/revoke").form("keys/key_1/revoke")
	form.Set("confirm", "build server")
	d.post("keys/key_1/revoke", form).leads("keys/key_1?done=key-revoked")
	d.post("keys/key_1/revoke", form).want(http.StatusOK, "sent twice")
	if got := d.made("DELETE"); len(got) != 1 {
		t.Errorf("%d calls, want one: %v", len(got), got)
	}
}

func TestTheRefusalOfTheAPIIsAPageOfThePortal(t *testing.T) {
	d := newDesk(t, map[string]any{
		"GET /v1/auth/keys": &fault.Error{Status: 403, Code: "insufficient_permission", Message: "Not for this credential.", Need: []string{"permission keys:read"}},
	})
	d.get("keys").want(http.StatusForbidden, "An administrator can give you a role that does.", "permission keys:read", "Overview")
	d.get("keys/key_2").want(http.StatusNotFound, "There is nothing here")
	d.get("nothing-of-the-kind").want(http.StatusNotFound)
}

// A session that ends while a page is made leads to the login page, and back to
// the very page.
func TestASessionThatEndsMeanwhileLeadsBackToThePage(t *testing.T) {
	ended := fault.New(http.StatusUnauthorized, "credential_required", "Sign in.")
	d := newDesk(t, map[string]any{"GET /v1/auth/keys": ended, "GET /v1/auth/keys/key_1": oneKeyJSON, "DELETE /v1/auth/keys/key_1": ended})
	page := d.get("keys?q=a+b&status=active")
	if got, want := page.Header.Get("Location"), "/gate/_auth/login?next=%2Fgate%2F_portal%2Fkeys%3Fq%3Da%2Bb%26status%3Dactive"; page.Status != 303 || got != want {
		t.Errorf("%d to %s, want 303 to %s", page.Status, got, want)
	}
	form := d.get("keys/key_1/revoke").form("keys/key_1/revoke")
	form.Set("confirm", "build server")
	page = d.post("keys/key_1/revoke", form)
	if got, want := page.Header.Get("Location"), "/gate/_auth/login?next=%2Fgate%2F_portal%2Fresume"; page.Status != 303 || got != want {
		t.Errorf("%d to %s, want 303 to %s", page.Status, got, want)
	}
	delete(d.api.answers, "DELETE /v1/auth/keys/key_1")
	d.get("resume").want(http.StatusOK, `value="build server"`, "Everything that you typed")
	if got := d.made("DELETE"); len(got) != 1 {
		t.Errorf("the calls were %v, want the one that was refused", got)
	}
}

func TestPathsThatAreNotWrittenPlainlyLeadNowhere(t *testing.T) {
	d := newDesk(t, map[string]any{"GET /v1/auth/keys": `{"api_keys": []}`})
	for _, path := range []string{"keys/", "/keys", "./keys", "keys/.", "x/../keys", "keys//", "resume/"} {
		if page := d.get(path).want(http.StatusNotFound); page.Header.Get("Location") != "" {
			t.Errorf("%s leads to %s", path, page.Header.Get("Location"))
		}
	}
}
