package portaltest

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"wavegate/server/portal/browsertest"
)

// What goes wrong on the way: input that is none, forms that are sent twice, sessions
// that end. Nothing that was typed is lost.

// keyNames are those of the caller's keys.
func (c caller) keyNames(t *testing.T) (names []string) {
	t.Helper()
	var answer struct {
		Keys []struct{ Name string } `json:"api_keys"`
	}
	c.call(t, http.MethodGet, "/v1/auth/keys", nil, &answer)
	for _, k := range answer.Keys {
		names = append(names, k.Name)
	}
	return names
}

func TestAnEndlessNameIsRefusedBesideItsField(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	name := strings.Repeat("endless😀 ", 1250)[:10000]
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			p := g.signedIn(t, "ada", "/_portal/keys/new", ways...)
			for _, form := range []struct{ path, field, error, button string }{
				{"keys/new", "Name", "#f-name-error", "Make the key"},
				{"apps/new?kind=device", "Name", "#f-name-error", "Register the app"},
				{"webhooks/new", "Description", "#f-description-error", "Make the webhook"},
			} {
				p.open("/_portal/" + form.path)
				if form.field == "Description" {
					p.fill("URL", g.hook.URL)
				}
				p.fill(form.field, name)
				p.press(form.button)
				p.see("Some of this cannot be taken as it is")
				if p.text(form.error) == "" || p.value(form.field) != name {
					t.Errorf("%s: the complaint is %q, and the field has %d bytes of %d", form.path, p.text(form.error), len(p.value(form.field)), len(name))
				}
				p.check()
			}
		})
	}
	if got := g.as(t, "ada").keyNames(t); len(got) > 0 {
		t.Errorf("there are the keys %q, want none", got)
	}
}

func TestNamesOfAllScriptsStayInTheirPlace(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	ada := g.as(t, "ada")
	names := []string{
		"مفتاح التشفير للكاميرات (قديم) 1", "שלום <b>עולם</b> & \"co\"", "Z\u0351\u0363a\u0346\u0342l\u0335\u0321g\u0334o\u0321\u0489 \u0644\u0651\u0650", "👩‍👩‍👧‍👧" + strings.Repeat("ＷＩＤＥ", 15),
	}
	for _, look := range []way{onPhone, withoutScript} {
		p := g.signedIn(t, "ada", "/_portal/keys/new", look)
		for _, name := range names {
			p.open("/_portal/keys/new")
			p.fill("Name", name)
			p.press("Make the key")
			p.takeSecret()
			p.see(name)
			p.leaveSecret("", p.text("#secret"))
			if got := p.text("h1 > bdi"); got != words(name) {
				t.Errorf("the heading is %q, want %q in a bdi", got, name)
			}
			p.check()
		}
		p.open("/_portal/keys")
		p.check()
		for _, name := range names {
			if list := p.texts("td.main > a > bdi"); !strings.Contains(strings.Join(list, "\n"), words(name)) {
				t.Errorf("the list has %q, want %q in a bdi", list, name)
			}
		}
	}
	if got := ada.keyNames(t); len(got) != 2*len(names) {
		t.Errorf("there are %d keys, want each twice: %q", len(got), got)
	}
}

func TestADoubleClickMakesOneKey(t *testing.T) {
	t.Parallel()
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			p := g.signedIn(t, "ada", "/_portal/keys/new", ways...)
			p.fill("Name", "Once")
			p.page.DoubleClickOn(t, found(`button(top, "Make the key")`))
			p.page.WaitFor(t, `document.readyState === "complete" && document.querySelector("#secret, #form-problem")`)
			if got := g.as(t, "ada").keyNames(t); len(got) != 1 {
				t.Errorf("there are the keys %q, want one", got)
			}
		})
	}
}

