package portal

import (
	"io"
	"maps"
	"testing"
	"time"
)

// houseLogo is the logo of the house in the pictures of the documentation.
const houseLogo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" width="40" height="40">
<circle cx="20" cy="20" r="18" fill="#0a7d55"/><path d="M7 25a14 14 0 0 1 26 0z" fill="#fff"/><circle cx="26" cy="12" r="3" fill="#ffd34d"/></svg>`

// house returns the pages of the house in the pictures of the documentation.
func house(t *testing.T) *Pages {
	t.Helper()
	p, err := New("/", Branding{Name: "Acme Observatory", Logo: []byte(houseLogo), Accent: "#0a7d55"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func consentOf(v ConsentPage) sample {
	return sample{
		csp:    func(p *Pages) string { return p.CSPWithForms("https://plots.example.com") },
		render: func(p *Pages, w io.Writer) error { return p.Consent(w, v) },
	}
}

func deviceOf(v DevicePage) sample {
	return sample{render: func(p *Pages, w io.Writer) error { return p.Device(w, v) }}
}

func deviceDoneOf(v DeviceDonePage) sample {
	return sample{render: func(p *Pages, w io.Writer) error { return p.DeviceDone(w, v) }}
}

func appErrorOf(v AppErrorPage) sample {
	return sample{render: func(p *Pages, w io.Writer) error { return p.AppError(w, v) }}
}

func lapsedOf(v LapsedPage) sample {
	return sample{render: func(p *Pages, w io.Writer) error { return p.Lapsed(w, v) }}
}

func consentPage() ConsentPage {
	return ConsentPage{
		App: "Starplot", AppURI: "https://starplot.example", Goes: "plots.example.com",
		Account: "ada@acme.example", SwitchURL: "/_auth/login?switch=1&next=%2Foauth%2Fauthorize",
		Scopes: []ConsentScope{
			{Name: "openid"},
			{Name: "streams:read", Description: "View stream configurations and status", Risk: "low"},
			{Name: "streams:write", Description: "Change stream configurations, start and stop streams", Risk: "medium"},
			{Name: "recordings:delete", Description: "Delete recordings for good", Risk: "high"},
			{Name: "offline_access"},
		},
		Action: "/oauth/consent", Request: "sealed", Remember: true, Registered: time.Date(2026, 2, 3, 9, 0, 0, 0, time.UTC),
	}
}

func devicePage() ConsentPage {
	v := consentPage()
	v.App, v.AppURI, v.Goes, v.Registered, v.Scopes = "Starplot for TV", "", "", time.Time{}, v.Scopes[:2]
	v.Device = &ConsentDevice{Code: "WDJB-MJHT", From: "203.0.113.7", Since: time.Date(2026, 3, 9, 8, 12, 40, 0, time.UTC)}
	return v
}

// appSamples returns the pages about apps by name.
func appSamples() map[string]sample {
	local := consentPage()
	local.App, local.AppURI, local.Goes, local.Local = "Dome command line", "", "127.0.0.1", true
	local.Resources, local.Remember = []string{"https://gate.acme.example/dome", "https://archive.acme.example"}, false
	return map[string]sample{
		"consent":        consentOf(consentPage()),
		"consent-local":  consentOf(local),
		"consent-device": consentOf(devicePage()),
		"device":         deviceOf(DevicePage{Action: "/oauth/device", Account: "ada@acme.example"}),
		"device-linked":  deviceOf(DevicePage{Action: "/oauth/device", Account: "ada@acme.example", Code: "WDJB-MJHT"}),
		"device-wrong":   deviceOf(DevicePage{Action: "/oauth/device", Account: "ada@acme.example", Code: "wdjbmjhx", Error: "No device waits with this code. Compare it letter by letter; codes last ten minutes."}),
		"device-done":    deviceDoneOf(DeviceDonePage{App: "Starplot for TV", Allowed: true}),
		"device-denied":  deviceDoneOf(DeviceDonePage{App: "Starplot for TV"}),
		"app-error": appErrorOf(AppErrorPage{
			Message: "The app wants to be answered at an address that it has not registered.", Code: "invalid_request", App: "Starplot", RequestID: "4TQ2XJZK7M3VPRB5N6HWYC8DSA",
		}),
		"app-error-unknown": appErrorOf(AppErrorPage{Message: "No app with this client_id is known here.", Code: "invalid_client", RequestID: "4TQ2XJZK7M3VPRB5N6HWYC8DSA"}),
		"app-error-over":    appErrorOf(AppErrorPage{Message: "The page was open for too long, or belongs to another sign-in.", Code: "invalid_request", Over: true, RequestID: "4TQ2XJZK7M3VPRB5N6HWYC8DSA"}),
		"lapsed": lapsedOf(LapsedPage{
			Title: "You were signed out meanwhile", Message: "Sign in, and you are asked again.", App: "Starplot", AgainURL: "/oauth/authorize?client_id=x", Again: "Ask me again",
		}),
		"lapsed-unknown": lapsedOf(LapsedPage{Title: "This page can’t be answered any more", Message: "Go back to the app and begin again."}),
	}
}

// allSamples returns every page but those of errors by name.
func allSamples() map[string]sample {
	all := samples()
	maps.Copy(all, appSamples())
	return all
}
