package portaltest

import (
	"net/http"
	"testing"
)

// The pages about oneself, as somebody uses them without JavaScript.

// webApp are the fields of an app that the guarded app itself plays.
func (g *gate) webApp(name string) fields {
	return fields{
		"name": name, "type": "confidential", "scopes": []string{"streams:read"}, "redirect_uris": []string{g.app.URL + "/callback"},
		"grant_types": []string{"authorization_code"},
	}
}

func TestAnAppIsConnectedAndItsAccessWithdrawn(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	app, secret := g.as(t, "bob").newClient(t, g.webApp("Starplot"))
	p := g.signedIn(t, "bob", "/_portal/connected", withoutScript)
	p.see("No app uses your account")
	p.shot("portal-connected-none")
	p.open("/_portal/apps/" + app + "/try")
	command := p.code("#redeem")
	token := redeem(t, command, p.consent(p.text("#authorize")).Get("code"), secret)
	wantStatuses(t, g.send(t, token, "GET", "/v1/streams", 1), map[int]int{200: 1})
	p.visit("/_portal/connected")
	p.arrive("/_portal/connected")
	p.see("Starplot", "See the streams")
	p.shot("portal-connected-one")
	p.follow("Withdraw…", "/_portal/connected/"+app+"/withdraw")
	p.follow("Withdraw access", "/_portal/connected")
	p.see("The app cannot use your account any more", "No app uses your account")
	wantStatuses(t, g.send(t, token, "GET", "/v1/streams", 1), map[int]int{http.StatusUnauthorized: 1})
}

func TestSessionsOfOthersAreEnded(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	other := g.signedIn(t, "ada", "/_portal/profile", withoutScript, onPhone)
	left := g.as(t, "ada") // a third browser
	p := g.signedIn(t, "ada", "/_portal/sessions", withoutScript)
	p.see("this browser", "Sign out everywhere else")
	if got := p.texts("td.main"); len(got) != 3 {
		t.Errorf("the list has %q, want three browsers", got)
	}
	p.pressAt("Chrome", "End") // the list begins with this one, which has no button
	p.see("The session is ended")
	if got := p.texts("td.main"); len(got) != 2 {
		t.Errorf("the list has %q, want two browsers", got)
	}
	other.visit("/_portal/profile")
	other.arrive("/_auth/login")
	p.press("Sign out everywhere else")
	p.see("You’re signed out everywhere else")
	if got := p.texts("td.main"); len(got) != 1 || p.has("Sign out everywhere else") {
		t.Errorf("the list has %q, want this browser alone", got)
	}
	if status, _ := left.try(t, "GET", "/v1/auth/status", nil); status != http.StatusUnauthorized {
		t.Errorf("the session of the third browser is answered %d, want 401", status)
	}
	p.open("/_portal/profile")
}

func TestAPasswordIsChanged(t *testing.T) {
	t.Parallel()
	const fresh = "a much longer password"
	g := newGate(t)
	p := g.signedIn(t, "ada", "/_portal/profile", withoutScript)
	change := func(current, repeated string) {
		p.fill("Current password", current)
		p.fill("New password", fresh)
		p.fill("New password, once more", repeated)
		p.press("Change password")
	}
	change(password("ada"), fresh+"!")
	p.see("The two new passwords are not the same")
	p.shot("portal-profile-wrong")
	change("none of hers", fresh)
	p.see("The current password is wrong")
	change(password("ada"), fresh)
	p.see("Your password is changed")
	p.signOut()
	p.open("/_auth/login?next=/_portal/profile")
	for _, attempt := range []struct{ word, answer string }{{password("ada"), "The name or the password is wrong"}, {fresh, "Your roles"}} {
		p.fill("Username", "ada")
		p.fill("Password", attempt.word)
		p.press("Sign in")
		p.see(attempt.answer)
	}
}
