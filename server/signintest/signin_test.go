package signintest

import (
	"strings"
	"testing"

	"wavegate/server/portal/browsertest"
)

// TestSignIn runs all flows on one stage: one browser, one provider.
func TestSignIn(t *testing.T) {
	s := newStage(t)
	for _, flow := range []struct {
		name string
		run  func(*testing.T, *stage)
	}{
		{"a login leads back to the deep link", deepLink},
		{"two tabs begin and both arrive", twoTabs},
		{"a restored tab finds its way", restoredTab},
		{"a tab left at the provider is told so", leftTab},
		{"back after the login leads to the app", backAfterLogin},
		{"the form needs no mouse", keyboardAlone},
		{"signing in needs no scripts", withoutScripts},
		{"another account takes the place of the first", switchAccounts},

		{"after the logout nothing of the app is shown", logoutThenBack},
		{"a logout ends the sockets of all tabs", logoutEndsSockets},
		{"a link on another site signs nobody out", foreignLogout},
		{"a session that ends under a page", sessionEnds},
		{"the portal ends another browser's session", endOtherBrowser},
		{"a new password ends the other sessions", newPassword},

		{"who cancels at the provider is told so", cancelled},
		{"a provider that is down stops nobody else", providerDown},
		{"a provider that never answered stops nobody else", providerNeverSeen},
		{"an account without the role is told so", noAccess},

		{"pictures", pictures},
	} {
		t.Run(flow.name, func(t *testing.T) { flow.run(t, s) })
	}
}

// deep has a query that must come back as it was, letter by letter.
const deep = "/reports/q3?a=b&c=d%20e&f=%2Fg"

func deepLink(t *testing.T, s *stage) {
	tb := s.newcomer(t).open(deep)
	tb.single("ada")
	tb.wantApp("ada", deep)
	if got := tb.ask(); !strings.HasPrefix(got, "200 application/json") || !strings.Contains(got, `{"for":"ada"}`) {
		t.Errorf("a script of the app got %q", got)
	}
	again := tb.who.open("/other")
	again.wantApp("ada", "/other") // no login for the next tab
}

func twoTabs(t *testing.T, s *stage) {
	p := s.newcomer(t)
	one, two := p.open("/one?x=1"), p.open("/two?x=2")
	for _, tb := range []*tab{one, two} {
		tb.wantPage("Sign in")
		tb.tap(`a[href*="provider=main"]`)
	}
	two.atProvider("ada")
	two.wantApp("ada", "/two?x=2")
	one.atProvider("ada")
	one.wantApp("ada", "/one?x=1")
	two.Navigate(t, p.gate+"/two?x=3")
	two.wantApp("ada", "/two?x=3")
}

// restoredTab opens the callback's address again, as a browser does that
// restores its tabs.
func restoredTab(t *testing.T, s *stage) {
	p := s.newcomer(t)
	tb := p.open("/one?x=1")
	tb.single("ada")
	tb.wantApp("ada", "/one?x=1")
	callback := tb.requested("/_auth/callback?")

	restored := p.open(strings.TrimPrefix(callback, p.gate))
	restored.wantApp("ada", "/one?x=1")

	name, _ := tb.cookie()
	tb.DropCookie(t, p.gate, name)
	restored = p.open(strings.TrimPrefix(callback, p.gate)) // the provider remembers ada
	restored.wantApp("ada", "/one?x=1")

	stranger := s.newcomer(t).open(strings.TrimPrefix(callback, p.gate))
	stranger.wantPage("This sign-in has ended")
	stranger.tap(`main a[href*="/_auth/login"]`)
	stranger.wantPage("Sign in")
}

