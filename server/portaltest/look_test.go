package portaltest

import (
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"wavegate/server/portal/browsertest"
)

// maxWeight is what a page may weigh with all that it loads, in bytes.
const maxWeight = 100 << 10

// A load is what the browser knows of the page on show.
type load struct {
	Began  float64 `json:"began"`  // milliseconds since 1970; another page has another
	Page   string  `json:"page"`   // path and heading
	Kind   string  `json:"kind"`   // the path without what changes from thing to thing, and what makes the page another one
	Status int     `json:"status"` // of the answer
	Weight int     `json:"weight"` // bytes of the document and what it loaded
	Paint  float64 `json:"paint"`  // milliseconds until something was on the screen; 0 where nothing is
}

// loaded waits until the page on show is whole, and says what is known of it. What the
// portal's script put in place of another page is a page too, of the same load.
func (p *person) loaded() load {
	p.t.Helper()
	p.page.WaitFor(p.t, `document.readyState === "complete" && performance.getEntriesByType("navigation")[0]?.loadEventEnd > 0`)
	return browsertest.Eval[load](p.t, p.page, `(() => {
		const [page] = performance.getEntriesByType("navigation");
		return {
			began: performance.timeOrigin,
			page: location.pathname + " " + (document.querySelector("h1")?.innerText ?? ""),
			kind: location.pathname.replace(/\/(?=[^\/]*\d)[\w-]{8,}/g, "/*") + [".secret", "#form-problem", ".nothing", ".change-note", "#note"].filter(s => document.querySelector(s)).join(""),
			status: page.responseStatus,
			weight: [page, ...performance.getEntriesByType("resource")].reduce((sum, e) => sum + e.encodedBodySize, 0),
			paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0,
		};
	})()`)
}

// firstPaint is how long it took until something of the page was on the screen. The
// browser says it a moment after that.
func (p *person) firstPaint() time.Duration {
	p.t.Helper()
	p.page.WaitFor(p.t, `performance.getEntriesByName("first-contentful-paint").length > 0`)
	return time.Duration(p.loaded().Paint * float64(time.Millisecond))
}

// wantPage checks the page on show and the status of its answer. Where that is no good
// one, the test waits with see first.
func (p *person) wantPage(status int) {
	p.t.Helper()
	if got := p.loaded(); got.Status != status {
		p.t.Errorf("%s is answered %d, want %d", got.Page, got.Status, status)
	}
	p.checkNew()
}

// checkNew checks the page on show, unless it did before: the page as it was loaded,
// and, once for each kind and each look in all tests, that everybody can use it.
func (p *person) checkNew() {
	p.t.Helper()
	now := p.loaded()
	if now.Began != p.last && (now.Weight == 0 || now.Weight > maxWeight) {
		p.t.Errorf("%s weighs %d bytes, want at most %d", now.Page, now.Weight, maxWeight)
	}
	p.last = now.Began
	if _, done := proved.LoadOrStore(p.look.Name+" "+now.Kind, true); !done {
		p.check()
	}
}

// check checks that the page as it is now fits into the window and that everybody can
// use it. It is for what came without a load: a dialog, a field with an error.
func (p *person) check() {
	p.t.Helper()
	p.page.CheckFits(p.t)
	p.page.Scripted(p.t, func() { p.page.CheckAccessible(p.t) })
}

// allow says that the browser may complain about something: an answer 422 to a script
// is an error to it.
func (p *person) allow(complaint string) { p.known = append(p.known, complaint) }

func (p *person) allows(complaint string) bool {
	return slices.ContainsFunc(p.known, func(known string) bool { return strings.Contains(complaint, known) })
}

// checkAll fails the test for what the browser complained about, and for what it asked
// of others.
func (p *person) checkAll() {
	if p.page == nil {
		return
	}
	for _, problem := range p.page.Problems() {
		if !p.allows(problem) {
			p.t.Errorf("the browser says: %s", problem)
		}
	}
	for _, address := range p.page.Requests() {
		to, err := url.Parse(address)
		if err != nil || to.Scheme != "data" && to.Scheme != "blob" && to.Scheme+"://"+to.Host != p.url && !p.allows(address) {
			p.t.Errorf("the browser asked for %s", address)
		}
	}
}

// shot takes pictures of the page as it is now, as on a desktop and a phone, in the
// light and the dark, where WAVEGATE_SCREENSHOTS names a folder. Without JavaScript
// the name ends in -noscript.
func (p *person) shot(name string) {
	p.t.Helper()
	if os.Getenv("WAVEGATE_SCREENSHOTS") == "" {
		return
	}
	if p.look.NoScript {
		name += "-noscript"
	}
	for _, l := range browsertest.Looks() {
		p.page.Show(p.t, l)
		p.page.CheckFits(p.t)
		p.page.Screenshot(p.t, name)
	}
	p.page.Show(p.t, p.look)
}
