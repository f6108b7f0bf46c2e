package oauthtest

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

// A pageDevice is a device that waits.
type pageDevice struct {
	*pageApp
	asked *oauth2.DeviceAuthResponse
}

// device has a device ask for its codes.
func (a *pageApp) device(t *testing.T) *pageDevice {
	t.Helper()
	asked, err := a.config.DeviceAuth(t.Context())
	must(t, err)
	return &pageDevice{a, asked}
}

// poll asks once for the tokens. The error is OAuth's, "" for none.
func (d *pageDevice) poll(t *testing.T) (tokens map[string]any, problem string) {
	t.Helper()
	tokens = map[string]any{}
	form := url.Values{"grant_type": {deviceGrant}, "device_code": {d.asked.DeviceCode}, "client_id": {d.config.ClientID}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.config.Endpoint.TokenURL, strings.NewReader(form.Encode()))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	fetch(t, req, &tokens)
	problem, _ = tokens["error"].(string)
	return tokens, problem
}

// wrong is a code that the device does not show.
func (d *pageDevice) wrong() string {
	if strings.HasPrefix(d.asked.UserCode, "BBBB") {
		return "CCCC-CCCC"
	}
	return "BBBB-BBBB"
}

func deviceLetIn(t *testing.T, s *pageStage) {
	a := s.deviceApp(t, "Starplot for TV", "openid", "profile", "streams:read", "offline_access")
	d := a.device(t)
	tab := s.newcomer(t).open(d.asked.VerificationURI)
	tab.signIn("ada")
	tab.wantPage("Connect a device")
	tab.WaitFor(t, `document.activeElement.id === "user-code"`)
	tab.Press(t, d.wrong()+"\r")
	tab.WaitFor(t, `document.querySelector("#code-error") !== null`)
	tab.wantPage("Connect a device")
	tab.wantText("There is no such code")
	if !tab.has(`#user-code[aria-invalid=true][aria-describedby~=code-error]`) {
		t.Error("the error is not the field's")
	}
	if value := tab.field("#user-code"); value != d.wrong() {
		t.Errorf("the field has %q, want what was typed", value)
	}
	tab.WaitFor(t, `document.activeElement.id === "user-code"`)
	tab.clear("#user-code")
	code := strings.ToLower(strings.ReplaceAll(d.asked.UserCode, "-", " "))
	tab.Press(t, code+"\r")
	tab.wantConsent(a)
	tab.wantText("Does your device show this code? "+d.asked.UserCode, "The device asked from 127.0.0.1", "Your account ada", "Did you start this yourself?")
	if tab.has("[name=remember]") {
		t.Error("the page offers to remember a device")
	}
	tab.tap(allow)
	tab.wantPage("Your device is connected")
	tokens, problem := d.poll(t)
	if access, _ := tokens["access_token"].(string); problem != "" || s.about(t, access) != "ada" || !s.opens(t, access) {
		t.Errorf("the device got %v", tokens)
	}
	if _, problem := d.poll(t); problem != "invalid_grant" {
		t.Errorf("the device got an answer twice: %q", problem)
	}
}

func deviceLink(t *testing.T, s *pageStage) {
	a := s.deviceApp(t, "Linked TV", "openid", "profile")
	d := a.device(t)
	tab := s.newcomer(t).open(d.asked.VerificationURIComplete)
	tab.signIn("boris")
	tab.wantPage("Connect a device")
	tab.wantText("Go on only if your device shows this very code")
	if value := tab.field("#user-code"); value != d.asked.UserCode {
		t.Errorf("the field has %q, want %s", value, d.asked.UserCode)
	}
	tab.tap(`form.form button[type=submit]`)
	tab.wantConsent(a)
	tab.wantText(d.asked.UserCode, "Your account boris")
	tab.tap(deny)
	tab.wantPage("Your device was not let in")
	if tokens, problem := d.poll(t); problem != "access_denied" {
		t.Errorf("the device got %v", tokens)
	}
}

func deviceAfterLogout(t *testing.T, s *pageStage) {
	a := s.deviceApp(t, "TV left open", "openid", "profile")
	d := a.device(t)
	u := s.newcomer(t)
	tab := u.open(d.asked.VerificationURIComplete)
	tab.signIn("ada")
	tab.wantPage("Connect a device")
	tab.tap(`form.form button[type=submit]`)
	tab.wantConsent(a)
	u.open(s.url + "/_portal/profile").signOut()
	tab.tap(allow)
	tab.wantPage("You were signed out meanwhile")
	tab.wantText("Nothing was given to TV left open")
	tab.tap(`main a.button:not(.quiet)`)
	tab.signIn("ada")
	tab.wantPage("Connect a device")
	if _, problem := d.poll(t); problem != "authorization_pending" {
		t.Errorf("the device hears %q, want authorization_pending", problem)
	}
}
