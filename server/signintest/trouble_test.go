package signintest

import (
	"os"
	"testing"

	"wavegate/oidc/oidctest"
	"wavegate/server/portal/browsertest"
)

func cancelled(t *testing.T, s *stage) {
	tb := s.newcomer(t).open(deep)
	tb.wantPage("Sign in")
	tb.tap(`a[href*="provider=main"]`)
	tb.WaitFor(t, `document.title === "Sign in at the test provider"`)
	tb.tap("#cancel")
	tb.wantPage("You weren’t signed in")
	if name, _ := tb.cookie(); name != "" {
		t.Error("there is a session")
	}
	tb.tap(`main a[href*="/_auth/login"]`)
	tb.single("ada")
	tb.wantApp("ada", deep)
}

// atPartners goes from the login page through the provider that can go wrong.
func (tb *tab) atPartners(name string) {
	tb.who.t.Helper()
	tb.wantPage("Sign in")
	tb.tap(`a[href*="provider=partners"]`)
	tb.WaitFor(tb.who.t, `document.querySelector("form [name=username]") !== null && location.origin !== `+quote(tb.who.gate))
	tb.tap("[name=username]")
	tb.Press(tb.who.t, name+"\r")
}

// providerDown takes one of two providers away. Whoever came from it goes on,
// others sign in elsewhere, and when it is back it serves again.
func providerDown(t *testing.T, s *stage) {
	in := s.newcomer(t).open("/one")
	in.atPartners("boris")
	in.wantApp("boris", "/one")

	s.partners.Break("/token", oidctest.Cut) // it goes down while somebody types
	defer s.partners.Mend("/token")
	late := s.newcomer(t).open(deep)
	late.atPartners("ada")
	late.wantPage("The sign-in service isn’t answering")
	in.Navigate(t, s.gate+"/two")
	in.wantApp("boris", "/two")
	late.tap(`main a[href*="/_auth/login"]`)
	late.single("ada")
	late.wantApp("ada", deep)

	s.partners.Mend("/token")
	later := s.newcomer(t).open("/three")
	later.atPartners("ada")
	later.wantApp("ada", "/three")
}

// providerNeverSeen has a provider that did not answer even once: the other gate
// knows nothing of it yet.
func providerNeverSeen(t *testing.T, s *stage) {
	s.partners.Break("*", oidctest.Cut)
	defer s.partners.Mend("*")
	p := s.newcomer(t)
	p.gate = s.hasty
	tb := p.open(deep)
	tb.wantPage("Sign in")
	tb.tap(`a[href*="provider=partners"]`)
	tb.wantPage("The sign-in service isn’t answering")
	tb.tap(`main a[href*="/_auth/login"]`)
	tb.single("ada")
	tb.wantApp("ada", deep)
}

func noAccess(t *testing.T, s *stage) {
	p := s.newcomer(t)
	tb := p.open("/budget?year=2026")
	tb.single("ada")
	tb.wantPage("This account has no access")
	if !browsertest.Eval[bool](t, tb.Page, `document.querySelector("main").textContent.includes("ada@acme.example")`) {
		t.Error("the page does not say which account it is about")
	}
	if n := s.app.pages("/budget"); n > 0 {
		t.Errorf("the app was asked %d times", n)
	}
	tb.tap(`main a[href*="switch=1"]`)
	tb.wantPage("Use another account")
	tb.tap(`a[href*="provider=main"]`)
	tb.atProvider("boris")
	tb.wantApp("boris", "/budget?year=2026")
}

// pictures shows every page of signing in as people meet it, and keeps a picture
// of each in every look. Without the wish for pictures a small dark one will do:
// the flows have looked at the large and bright one.
func pictures(t *testing.T, s *stage) {
	looks := browsertest.Looks()
	if os.Getenv("WAVEGATE_SCREENSHOTS") == "" {
		looks = looks[3:]
	}
	for _, look := range looks {
		t.Run(look.Name, func(t *testing.T) { s.album(t, look) })
	}
}

func (s *stage) album(t *testing.T, look browsertest.Look) {
	p := s.newcomer(t)
	p.look = look
	tb := p.open("/reports/q3?year=2026")
	tb.wantPage("Sign in")
	tb.Screenshot(t, "login")

	s.partners.Break("/token", oidctest.Cut)
	defer s.partners.Mend("/token")
	tb.atPartners("ada")
	tb.wantPage("The sign-in service isn’t answering")
	tb.Screenshot(t, "sign-in-error")
	tb.tap(`main a[href*="/_auth/login"]`)
	tb.single("ada")
	tb.wantApp("ada", "/reports/q3?year=2026")

	tb.Navigate(t, p.gate+"/budget")
	tb.wantPage("This account has no access")
	tb.Screenshot(t, "no-access")
	tb.tap(`form[action="/_auth/logout"] button`)
	tb.leave()
	tb.Screenshot(t, "signed-out")
}
