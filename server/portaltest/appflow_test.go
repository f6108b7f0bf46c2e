package portaltest

import (
	"encoding/json"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"wavegate/server/portal/browsertest"
)

func TestADeveloperRegistersTriesAndRemovesAnApp(t *testing.T) {
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newGate(t).signedIn(t, "ada", "/_portal/apps", ways...)
			p.see("Register your first app")
			p.shot("portal-apps-none")
			secret := p.registerWebApp("Starplot")
			p.tryApp(secret)
			secret = p.rotateApp(secret)
			p.tryApp(secret)
			p.stopApp()
			p.removeApp("Starplot")
		})
	}
}

// newApp chooses what kind of app to register.
func (p *person) newApp(kind string) {
	p.t.Helper()
	p.open("/_portal/apps")
	p.follow("New app", "/_portal/apps/new")
	p.press(kind)
	p.page.WaitFor(p.t, `location.search.startsWith("?kind=") && document.querySelector("#f-name")`)
	p.checkNew()
}

// registerWebApp registers an app that has a secret, after a redirect URI that is none,
// and ends on its page.
func (p *person) registerWebApp(name string) (secret string) {
	p.t.Helper()
	p.newApp("A web app with a server")
	p.fill("Name", name)
	p.tick("streams:read", true)
	p.fill("Redirect URIs", "http://plots.example.com/callback")
	if p.look.NoScript {
		p.press("Register")
	}
	p.page.WaitFor(p.t, `document.readyState === "complete" && document.querySelector("#f-redirect_uris-error")?.hidden === false`)
	if got := p.value("Redirect URIs"); got != "http://plots.example.com/callback" || p.value("Name") != name {
		p.t.Errorf("the form lost what was typed: %q", got)
	}
	p.shot("portal-app-wrong")
	p.fill("Redirect URIs", p.app.URL+"/callback")
	if !p.look.NoScript {
		p.page.WaitFor(p.t, `document.querySelector("#f-redirect_uris-error")?.hidden`)
	}
	p.press("Register")
	secret = p.takeSecret()
	p.leaveSecret("Go to the app", secret)
	return secret
}

// leaveSecret goes on from where a secret was shown, and sees that it is shown no more.
func (p *person) leaveSecret(otherwise, secret string) {
	p.t.Helper()
	if secret != "" {
		otherwise = "I’ve kept it"
	}
	p.press(otherwise)
	p.page.WaitFor(p.t, `document.querySelector("#remove, #revoke")`)
	p.checkNew()
	if secret != "" && strings.Contains(p.text("body"), secret) {
		p.t.Error("the secret is shown again")
	}
}

// tryApp goes with the address of the app's page to the question whether it may, and
// with the code to the tokens. It ends on the page of the app.
func (p *person) tryApp(secret string) {
	p.t.Helper()
	page := "/_portal/apps/" + p.id()
	p.follow("Try it", page+"/try")
	address, command := p.text("#authorize"), p.code("#redeem")
	values := p.consent(address)
	asked, err := url.Parse(address)
	must(p.t, err)
	if values.Get("state") == "" || values.Get("state") != asked.Query().Get("state") {
		p.t.Errorf("the app gets the state %q, want its own", values.Get("state"))
	}
	token := redeem(p.t, command, values.Get("code"), secret)
	wantStatuses(p.t, p.send(p.t, token, "GET", "/v1/streams", 1), map[int]int{200: 1})
	p.visit(page)
	p.arrive(page)
}

// consent goes to an address at which an app asks whether it may, allows it, and returns
// what the app gets in the address that it waits at.
func (p *person) consent(address string) url.Values {
	p.t.Helper()
	p.allow(p.app.URL) // where the app is
	p.page.Navigate(p.t, address)
	p.see("wants to use your account")
	p.shot("portal-consent")
	p.press("Allow")
	p.page.WaitFor(p.t, `location.href.startsWith(`+quote(p.app.URL+"/callback?")+`) && document.readyState === "complete"`)
	values, err := url.ParseQuery(browsertest.Eval[string](p.t, p.page, `location.search.slice(1)`))
	must(p.t, err)
	return values
}

// redeem runs the command that a page shows in a shell, and returns the access token.
func redeem(t *testing.T, command, code, secret string) string {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "sh", "-c", command)
	shell.Env = []string{"CODE=" + code, "CLIENT_SECRET=" + secret, "PATH=/usr/bin:/bin"}
	out, err := shell.Output()
	must(t, err)
	var tokens struct {
		Token string `json:"access_token"`
		Error string
	}
	must(t, json.Unmarshal(out, &tokens))
	if tokens.Token == "" {
		t.Fatalf("the command gets no token but the error %q", tokens.Error)
	}
	return tokens.Token
}

// rotateApp gives the app on show another secret.
func (p *person) rotateApp(old string) (secret string) {
	p.t.Helper()
	p.follow("Rotate secret", "/_portal/apps/"+p.id()+"/rotate")
	p.fill("The old secret works on", "0")
	p.press("Rotate the secret")
	secret = p.takeSecret()
	if secret == old {
		p.t.Error("the new secret is the old one")
	}
	p.leaveSecret("", secret)
	return secret
}

// stopApp disables the app on show, takes that back, and does it again with the other
// button.
func (p *person) stopApp() {
	p.t.Helper()
	id := p.id()
	for _, back := range []string{"Undo", "Enable"} {
		p.press("Disable")
		p.see("Its tokens open nothing")
		p.wantApp(id, "disabled")
		p.press(back)
		p.seeNot("Its tokens open nothing")
		p.wantApp(id, "active")
	}
}

func (p *person) wantApp(id, status string) {
	p.t.Helper()
	var answer struct{ Client struct{ Status string } }
	p.as(p.t, "ada").call(p.t, "GET", "/v1/auth/clients/"+id, nil, &answer)
	if answer.Client.Status != status {
		p.t.Errorf("the app is %s, want %s", answer.Client.Status, status)
	}
}

// removeApp removes the app on show.
func (p *person) removeApp(name string) {
	p.t.Helper()
	page := "/_portal/apps/" + p.id()
	p.follow("Remove…", page+"/remove")
	p.shot("portal-app-removing")
	p.fill("Type", name)
	p.follow("Remove the app", "/_portal/apps")
	p.see("The app is removed", "Register your first app")
	if status, _ := p.as(p.t, "ada").try(p.t, "GET", strings.Replace(page, "/_portal/apps", "/v1/auth/clients", 1), nil); status != 404 {
		p.t.Errorf("the app is answered %d, want 404", status)
	}
}

func TestEveryKindOfAppIsRegistered(t *testing.T) {
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newGate(t).signedIn(t, "ada", "/_portal/apps", ways...)
			for _, kind := range []struct {
				name, redirect string
				secret         bool
			}{
				{"An app of one page, or on a phone or computer", "com.example.app:/done", false},
				{"A program without people", "", true},
				{"A device without a browser", "", false},
			} {
				p.newApp(kind.name)
				p.fill("Name", kind.name)
				p.tick("streams:read", true)
				if kind.redirect != "" {
					p.fill("Redirect URIs", kind.redirect)
				}
				p.press("Register")
				secret := ""
				if kind.secret {
					secret = p.takeSecret()
				} else {
					p.see("Go to the app")
				}
				p.leaveSecret("Go to the app", secret)
				p.see(kind.name, "Active")
			}
			p.follow("Apps", "/_portal/apps")
			if got := p.texts("td.main"); len(got) != 3 {
				t.Errorf("the list has %d apps, want 3: %q", len(got), got)
			}
		})
	}
}
