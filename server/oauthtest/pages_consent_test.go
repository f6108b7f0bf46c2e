package oauthtest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"wavegate/server/portal/browsertest"
)

// TestPages has people in a real browser go through everything that the authorization
// server asks them, from the app's link to what comes of it.
func TestPages(t *testing.T) {
	t.Parallel()
	s := newPageStage(t)
	for _, flow := range []struct {
		name string
		run  func(*testing.T, *pageStage)
	}{
		{"an app's link leads to its question and back", consentFromALink},
		{"consent needs no scripts", consentWithoutScripts},
		{"consent needs no mouse", consentByKeyboard},
		{"what is remembered is not asked again", consentRemembered},
		{"an app that can be any other is never remembered", consentNeverRemembered},
		{"another account takes the same request over", consentOfAnotherAccount},
		{"two tabs are answered in the other order", consentInTwoTabs},
		{"two tabs sign in one after the other", consentAfterTwoLogins},
		{"a question outlives no session", consentAfterLogout},
		{"a question is for one browser", consentOfAnotherBrowser},

		{"a device is let in by its code", deviceLetIn},
		{"a device's link asks too", deviceLink},
		{"a device's question outlives no session", deviceAfterLogout},

		{"an app is disconnected", withdrawn},
		{"an app signs somebody out", logoutByApp},
		{"a link signs nobody out unasked", logoutAsked},
		{"a wrong redirect URI leads nowhere", wrongRedirect},

		{"pictures", pagePictures},
	} {
		t.Run(flow.name, func(t *testing.T) {
			t.Parallel()
			flow.run(t, s)
		})
	}
}

// everything are scopes of all kinds.
var everything = []string{"openid", "profile", "streams:read", "users:write", "streams:write", "offline_access"}

// asksOfAda is how the page puts everything to her: the greatest risk first.
var asksOfAda = []string{
	"Invite, change and remove members of the team | users:write | High risk",
	"Create, change, start, stop and delete streams | streams:write | Medium risk",
	"View stream configurations and status | streams:read | Low risk",
	"Sign you in with this account | openid",
	"See your user name and groups | profile",
	"Keep this access while you are away, until you withdraw it | offline_access",
}

func consentFromALink(t *testing.T, s *pageStage) {
	a := s.webApp(t, "Starplot", everything...)
	q := a.begin()
	tab := s.newcomer(t).open(q.link())
	tab.tap("#go")
	tab.wantPage("Sign in")
	tab.wantText("to continue to Starplot")
	tab.form("ada")
	tab.wantConsent(a)
	tab.wantText("Your account ada", "Takes you to "+strings.TrimPrefix(a.origin, "https://"), "Its home page starplot.example not verified")
	if diff := cmp.Diff(asksOfAda, tab.asked()); diff != "" {
		t.Errorf("what it wants (-want +got):\n%s", diff)
	}
	tab.tap(allow)
	if access, _ := tab.wantFor(q, "ada"); !s.opens(t, access) {
		t.Error("the token does not open the API")
	}

	q = a.begin()
	tab.Navigate(t, q.link())
	tab.tap("#go")
	tab.wantConsent(a) // it was not to be remembered
	tab.tap(deny)
	tab.wantRefused(q)
}

func consentWithoutScripts(t *testing.T, s *pageStage) {
	a := s.webApp(t, "Plain app", everything...)
	u := s.newcomer(t)
	u.look.NoScript, u.look.Name = true, "no-scripts"
	q := a.begin()
	tab := u.open(q.link())
	tab.tap("#go")
	tab.signIn("ada")
	tab.wantConsent(a)
	tab.tap(allow)
	tab.wantFor(q, "ada")
	q = a.begin()
	tab.Navigate(t, q.address)
	tab.wantConsent(a)
	tab.tap(deny)
	tab.wantRefused(q)
}

func consentByKeyboard(t *testing.T, s *pageStage) {
	a := s.webApp(t, "Keys alone", everything...)
	q := a.begin()
	tab := s.newcomer(t).open(q.address)
	tab.signIn("ada")
	tab.wantConsent(a)
	if !browsertest.Eval[bool](t, tab.Page, `document.activeElement === document.body`) {
		t.Error("something has the focus before anybody gave it")
	}
	tab.Press(t, "\r \r") // somebody who was still typing
	tab.wantConsent(a)
	stops := tab.TabStops(t)
	const remember = "Remember this It won’t ask again for the same things. You can withdraw it in the portal, under “Connected apps”."
	if diff := cmp.Diff([]string{"wavegate", "Use another account", remember, "Deny", "Allow"}, stops); diff != "" {
		t.Errorf("tab stops (-want +got):\n%s", diff)
	}
	tab.Navigate(t, q.address)
	tab.wantConsent(a)
	tab.Press(t, "\t\t\t\r") // Enter in the checkbox
	tab.wantRefused(q)

	q = a.begin()
	tab.Navigate(t, q.address)
	tab.wantConsent(a)
	tab.Press(t, "\t\t\t\t\t\r")
	tab.wantFor(q, "ada")
}

func consentRemembered(t *testing.T, s *pageStage) {
	a := s.webApp(t, "Remembered", "openid", "profile", "streams:read")
	q := a.begin()
	tab := s.newcomer(t).open(q.address)
	tab.signIn("ada")
	tab.wantConsent(a)
	tab.tap("[name=remember]")
	tab.tap(allow)
	tab.wantFor(q, "ada")

	q = a.begin()
	tab.Navigate(t, q.link())
	tab.tap("#go")
	tab.wantFor(q, "ada")

	q = a.begin(oauth2.SetAuthURLParam("prompt", "consent"))
	tab.Navigate(t, q.address)
	tab.wantConsent(a)
	tab.tap(deny)
	tab.wantRefused(q)
}

func consentNeverRemembered(t *testing.T, s *pageStage) {
	a := s.localApp(t, "Command line", "openid", "profile", "streams:read")
	q := a.begin()
	tab := s.newcomer(t).open(q.address)
	tab.signIn("ada")
	tab.wantConsent(a)
	tab.wantText("Takes you to a program on this device")
	if tab.has("[name=remember]") {
		t.Error("the page offers to remember an app that can be any other")
	}
	browsertest.Eval[bool](t, tab.Page, `(document.querySelector("form.decide").insertAdjacentHTML("beforeend", '<input type="hidden" name="remember" value="1">'), true)`)
	tab.tap(allow)
	tab.wantFor(q, "ada")

	q = a.begin()
	tab.Navigate(t, q.address)
	tab.wantConsent(a)
	tab.tap(allow)
	tab.wantFor(q, "ada")
}

func consentOfAnotherAccount(t *testing.T, s *pageStage) {
	a := s.webApp(t, "Two accounts", everything...)
	q := a.begin()
	tab := s.newcomer(t).open(q.address)
	tab.signIn("ada")
	tab.wantConsent(a)
	const other = `.terms a[href*="switch=1"]`
	tab.tap(other)
	tab.wantPage("Use another account")
	tab.wantText("to continue to Two accounts", "You’re signed in as ada")
	tab.tap(".aside a") // stay
	tab.wantConsent(a)
	tab.wantText("Your account ada")
	tab.tap(other)
	tab.wantPage("Use another account")
	tab.form("boris")
	tab.wantConsent(a)
	tab.wantText("Your account boris")
	if diff := cmp.Diff(asksOfAda[1:], tab.asked()); diff != "" {
		t.Errorf("what boris can give (-want +got):\n%s", diff)
	}
	tab.tap(allow)
	tab.wantFor(q, "boris")
}
