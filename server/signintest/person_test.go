package signintest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"wavegate/server/portal/browsertest"
)

// A person has a browser of their own, with tabs.
type person struct {
	*stage
	t       *testing.T
	browser *browsertest.Browser
	gate    string // the origin that they visit
	look    browsertest.Look
}

// A tab is one tab of a person's browser.
type tab struct {
	*browsertest.Page
	who *person
}

// newcomer returns a person whose browser knows nothing.
func (s *stage) newcomer(t *testing.T) *person {
	t.Helper()
	return &person{stage: s, t: t, browser: s.browser.Private(t), gate: s.gate, look: browsertest.Looks()[0]}
}

// open opens a new tab. What the browser complains about until the end of the
// test fails it, and so does every request to another place, unless it holds one
// of the expected texts.
func (p *person) open(path string, expected ...string) *tab {
	p.t.Helper()
	tb := &tab{p.browser.Open(p.t, p.gate+path, p.look, nil), p}
	p.t.Cleanup(func() {
		for _, problem := range tb.Problems() {
			theirs := strings.Contains(problem, p.idp.URL) || strings.Contains(problem, p.partners.URL)
			if !theirs && !containsOne(problem, expected) {
				p.t.Errorf("the browser says: %s", problem)
			}
		}
		for _, url := range tb.Requests() {
			own := []string{p.gate + "/", strings.Replace(p.gate, "https:", "wss:", 1) + "/", p.idp.URL + "/", p.partners.URL + "/", "data:"}
			if !containsOne(url, append(own, expected...)) {
				p.t.Errorf("the browser asked for %s", url)
			}
		}
	})
	return tb
}

func containsOne(text string, pieces []string) bool {
	for _, piece := range pieces {
		if strings.Contains(text, piece) {
			return true
		}
	}
	return false
}

// quote makes a text a string of JavaScript.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		return `""` // a string can always be written
	}
	return string(b)
}

// wantApp waits until the tab shows the app to somebody, at an address.
func (tb *tab) wantApp(name, path string) {
	tb.who.t.Helper()
	tb.WaitFor(tb.who.t, fmt.Sprintf(`document.querySelector("#who")?.textContent === %s && document.querySelector("#at").textContent === %[2]s &&
		location.href === location.origin + %[2]s`, quote(name), quote(path)))
}

// wantPage waits until the tab shows a page of wavegate's with a heading, and
// has it checked the first time in each look.
func (tb *tab) wantPage(heading string) {
	tb.who.t.Helper()
	tb.WaitFor(tb.who.t, fmt.Sprintf(`document.readyState === "complete" && location.origin === %s && document.querySelector("h1")?.textContent.trim() === %s`,
		quote(tb.who.gate), quote(heading)))
	key := heading + " " + tb.Look.Name
	if tb.who.checked[key] || tb.Look.NoScript {
		return
	}
	tb.who.checked[key] = true
	tb.CheckFits(tb.who.t)
	tb.CheckAccessible(tb.who.t)
}

// tap clicks what a selector finds.
func (tb *tab) tap(selector string) {
	tb.who.t.Helper()
	tb.Click(tb.who.t, selector)
}

// back goes back by some steps of the tab's history.
func (tb *tab) back(steps int) {
	tb.who.t.Helper()
	browsertest.Eval[bool](tb.who.t, tb.Page, fmt.Sprintf(`(setTimeout(() => history.go(-%d)), true)`, steps))
}

// atProvider waits for the form of the real provider and fills it in.
func (tb *tab) atProvider(name string) {
	tb.who.t.Helper()
	tb.WaitFor(tb.who.t, `document.title === "Sign in at the test provider" && document.activeElement?.name === "username"`)
	tb.Press(tb.who.t, name+"\r")
}

// single goes from the login page through the real provider.
func (tb *tab) single(name string) {
	tb.who.t.Helper()
	tb.wantPage("Sign in")
	tb.tap(`a[href*="provider=main"]`)
	tb.atProvider(name)
}

// form fills in the form of the login page.
func (tb *tab) form(name, password string) {
	tb.who.t.Helper()
	tb.wantPage("Sign in")
	tb.Click(tb.who.t, "#username")
	tb.Press(tb.who.t, name+"\t")
	tb.WaitFor(tb.who.t, `document.activeElement.id === "password"`)
	tb.Press(tb.who.t, password+"\r")
}

// cookie returns the name and value of the session's cookie, "" for none.
func (tb *tab) cookie() (name, value string) {
	tb.who.t.Helper()
	for name, value := range tb.Cookies(tb.who.t, tb.who.gate) {
		if name == "__Host-wavegate" {
			return name, value
		}
		if name == "wavegate" {
			tb.who.t.Error("a session cookie that another host could plant")
		}
	}
	return "", ""
}

// attempts returns the names of the cookies of login attempts.
func (tb *tab) attempts() (names []string) {
	tb.who.t.Helper()
	for name := range tb.Cookies(tb.who.t, tb.who.gate) {
		if strings.HasPrefix(name, "__Host-wavegate-login-") {
			names = append(names, name)
		}
	}
	return names
}

// requested returns the last request that contains a piece of text.
func (tb *tab) requested(piece string) string {
	tb.who.t.Helper()
	found := ""
	for _, url := range tb.Requests() {
		if strings.Contains(url, piece) {
			found = url
		}
	}
	if found == "" {
		tb.who.t.Fatalf("the tab never asked for %s", piece)
	}
	return found
}

// ask presses the button of the app whose script asks for data, and returns what
// the script got.
func (tb *tab) ask() string {
	tb.who.t.Helper()
	browsertest.Eval[bool](tb.who.t, tb.Page, `(document.getElementById("answer").textContent = "", true)`)
	tb.tap("#ask")
	tb.WaitFor(tb.who.t, `document.getElementById("answer").textContent !== ""`)
	return browsertest.Eval[string](tb.who.t, tb.Page, `document.getElementById("answer").textContent`)
}

// timed fails the test if something takes longer than most.
func timed(t *testing.T, what string, most time.Duration, do func()) {
	t.Helper()
	begun := time.Now()
	do()
	if took := time.Since(begun); took > most {
		t.Errorf("%s took %v, want at most %v", what, took, most)
	}
}
