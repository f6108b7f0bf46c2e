package oauthtest

import (
	"net/url"
	"strings"
	"testing"

	"wavegate/server/portal/browsertest"
)

// A pageUser has a browser of their own, with tabs.
type pageUser struct {
	*pageStage
	t      *testing.T
	window *browsertest.Browser
	look   browsertest.Look
}

// newcomer returns somebody whose browser knows nothing.
func (s *pageStage) newcomer(t *testing.T) *pageUser {
	t.Helper()
	return &pageUser{pageStage: s, t: t, window: s.browser.Private(t), look: browsertest.Looks()[0]}
}

// A pageTab is one tab of a browser.
type pageTab struct {
	*browsertest.Page
	*pageUser
}

// open opens a new tab. What the browser complains about until the end of the test
// fails it, and so does every request to anybody else than the gate and the apps.
func (u *pageUser) open(address string) *pageTab {
	u.t.Helper()
	tab := &pageTab{u.window.Open(u.t, address, u.look, nil), u}
	u.t.Cleanup(func() {
		for _, problem := range tab.Problems() {
			u.t.Errorf("the browser says: %s", problem)
		}
		for _, address := range tab.Requests() {
			to, err := url.Parse(address)
			if err != nil || to.Scheme != "data" && to.Hostname() != "127.0.0.1" && to.Hostname() != webHost {
				u.t.Errorf("the browser asked for %s", address)
			}
		}
	})
	return tab
}

// wantPage waits until the tab shows a page of the gate's with a heading, and has its
// look checked the first time.
func (tab *pageTab) wantPage(heading string) {
	tab.t.Helper()
	tab.waitFor(heading)
	tab.checkOnce(heading)
}

func (tab *pageTab) waitFor(heading string) {
	tab.t.Helper()
	tab.WaitFor(tab.t, `document.readyState === "complete" && location.origin === `+quote(tab.url)+
		` && document.querySelector("h1")?.textContent.trim() === `+quote(heading))
}

// checkOnce has the look of a page checked, unless it was before.
func (tab *pageTab) checkOnce(page string) {
	tab.t.Helper()
	key := page + " " + tab.look.Name
	tab.mu.Lock()
	known := tab.checked[key]
	tab.checked[key] = true
	tab.mu.Unlock()
	if known || tab.look.NoScript {
		return
	}
	tab.CheckFits(tab.t)
	tab.CheckAccessible(tab.t)
}

// wantConsent waits for the question of an app.
func (tab *pageTab) wantConsent(a *pageApp) {
	tab.t.Helper()
	tab.waitFor(a.name + " wants to use your account")
	tab.checkOnce("consent")
}

// wantText fails the test unless the page says all of it.
func (tab *pageTab) wantText(pieces ...string) {
	tab.t.Helper()
	text := strings.Join(strings.Fields(tab.text("main")), " ")
	for _, piece := range pieces {
		if !strings.Contains(text, piece) {
			tab.t.Errorf("the page does not say %q, but %q", piece, text)
		}
	}
}

// text is what can be read in the first of what a selector finds, "" if there is none.
func (tab *pageTab) text(selector string) string {
	tab.t.Helper()
	return browsertest.Eval[string](tab.t, tab.Page, `document.querySelector(`+quote(selector)+`)?.innerText ?? ""`)
}

// has reports whether a selector finds something.
func (tab *pageTab) has(selector string) bool {
	tab.t.Helper()
	return browsertest.Eval[bool](tab.t, tab.Page, `document.querySelector(`+quote(selector)+`) !== null`)
}

// tap clicks what a selector finds.
func (tab *pageTab) tap(selector string) {
	tab.t.Helper()
	tab.Click(tab.t, selector)
}

const (
	allow = `[name=decision][value=allow]`
	deny  = `[name=decision][value=deny]`
)

// form fills in the form of the login page.
func (tab *pageTab) form(name string) {
	tab.t.Helper()
	tab.Click(tab.t, "#username")
	tab.Press(tab.t, name+"\t")
	tab.WaitFor(tab.t, `document.activeElement.id === "password"`)
	tab.Press(tab.t, tab.passwords[name]+"\r")
}

// signIn goes through the login page.
func (tab *pageTab) signIn(name string) {
	tab.t.Helper()
	tab.wantPage("Sign in")
	tab.form(name)
}

// arrived waits until the browser is back at the app, and returns what it was told.
// The state has to be that of the request.
func (tab *pageTab) arrived(q *quest) url.Values {
	tab.t.Helper()
	tab.WaitFor(tab.t, `document.readyState === "complete" && location.origin + location.pathname === `+quote(q.config.RedirectURL))
	told, err := url.ParseQuery(strings.TrimPrefix(browsertest.Eval[string](tab.t, tab.Page, `location.search`), "?"))
	must(tab.t, err)
	if told.Get("state") != q.state || told.Get("iss") != q.url {
		tab.t.Errorf("the app was told %v, want the state %s", told, q.state)
	}
	return told
}

// wantFor has the app get its tokens, and returns them. They have to be about
// somebody.
func (tab *pageTab) wantFor(q *quest, name string) (access, refresh string) {
	tab.t.Helper()
	told := tab.arrived(q)
	if told.Get("code") == "" {
		tab.t.Fatalf("the app was told %v, want a code", told)
	}
	tokens := q.redeem(tab.t, told.Get("code"))
	if got := tab.about(tab.t, tokens.AccessToken); got != name {
		tab.t.Errorf("the token is about %v, want %s", got, name)
	}
	return tokens.AccessToken, tokens.RefreshToken
}

// wantRefused has the app hear that the person said no.
func (tab *pageTab) wantRefused(q *quest) {
	tab.t.Helper()
	if told := tab.arrived(q); told.Get("error") != "access_denied" || told.Has("code") {
		tab.t.Errorf("the app was told %v, want access_denied", told)
	}
}

// asked is what the page says of the things that the app wants, each with its name and
// its risk.
func (tab *pageTab) asked() []string {
	tab.t.Helper()
	return browsertest.Eval[[]string](tab.t, tab.Page, `[...document.querySelectorAll(".asks li")].map(e => e.innerText.trim().split(/\s*\n\s*/).join(" | "))`)
}
