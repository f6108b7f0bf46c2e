package portaltest

import (
	"net/http"
	"testing"

	"wavegate/server/portal/browsertest"
)

// TestPortalPictures takes the pictures of docs/screenshots that the README and
// docs/portal.md show: what a developer with several things to look after sees, and an
// administrator who asks why.
func TestPortalPictures(t *testing.T) {
	g := newGate(t)
	w := g.fill(t)
	key := w.keys["Video encoder"].ID
	as := g.as(t, "ada")
	eventually(t, "the last use of a key is known", func() bool {
		var answer struct {
			Key struct {
				Used string `json:"last_used_at"`
			} `json:"api_key"`
		}
		as.call(t, http.MethodGet, "/v1/auth/keys/"+key, nil, &answer)
		return answer.Key.Used != ""
	})

	ada := g.signedIn(t, "ada", "/_portal/")
	ada.see("Nightly export", "The key ends soon", "Your requests, last 24 hours")
	ada.page.WindowScreenshot(t, "portal-overview")
	ada.open("/_portal/keys")
	ada.see("Billing sync", "In grace")
	ada.page.WindowScreenshot(t, "portal-keys")
	ada.open("/_portal/keys/" + key)
	ada.see("Puts the cameras of the harbour on air", "DELETE /v1/streams/7")
	ada.page.Screenshot(t, "portal-key")
	ada.open("/_portal/usage?range=30d")
	ada.see("Refused, by reason", "How long they took")
	ada.page.WindowScreenshot(t, "portal-usage")
	ada.open("/_portal/apps/" + w.apps["Starplot"] + "/try")
	ada.see("Send the browser here")
	ada.page.WindowScreenshot(t, "portal-app-try")

	grace := g.signedIn(t, "grace", "/_portal/why")
	grace.fill("Request", "DELETE /v1/streams/7")
	grace.fill("As whom", key)
	grace.press("Ask")
	grace.see("Refused", "How it is decided", "streams:delete")
	grace.page.WindowScreenshot(t, "portal-why")

	ada.open("/_portal/")
	ada.page.Show(t, browsertest.Looks()[3])
	ada.page.CheckFits(t)
	ada.page.WindowScreenshot(t, "portal")
}
