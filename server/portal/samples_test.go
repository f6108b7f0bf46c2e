package portal

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"testing"
)

// A sample is one page of signing in, as people meet it.
type sample struct {
	csp    func(p *Pages) string // nil is CSP
	render func(p *Pages, w io.Writer) error
}

// html renders a sample.
func (s sample) html(t *testing.T, p *Pages) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.render(p, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func loginSample(v LoginPage) sample {
	return sample{render: func(p *Pages, w io.Writer) error { return p.Login(w, v) }}
}

var (
	google = ProviderButton{Name: "google", Label: "Google", URL: "/_auth/init?provider=google&next=%2Freports"}
	entra  = ProviderButton{Name: "entra", Label: "Microsoft Entra ID", URL: "/_auth/init?provider=entra&next=%2Freports"}
	form   = LoginForm{Action: "/_auth/login", Next: "/reports?year=2026"}
)

// samples returns the pages of signing in by name.
func samples() map[string]sample {
	again := form
	again.Username, again.Error = "ada", "The name or the password is wrong."
	forms := func(p *Pages) string { return p.CSPWithForms("https://id.example.com") }
	return map[string]sample{
		"login":            loginSample(LoginPage{Providers: []ProviderButton{google, entra}, Form: &form, Next: "/reports", Where: "/reports"}),
		"login-provider":   loginSample(LoginPage{Providers: []ProviderButton{google}, Where: "/reports", Message: "Your session has ended."}),
		"login-form":       loginSample(LoginPage{Form: &form}),
		"login-wrong":      loginSample(LoginPage{Form: &again, Where: "/reports"}),
		"login-switch":     loginSample(LoginPage{Providers: []ProviderButton{google, entra}, Next: "/reports", Where: "/reports", SwitchFrom: "ada@example.com"}),
		"login-impossible": loginSample(LoginPage{}),
		"signed-out": {render: func(p *Pages, w io.Writer) error {
			return p.SignedOut(w, SignedOutPage{LoginURL: "/_auth/login", ProviderNote: "You may still be signed in at Google."})
		}},
		"logout": {csp: forms, render: func(p *Pages, w io.Writer) error {
			return p.Logout(w, LogoutPage{Account: "ada@example.com", Action: "/_auth/logout", Next: "/reports"})
		}},
		"no-access": {csp: forms, render: func(p *Pages, w io.Writer) error {
			return p.NoAccess(w, NoAccessPage{
				Account: "ada@example.com", Provider: "Google", Need: []string{"role account_admin", "group finance"},
				SwitchURL: "/_auth/login?next=%2Freports&switch=1", SignOutURL: "/_auth/logout", RequestID: "4TQ2XJZK7M3VPRB5N6HWYC8DSA",
			})
		}},
		"sign-in-error": {render: func(p *Pages, w io.Writer) error {
			return p.SignInError(w, SignInErrorPage{
				Title: "The sign-in service isn’t answering", Message: "It cannot be reached right now. Whoever is signed in already can go on.",
				Advice:   []string{"Try again in a minute.", "If it stays like this, tell whoever runs this service, with the request ID."},
				RetryURL: "/_auth/login?next=%2Freports", RequestID: "4TQ2XJZK7M3VPRB5N6HWYC8DSA", Provider: "Google",
			})
		}},
		"error-401-sign-in": {render: func(p *Pages, w io.Writer) error {
			return p.Error(w, ErrorPage{Status: 401, Code: "credential_required", RequestID: "4TQ2XJZK7M3VPRB5N6HWYC8DSA", SignInURL: "/_auth/login?next=%2Freports"})
		}},
		"error-403-sign-in": {render: func(p *Pages, w io.Writer) error {
			return p.Error(w, ErrorPage{Status: 403, Code: "insufficient_role", RequestID: "4TQ2XJZK7M3VPRB5N6HWYC8DSA", SignInURL: "/_auth/login?switch=1"})
		}},
	}
}

func sampleNames() []string { return slices.Sorted(maps.Keys(samples())) }

// svgLogo is a logo as drawing programs write it.
const svgLogo = `<?xml version="1.0" encoding="UTF-8"?>
<!-- drawn by hand -->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" width="40" height="40">
<circle cx="20" cy="20" r="19" fill="#7a1fa2"/><path d="M20 8l9 22H11z" fill="#fff"/>
</svg>`
