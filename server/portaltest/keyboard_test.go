package portaltest

import (
	"strings"

	"github.com/chromedp/chromedp/kb"

	"wavegate/server/portal/browsertest"
)

// A focus is what has the focus.
type focus struct {
	Name string `json:"name"` // what a screen reader would call it; "" where nothing has it
	Kind string `json:"kind"` // name of the element: "button"
	Ring bool   `json:"ring"` // it can be seen that it has the focus
	Seen bool   `json:"seen"` // it is in the window
}

// focused says what has the focus. The ring may be at the element, its label, or what
// stands for it beside it.
func (p *person) focused() focus {
	p.t.Helper()
	return browsertest.Eval[focus](p.t, p.page, `(() => {
		const e = document.activeElement;
		if (!e || e === document.body) return {name: "", kind: "", ring: false, seen: false};
		const ringed = e => {
			const s = e && getComputedStyle(e);
			return Boolean(s) && (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 || s.boxShadow !== "none");
		};
		const box = e.getBoundingClientRect(), label = e.labels?.[0];
		return {
			name: (e.getAttribute("aria-label") ?? (label ?? e).innerText ?? "").replace(/\s+/g, " ").trim() || (e.value ?? ""),
			kind: e.tagName.toLowerCase(),
			ring: [e, label, e.nextElementSibling].some(ringed),
			seen: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
		};
	})()`)
}

// keys presses keys one after the other in whatever has the focus: Tab, Enter and
// Escape are "\t", "\r" and kb.Escape.
func (p *person) keys(keys string) {
	p.t.Helper()
	p.page.Press(p.t, keys)
}

// tabTo presses Tab until something whose name begins like this has the focus. Each
// stop on the way has to show that it has it.
func (p *person) tabTo(name string) {
	p.t.Helper()
	var stops []string
	for range 150 {
		p.keys(kb.Tab)
		at := p.focused()
		if at.Name == "" && at.Kind == "" {
			stops = append(stops, "(the browser)")
			continue
		}
		if !at.Ring || !at.Seen {
			p.t.Errorf("%s: %s %q shows no focus (ring: %t, in the window: %t)", p.path(), at.Kind, at.Name, at.Ring, at.Seen)
		}
		if strings.HasPrefix(at.Name, name) {
			return
		}
		stops = append(stops, at.Name)
	}
	p.t.Fatalf("%s: Tab does not come to %q but to %q", p.path(), name, stops[:min(len(stops), 40)])
}

// signInByKeyboard is signIn without a mouse.
func (p *person) signInByKeyboard(name, path string) {
	p.t.Helper()
	p.open("/_auth/login?next=" + path)
	if p.focused().Name != "Username" {
		p.tabTo("Username")
	}
	p.keys(name)
	p.tabTo("Password")
	p.keys(password(name) + "\r")
	p.arrive(path)
}
