package portaltest

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"wavegate/server/portal/browsertest"
)

// A person sits before a window of their own, in which one page is shown.
type person struct {
	*gate
	t      *testing.T
	page   *browsertest.Page // nil before the first
	window *browsertest.Browser
	look   browsertest.Look
	last   float64  // when the page that was checked last began to load
	known  []string // what the browser may complain about
}

// A way is a way of looking at pages; without any, it is a desktop in the light.
type way func(*browsertest.Look)

func onPhone(l *browsertest.Look)       { *l = look(true, l.Dark, l.NoScript) }
func inTheDark(l *browsertest.Look)     { *l = look(l.Phone, true, l.NoScript) }
func withoutScript(l *browsertest.Look) { *l = look(l.Phone, l.Dark, true) }

// look returns that of a phone or a desktop.
func look(phone, dark, noScript bool) browsertest.Look {
	for _, l := range browsertest.Looks() {
		if l.Phone == phone && l.Dark == dark {
			l.NoScript = noScript
			return l
		}
	}
	panic("there is no such look")
}

// person returns somebody whose browser knows nothing. What it complains about until
// the end of the test fails it, and so does every request to anybody but the gate.
func (g *gate) person(t *testing.T, ways ...way) *person {
	t.Helper()
	p := &person{gate: g, t: t, window: chromium.Private(t), look: look(false, false, false)}
	for _, change := range ways {
		change(&p.look)
	}
	t.Cleanup(p.checkAll)
	return p
}

// signedIn is person for somebody who has signed in, and is at a path.
func (g *gate) signedIn(t *testing.T, name, path string, ways ...way) *person {
	t.Helper()
	p := g.person(t, ways...)
	p.signIn(name, path)
	return p
}

// signIn goes through the login page, which leads on to a path.
func (p *person) signIn(name, path string) {
	p.t.Helper()
	p.open("/_auth/login?next=" + url.QueryEscape(path))
	p.fill("Username", name)
	p.fill("Password", password(name))
	p.press("Sign in")
	p.arrive(path)
}

// signOut follows the link for it.
func (p *person) signOut() {
	p.t.Helper()
	p.open("/_portal/profile")
	p.press("Sign out")
	p.arrive("/_auth/signed-out")
}

// open opens a path as if it were typed, and checks the page that comes. It is for
// pages that are answered 200; see wantPage for others.
func (p *person) open(path string) {
	p.t.Helper()
	p.visit(path)
	p.wantPage(200)
}

// visit opens a path and leaves it to the caller to wait for what comes.
func (p *person) visit(path string) {
	p.t.Helper()
	if p.page == nil {
		p.page = p.window.Open(p.t, p.url+path, p.look, nil)
		return
	}
	p.page.Navigate(p.t, p.url+path)
}

// arrive waits until the tab shows the page at a path, whatever its query, and checks
// it.
func (p *person) arrive(path string) {
	p.t.Helper()
	path, _, _ = strings.Cut(path, "?")
	p.page.WaitFor(p.t, `document.readyState === "complete" && !document.querySelector("main[aria-busy]") && location.origin === `+quote(p.url)+` && location.pathname === `+quote(path))
	p.wantPage(200)
}

// see waits until the page says all of it, and checks it if it is a new one.
func (p *person) see(pieces ...string) {
	p.t.Helper()
	for _, piece := range pieces {
		p.page.WaitFor(p.t, `document.readyState === "complete" && `+said("document.body")+`.includes(`+quote(words(piece))+`)`)
	}
	p.checkNew()
}

// seeNot waits until the page says nothing of it any more.
func (p *person) seeNot(pieces ...string) {
	p.t.Helper()
	for _, piece := range pieces {
		p.page.WaitFor(p.t, `document.readyState === "complete" && !`+said("document.body")+`.includes(`+quote(words(piece))+`)`)
	}
	p.checkNew()
}

// text is what can be read in the first of what a CSS selector finds, "" if there is
// nothing.
func (p *person) text(selector string) string {
	p.t.Helper()
	return browsertest.Eval[string](p.t, p.page, said(`document.querySelector(`+quote(selector)+`)`))
}

// code is the text of the first of what a CSS selector finds, as it is to be copied.
func (p *person) code(selector string) string {
	p.t.Helper()
	return strings.TrimSpace(browsertest.Eval[string](p.t, p.page, `document.querySelector(`+quote(selector)+`).textContent`))
}

// texts is text for all that the selector finds.
func (p *person) texts(selector string) []string {
	p.t.Helper()
	return browsertest.Eval[[]string](p.t, p.page, `[...document.querySelectorAll(`+quote(selector)+`)].map(e => `+said("e")+`)`)
}

// path is where the tab is, with the query.
func (p *person) path() string {
	p.t.Helper()
	return browsertest.Eval[string](p.t, p.page, `location.pathname + location.search`)
}

// follow is press for what leads to a path.
func (p *person) follow(name, path string) {
	p.t.Helper()
	p.press(name)
	p.arrive(path)
}

// seeSoon loads the page again and again until it says all of it.
func (p *person) seeSoon(pieces ...string) {
	p.t.Helper()
	for _, piece := range pieces {
		eventually(p.t, p.path()+" says "+piece, func() bool {
			if strings.Contains(p.text("body"), words(piece)) {
				return true
			}
			p.reload()
			return false
		})
	}
}

// id is the part of the path that names the thing on show.
func (p *person) id() string {
	p.t.Helper()
	return browsertest.Eval[string](p.t, p.page, `location.pathname.split("/")[3]`)
}

// back presses the browser's back button, reload its other one.
func (p *person) back()   { p.t.Helper(); p.page.Back(p.t); p.checkNew() }
func (p *person) reload() { p.t.Helper(); p.page.Reload(p.t); p.checkNew() }

// said is the text of an element with single spaces, "" for null.
func said(element string) string {
	return `(` + element + `?.innerText ?? "").replace(/\s+/g, " ").trim()`
}

// words are those of a text with single spaces between them.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// quote returns a text as JavaScript writes it.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil { // a string always marshals
		panic(err)
	}
	return string(quoted)
}