func TestTwoPeopleChangeTheSameKey(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			key := g.as(t, "ada").newKey(t, fields{"name": "Encoder", "scopes": []string{"streams:read"}})
			page := "/_portal/keys/" + key.ID
			ada := g.signedIn(t, "ada", page+"/edit", ways...)
			grace := g.signedIn(t, "grace", page+"/edit", ways...)
			ada.fill("Name", "Encoder of Ada")
			grace.fill("Name", "Encoder of the house")
			grace.follow("Save", page)
			ada.press("Save")
			ada.see("Somebody else changed this key meanwhile", "Encoder of the house")
			ada.shot("portal-key-changed")
			if got := ada.value("Name"); got != "Encoder of Ada" {
				t.Errorf("the field holds %q, want what was typed", got)
			}
			ada.follow("Save", page)
			ada.see("Saved.", "Encoder of Ada")
			grace.reload()
			grace.see("Encoder of Ada")
		})
	}
}

// endSessions signs somebody out everywhere, behind their back.
func (g *gate) endSessions(t *testing.T, name string) {
	t.Helper()
	other := g.as(t, name)
	other.call(t, http.MethodDelete, "/v1/auth/sessions?others=true", nil, nil)
}

func TestAFormSurvivesTheEndOfItsSession(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			p := g.signedIn(t, "ada", "/_portal/keys/new", ways...)
			p.fill("Name", "Kept "+mode)
			p.tick("streams:read", true)
			p.unfold("Where it works")
			p.fill("Works from", "192.0.2.7")
			g.endSessions(t, "ada")
			p.press("Make the key")
			p.arrive("/_auth/login")
			p.fill("Username", "ada")
			p.fill("Password", password("ada"))
			p.press("Sign in")
			p.see("You signed in again before this was done")
			p.shot("portal-key-resumed")
			if p.value("Name") != "Kept "+mode || !p.ticked("streams:read") || p.value("Works from") != "192.0.2.7" {
				t.Error("the form lost what was typed")
			}
			p.press("Make the key")
			p.takeSecret()
			p.see("Kept " + mode)
		})
	}
	if got := g.as(t, "ada").keyNames(t); len(got) != 2 {
		t.Errorf("there are the keys %q, want one of each mode", got)
	}
}

func TestAnotherPersonDoesNotGetTheFormOfTheFirst(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	p := g.signedIn(t, "ada", "/_portal/keys/new", withoutScript)
	p.fill("Name", "Of Ada alone")
	g.endSessions(t, "ada")
	p.press("Make the key")
	p.arrive("/_auth/login")
	p.fill("Username", "bob")
	p.fill("Password", password("bob"))
	p.press("Sign in")
	p.see("was typed by somebody else")
	if strings.Contains(p.text("body"), "Of Ada alone") || len(g.as(t, "bob").keyNames(t)) > 0 {
		t.Error("the second person has what the first one typed")
	}
}

func TestAFormTooLongForACookieWaitsInItsTab(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	var noise strings.Builder // what cannot be made shorter
	for draw := rand.New(rand.NewPCG(1, 2)); noise.Len() < 6000; {
		noise.WriteByte(byte('!' + draw.IntN(90)))
	}
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			p := g.signedIn(t, "ada", "/_portal/keys/new", ways...)
			p.allow("401") // of the page that holds the form
			p.fill("Name", noise.String())
			g.endSessions(t, "ada")
			p.press("Make the key")
			p.see("this page holds it")
			p.shot("portal-hold-on")
			tab := *p
			tab.page = p.window.Open(t, browsertest.Eval[string](t, p.page, found(`button(top, "Sign in, in another tab").href`)), p.look, nil)
			tab.fill("Username", "ada")
			tab.fill("Password", password("ada"))
			tab.press("Sign in")
			tab.arrive("/_portal/")
			p.press("Send it")
			p.see("Some of this cannot be taken as it is")
			if got := p.value("Name"); got != noise.String() {
				t.Errorf("the field has %d bytes of the %d that were typed", len(got), noise.Len())
			}
		})
	}
}
