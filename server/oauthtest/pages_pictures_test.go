package oauthtest

import (
	"os"
	"strings"
	"testing"

	"wavegate/server/portal/browsertest"
)

// pagePictures shows the pages as people get them: with hostile names, on a small
// phone, in the dark.
func pagePictures(t *testing.T, s *pageStage) {
	hostile := "Wavegate Security Center — your account is at risk, press Allow to keep it " + strings.Repeat("WAVE", 10)
	long, device := s.webApp(t, hostile, append([]string{"*"}, everything...)...), s.deviceApp(t, "Living room", "openid", "streams:read")
	plain := s.webApp(t, "Starplot", everything...)
	d := device.device(t)
	looks := []browsertest.Look{{Name: "small-dark", Width: 360, Height: 740, Phone: true, Dark: true}}
	if os.Getenv("WAVEGATE_SCREENSHOTS") != "" { // the others are for people to look at
		looks = append(looks, browsertest.Looks()[0], browsertest.Look{Name: "small", Width: 360, Height: 740, Phone: true})
	}
	for _, look := range looks {
		u := s.newcomer(t)
		u.look = look
		tab := u.open(plain.begin().address)
		tab.wantPage("Sign in")
		tab.Screenshot(t, "oauth-login")
		tab.form("ada")
		tab.wantConsent(plain)
		tab.Screenshot(t, "oauth-consent")
		tab.Navigate(t, long.begin().address)
		tab.WaitFor(t, `document.readyState === "complete" && document.querySelector("form.decide") !== null`)
		tab.Check(t)
		tab.Screenshot(t, "oauth-consent-hostile")
		tab.Navigate(t, d.asked.VerificationURIComplete)
		tab.wantPage("Connect a device")
		tab.Screenshot(t, "oauth-device")
		tab.tap(`form.form button[type=submit]`)
		tab.wantConsent(device)
		tab.Screenshot(t, "oauth-consent-device")
	}
}
