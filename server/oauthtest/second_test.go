package oauthtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWavegateIsTheProviderOfAnother has people sign in at one wavegate for the apps
// behind another, which knows it as any other OpenID provider.
func TestWavegateIsTheProviderOfAnother(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<title>App</title><p>For %s at %s</p>", r.Header.Get("Wave-Username"), r.RequestURI)
	}))
	t.Cleanup(app.Close)
	first := startGate(t, "127.0.0.1", nil)
	second := startGate(t, "localhost", func(origin string) []string {
		client := first.newClient(t, map[string]any{
			"name": "The other one", "type": "confidential", "scopes": []string{"openid", "profile", "email", "offline_access"}, "grant_types": grantsOfWeb,
			"redirect_uris": []string{origin + "/_auth/callback"}, "post_logout_redirect_uris": []string{origin + "/_auth/signed-out"},
		})
		return []string{
			"-oidc-provider-url", first.url, "-oidc-client-id", client.id, "-oidc-client-secret", client.secret,
			"-oidc-redirect-url", origin + "/_auth/callback", "-oidc-post-logout-redirect-url", "/_auth/signed-out",
			"-oidc-scopes", "openid,profile,email,offline_access", "--upstream", "/app=" + app.URL,
		}
	})
	ada := newPerson(t, "ada", first.adaPassword)
	const inside = "<p>For ada at /app/report?x=1</p>"
	if page := ada.mustBrowse(t, second.url+"/_auth/init?next=%2Fapp%2Freport%3Fx%3D1"); !strings.Contains(page, inside) {
		t.Fatalf("the sign-in ended at\n%s\nafter %q", page, ada.seen)
	}
	if page := ada.mustBrowse(t, second.url+"/app/report?x=1"); !strings.Contains(page, inside) {
		t.Errorf("signed in, the app says\n%s", page)
	}
	ada.seen = nil
	ada.mustBrowse(t, second.url+"/_auth/logout")
	if len(ada.seen) == 0 || !strings.Contains(ada.seen[len(ada.seen)-1], "signed out") {
		t.Errorf("signing out shows %q", ada.seen)
	}
	ada.seen = nil
	if page := ada.mustBrowse(t, second.url+"/_auth/init?next=%2Fapp%2Freport%3Fx%3D1"); !strings.Contains(page, inside) || len(ada.seen) < 2 {
		t.Errorf("after signing out nobody is asked: %q\n%s", ada.seen, page)
	}
}

// mustBrowse is browse to a page, which it returns.
func (p *person) mustBrowse(t *testing.T, start string) (page string) {
	t.Helper()
	_, page, err := p.browse(t.Context(), start, "", "")
	must(t, err)
	return page
}
