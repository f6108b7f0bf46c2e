package portaltest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// ownToken asks for a token of an app for itself, and returns the status and the token.
func (g *gate) ownToken(t *testing.T, id, secret string) (status int, token string) {
	t.Helper()
	body := url.Values{"grant_type": {"client_credentials"}}.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/oauth/token", strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(id, secret)
	resp, text := fetch(t, req)
	var answer struct {
		Token string `json:"access_token"`
	}
	must(t, json.Unmarshal(text, &answer))
	return resp.StatusCode, answer.Token
}

// registerApp goes from the list of apps to a new one of a kind, and returns its client
// ID and secret.
func (p *person) registerApp(kind, name string) (id, secret string) {
	p.t.Helper()
	p.press("New app")
	p.press(kind)
	p.fill("Name", name)
	p.tick("streams:read", true)
	p.press("Register the app")
	p.see("Copy the secret now")
	return p.text("#fact-client-id"), p.text("#secret")
}

func TestADeveloperRegistersAProgramAndEndsIt(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			p := g.signedIn(t, "ada", "/_portal/apps", ways...)
			p.see("Register your first app", "an API key is enough")
			id, secret := p.registerApp("A program without people", "Nightly export")
			if status, token := g.ownToken(t, id, secret); status != http.StatusOK || token == "" {
				t.Errorf("its secret is answered %d", status)
			}
			p.press("I’ve kept it")
			p.see("What its code needs", "Nightly export")

			p.press("Rotate secret")
			p.press("Rotate the secret")
			p.see("Copy the secret now", "The secret before it")
			for _, works := range []string{secret, p.text("#secret")} {
				if status, _ := g.ownToken(t, id, works); status != http.StatusOK {
					t.Errorf("a secret in its grace, or the new one, is answered %d", status)
				}
			}
			p.press("I’ve kept it")

			p.press("Disable")
			p.see("The app is disabled")
			if status, _ := g.ownToken(t, id, secret); status != http.StatusUnauthorized {
				t.Errorf("a disabled app is answered %d", status)
			}
			p.press("Undo")
			p.see("The app works again")
			if status, _ := g.ownToken(t, id, secret); status != http.StatusOK {
				t.Errorf("an app that was enabled again is answered %d", status)
			}

			p.press("Remove…")
			p.fill("Type", "Nightly export")
			p.press("Remove the app")
			p.see("The app is removed", "Register your first app")
			if status, _ := g.ownToken(t, id, secret); status != http.StatusUnauthorized {
				t.Errorf("an app that was removed is answered %d", status)
			}
		})
	}
}

func TestTwoPeopleChangeAnApp(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	ada := g.as(t, "ada")
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			id, _ := ada.newClient(t, fields{"name": "Star chart", "redirect_uris": []string{"https://plots.example/cb"}})
			p := g.signedIn(t, "ada", "/_portal/apps/"+id+"/edit", ways...)
			p.fill("Name", "Star charts")
			ada.call(t, http.MethodPatch, "/v1/auth/clients/"+id, fields{"name": "Nebula"}, nil)
			p.press("Save")
			p.see("Somebody else changed this app meanwhile", "name: Nebula")
			if got := p.value("Name"); got != "Star charts" {
				t.Errorf("the name is %q, want what was typed", got)
			}
			p.press("Save")
			p.see("Saved.", "Star charts")

			bob := g.signedIn(t, "bob", "/_portal/apps", ways...)
			bob.visit("/_portal/apps/" + id)
			bob.see("There is nothing here")
			bob.wantPage(http.StatusNotFound)
		})
	}
}
