package oauthtest

import (
	"testing"

	"wavegate/server/portal/browsertest"
)

func consentInTwoTabs(t *testing.T, s *pageStage) {
	a, b := s.webApp(t, "First of two", "openid", "profile"), s.localApp(t, "Second of two", "openid", "profile")
	u := s.newcomer(t)
	one, two, three := a.begin(), b.begin(), a.begin()
	first := u.open(one.address)
	first.signIn("ada")
	first.wantConsent(a)
	second, third := u.open(two.address), u.open(three.address)
	second.wantConsent(b)
	third.wantConsent(a)
	third.tap(deny)
	third.wantRefused(three)
	second.tap(allow)
	second.wantFor(two, "ada")
	first.tap(allow)
	first.wantFor(one, "ada")
}

// consentAfterTwoLogins has two login pages wait at once. Whoever signs in at the
// second one has a new session there, for which nobody was asked anything yet.
func consentAfterTwoLogins(t *testing.T, s *pageStage) {
	a, b := s.webApp(t, "First login", "openid", "profile"), s.webApp(t, "Second login", "openid", "profile")
	u := s.newcomer(t)
	one, two := a.begin(), b.begin()
	first, second := u.open(one.address), u.open(two.address)
	first.wantPage("Sign in")
	second.signIn("ada")
	second.wantConsent(b)
	first.signIn("ada")
	first.wantConsent(a)
	second.tap(allow)
	second.wantPage("You signed in again meanwhile")
	second.wantText("Nothing was given to Second login")
	second.tap(`main a.button:not(.quiet)`)
	second.wantConsent(b)
	second.tap(allow)
	second.wantFor(two, "ada")
	first.tap(allow)
	first.wantFor(one, "ada")
}

func consentAfterLogout(t *testing.T, s *pageStage) {
	a := s.webApp(t, "Left open", "openid", "profile")
	u := s.newcomer(t)
	q := a.begin()
	tab := u.open(q.address)
	tab.signIn("ada")
	tab.wantConsent(a)
	other := u.open(s.url + "/_portal/profile")
	other.signOut()
	tab.tap(allow)
	tab.wantPage("You were signed out meanwhile")
	tab.wantText("Nothing was given to Left open")
	tab.tap(`main a.button:not(.quiet)`)
	tab.wantPage("Sign in")
	tab.wantText("to continue to Left open")
	tab.form("boris")
	tab.wantConsent(a) // asked anew
	tab.wantText("Your account boris")
	tab.tap(deny)
	tab.wantRefused(q)
	check := s.newcomer(t).open(s.url + "/_portal/connected")
	check.signIn("ada")
	check.wantPage("Connected apps")
	if apps := check.text("main"); contains(apps, a.name) {
		t.Errorf("ada let the app in: %s", apps)
	}
}

// signOut leaves by the link of the portal.
func (tab *pageTab) signOut() {
	tab.t.Helper()
	tab.wantPage("Profile")
	tab.tap(`.rail a[href="/_auth/logout"]`)
	tab.wantPage("You’re signed out")
}

// consentOfAnotherBrowser has a form that one browser was shown sent by others: of
// somebody else, and of the same person.
func consentOfAnotherBrowser(t *testing.T, s *pageStage) {
	a := s.webApp(t, "Copied", "openid", "profile")
	q := a.begin()
	tab := s.newcomer(t).open(q.address)
	tab.signIn("ada")
	tab.wantConsent(a)
	copied := browsertest.Eval[string](t, tab.Page, `document.querySelector("[name=request]").value`)
	for name, title := range map[string]string{"boris": "This question was for another account", "ada": "You signed in again meanwhile"} {
		thief := s.newcomer(t).open(a.begin().address)
		thief.signIn(name)
		thief.wantConsent(a)
		browsertest.Eval[bool](t, thief.Page, `(document.querySelector("[name=request]").value = `+quote(copied)+`, true)`)
		thief.tap(allow)
		thief.wantPage(title)
		for _, address := range thief.Requests() {
			if contains(address, "code=") {
				t.Errorf("%s's other browser got a code: %s", name, address)
			}
		}
	}
	tab.tap(allow)
	tab.wantFor(q, "ada")
}
