package portaltest

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"wavegate/server/portal/browsertest"
)

func TestAKeyboardIsEnough(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	p := g.person(t)
	p.signInByKeyboard("ada", "/_portal/keys")
	p.tabTo("New key")
	p.keys("\r")
	p.arrive("/_portal/keys/new")
	p.wantFocus("Name")
	p.keys("Encoder")
	p.tabTo("streams:read")
	p.keys(" ")
	p.tabTo("Make the key")
	p.keys("\r")
	p.page.WaitFor(t, `document.querySelector("#secret")`)
	key := p.text("#secret")
	p.watchClipboard()
	p.tabTo("Copy the key")
	p.keys("\r")
	p.wantCopied(key)
	p.tabTo("I’ve kept it")
	p.keys("\r")
	p.see("Revoke this key")
	wantStatuses(t, g.send(t, key, "GET", "/v1/streams", 1), map[int]int{200: 1})
	p.tabTo("Revoke…")
	p.keys("\r")
	p.see("Revoke this key?")
	p.wantFocus("Type Encoder to confirm")
	p.keys("Encoder\r")
	p.see("The key is revoked")
	wantStatuses(t, g.send(t, key, "GET", "/v1/streams", 1), map[int]int{http.StatusUnauthorized: 1})
}

// wantFocus waits until something has the focus.
func (p *person) wantFocus(name string) {
	p.t.Helper()
	eventually(p.t, name+" has the focus", func() bool { return p.focused().Name == name })
}

func TestSomeKeysAreShortWays(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	p := g.signedIn(t, "ada", "/_portal/profile")
	p.keys("?")
	p.see("Search on this page")
	p.shot("portal-help")
	p.check()
	p.keys("n") // does nothing in the dialog
	p.keys(kb.Escape)
	p.page.WaitFor(t, `!document.querySelector("dialog[open]")`)
	for keys, path := range map[string]string{"ga": "apps", "gw": "webhooks", "gs": "sessions", "gc": "connected", "gp": "profile", "gu": "usage", "go": ""} {
		p.keys(keys)
		p.arrive("/_portal/" + path)
	}
	g.as(t, "ada").newKey(t, fields{"name": "Encoder"})
	p.keys("gk")
	p.arrive("/_portal/keys")
	p.keys("/")
	p.wantFocus("Search")
	p.fill("Search", "") // the debugger types the key also where a script took it
	p.keys("gn?")        // is what is searched for
	p.keys("\r")
	p.see("No key fits")
	if got := p.value("Search"); got != "gn?" {
		t.Errorf("the search is for %q, want what was typed", got)
	}
	p.keys(kb.Escape)
	p.keys("n")
	p.arrive("/_portal/keys/new")
}

func TestTheFirstStopLeadsPastTheNavigation(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for mode, ways := range scripts() {
		t.Run(mode, func(t *testing.T) {
			p := g.signedIn(t, "ada", "/_portal/sessions", ways...)
			p.open("/_portal/sessions")
			p.keys(kb.Tab)
			if at := p.focused(); at.Name != "Skip to the content" || !at.Ring || !at.Seen {
				t.Errorf("the first stop is %+v, want the link to the content, to be seen", at)
			}
			p.keys("\r")
			p.page.WaitFor(t, `document.activeElement.id === "main"`)
		})
	}
}

func TestNothingMovesForThoseWhoWantThat(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	p := g.signedIn(t, "ada", "/_portal/keys") // the browser asks for less motion
	for _, path := range []string{"keys", "keys/new", "usage", ""} {
		p.open("/_portal/" + path)
		moving := browsertest.Eval[[]string](t, p.page, `[...document.querySelectorAll("*")].filter(e => {
			const s = getComputedStyle(e);
			return [s.transitionDuration, s.animationDuration].some(d => d.split(",").some(t => parseFloat(t) > .01)) || s.scrollBehavior === "smooth";
		}).map(e => e.tagName + "." + e.className)`)
		if len(moving) > 0 {
			t.Errorf("%s moves: %q", path, moving)
		}
	}
}