// leftTab takes the cookie of the attempt away while the tab is at the provider,
// as the browser does after ten minutes.
func leftTab(t *testing.T, s *stage) {
	p := s.newcomer(t)
	tb := p.open("/one?x=1")
	tb.wantPage("Sign in")
	tb.tap(`a[href*="provider=main"]`)
	tb.WaitFor(t, `document.title === "Sign in at the test provider"`)
	attempts := tb.attempts()
	if len(attempts) != 1 {
		t.Fatalf("attempts: %q, want one", attempts)
	}
	tb.DropCookie(t, p.gate, attempts[0])
	tb.atProvider("ada")
	tb.wantPage("This sign-in has ended")
	if name, _ := tb.cookie(); name != "" {
		t.Error("a session without an attempt")
	}
	tb.tap(`main a[href*="/_auth/login"]`)
	tb.wantPage("Sign in")
	tb.tap(`a[href*="provider=main"]`)
	tb.wantApp("ada", "/")
}

func backAfterLogin(t *testing.T, s *stage) {
	tb := s.newcomer(t).open("/one?x=1")
	tb.form("carla", passwordOf("carla"))
	tb.wantApp("carla", "/one?x=1")
	tb.back(1)
	tb.wantApp("carla", "/one?x=1")

	tb = s.newcomer(t).open("/one?x=1")
	tb.single("ada")
	tb.wantApp("ada", "/one?x=1")
	tb.back(2) // over the provider's form, to the login page
	tb.wantApp("ada", "/one?x=1")
}

func keyboardAlone(t *testing.T, s *stage) {
	tb := s.newcomer(t).open("/one?x=1")
	tb.wantPage("Sign in")
	reach := func(what string) {
		t.Helper()
		for range 10 {
			tb.Press(t, "\t")
			if browsertest.Eval[bool](t, tb.Page, `document.activeElement.matches(`+quote(what)+`)`) {
				return
			}
		}
		t.Fatalf("Tab does not lead to %s", what)
	}
	reach("#username")
	tb.Press(t, "carla")
	reach("#password")
	tb.Press(t, "wrong\r")
	tb.WaitFor(t, `document.querySelector("[role=alert]")?.textContent === "The name or the password is wrong."`)
	tb.CheckAccessible(t)
	if !browsertest.Eval[bool](t, tb.Page, `document.activeElement.id === "password" && document.getElementById("username").value === "carla"`) {
		t.Error("what was right has to be typed again")
	}
	tb.Press(t, passwordOf("carla")+"\r")
	tb.wantApp("carla", "/one?x=1")
}

func withoutScripts(t *testing.T, s *stage) {
	p := s.newcomer(t)
	p.look.NoScript, p.look.Name = true, "no-scripts"
	tb := p.open("/one?x=1")
	tb.form("carla", passwordOf("carla"))
	tb.wantApp("carla", "/one?x=1")
	tb.Navigate(t, p.gate+"/_portal/profile")
	tb.signOut()
	tb.wantPage("You’re signed out")
	tb.tap(`a[href="/_auth/login"]`)
	tb.single("ada")
	tb.wantApp("ada", "/")
}

func switchAccounts(t *testing.T, s *stage) {
	p := s.newcomer(t)
	tb := p.open("/one")
	tb.single("ada")
	tb.wantApp("ada", "/one")
	watch := p.open("/watch")
	watch.WaitFor(t, `document.getElementById("socket")?.textContent === "open for ada"`)
	_, before := tb.cookie()

	tb.Navigate(t, p.gate+"/_auth/login?switch=1&next=%2Ftwo")
	tb.wantPage("Use another account")
	tb.tap(`a[href*="provider=main"]`)
	tb.atProvider("boris") // asked anew, though ada is signed in there
	tb.wantApp("boris", "/two")
	if _, after := tb.cookie(); after == before || after == "" {
		t.Error("the new account has the old session")
	}
	watch.WaitFor(t, `document.getElementById("socket").textContent === "closed"`) // it was ada's
	watch.Navigate(t, p.gate+"/watch")
	watch.WaitFor(t, `document.getElementById("socket")?.textContent === "open for boris"`)
}
