package portaltest

import (
	"fmt"

	"github.com/chromedp/chromedp/kb"

	"wavegate/server/portal/browsertest"
)

// finders are JavaScript functions that find what people look for. Where a dialog is
// open, there is nothing but that. A name is that of the whole thing, or how it
// begins: a label may have a description in it.
const finders = `
	const top = document.querySelector("dialog[open]") ?? document;
	const seen = e => e.getClientRects().length > 0 && e.checkVisibility();
	const name = e => (e.getAttribute("aria-label") ?? (e.innerText || e.value) ?? "").replace(/\s+/g, " ").trim();
	const among = (list, text) => list.find(e => name(e) === text) ?? list.find(e => name(e).startsWith(text));
	const all = (within, selector) => [...within.querySelectorAll(selector)].filter(seen);
	const smallest = text => all(top, "tr, li, fieldset, section, article, form, dd")
		.filter(e => e.innerText.replace(/\s+/g, " ").includes(text)).sort((a, b) => a.innerText.length - b.innerText.length)[0];
	const button = (within, text) => among(all(within, "button, a[href], summary, [role=button], [role=tab], input[type=submit]"), text);
	const field = text => among(all(top, "label").filter(e => e.control), text)?.control
		?? [...top.querySelectorAll("input, select, textarea")].find(e => e.getAttribute("aria-label") === text)
		?? all(top, "legend, [id]").filter(e => name(e) === text).map(e => top.querySelector("[aria-labelledby~='" + e.id + "']")).find(e => e);
`

// found is a JavaScript expression with the finders at hand.
func found(expression string) string { return `(() => {` + finders + `return ` + expression + `;})()` }

// press clicks the button, link or summary with a name.
func (p *person) press(name string) {
	p.t.Helper()
	p.click(`button(top, ` + quote(name) + `)`)
}

// pressAt is press for one of several with the same name: that in the smallest row or
// part of the page that says what.
func (p *person) pressAt(what, name string) {
	p.t.Helper()
	p.click(`smallest(` + quote(what) + `) && button(smallest(` + quote(what) + `), ` + quote(name) + `)`)
}

// click clicks what an expression of the finders returns, once it is there.
func (p *person) click(expression string) {
	p.t.Helper()
	p.page.WaitFor(p.t, found(expression))
	p.page.ClickOn(p.t, found(expression))
}

// unfold opens what a summary with a name folds away, unless it is open.
func (p *person) unfold(name string) {
	p.t.Helper()
	p.page.WaitFor(p.t, found(`button(top, `+quote(name)+`)`))
	if !browsertest.Eval[bool](p.t, p.page, found(`button(top, `+quote(name)+`).closest("details").open`)) {
		p.press(name)
	}
}

// has reports whether there is a button, link or summary with a name.
func (p *person) has(name string) bool {
	p.t.Helper()
	return browsertest.Eval[bool](p.t, p.page, found(`Boolean(button(top, `+quote(name)+`))`))
}

// fill fills in the field with a label: text as if it were pasted in place of what is
// there, the option of a list by its text, and a date or a slider by its value.
func (p *person) fill(label, value string) {
	p.t.Helper()
	p.page.WaitFor(p.t, found(`field(`+quote(label)+`)`))
	typed := browsertest.Eval[bool](p.t, p.page, found(fmt.Sprintf(`(() => {
		const e = field(%s), value = %s;
		e.focus();
		if (e.tagName === "SELECT") {
			const option = [...e.options].find(o => o.text.trim() === value) ?? [...e.options].find(o => o.value === value);
			if (!option) throw new Error("no option " + value + " but " + [...e.options].map(o => o.text));
			e.value = option.value;
		} else if (["date", "datetime-local", "time", "range", "color"].includes(e.type)) {
			e.value = value;
		} else {
			e.select();
			return true;
		}
		e.dispatchEvent(new Event("input", {bubbles: true}));
		e.dispatchEvent(new Event("change", {bubbles: true}));
		return false;
	})()`, quote(label), quote(value))))
	switch {
	case !typed:
	case value == "":
		p.page.Press(p.t, kb.Delete)
	default:
		p.page.Insert(p.t, value)
	}
}

// tick makes the checkbox or the choice with a label be on, or off.
func (p *person) tick(label string, on bool) {
	p.t.Helper()
	p.page.WaitFor(p.t, found(`field(`+quote(label)+`)`))
	if p.ticked(label) != on {
		p.click(`seen(field(` + quote(label) + `)) ? field(` + quote(label) + `) : field(` + quote(label) + `).labels[0]`)
	}
	if p.ticked(label) != on {
		p.t.Errorf("%q cannot be turned", label)
	}
}

// ticked reports whether a checkbox or a choice is on.
func (p *person) ticked(label string) bool {
	p.t.Helper()
	return browsertest.Eval[bool](p.t, p.page, found(`field(`+quote(label)+`).checked`))
}

// value is what stands in the field with a label.
func (p *person) value(label string) string {
	p.t.Helper()
	p.page.WaitFor(p.t, found(`field(`+quote(label)+`)`))
	return browsertest.Eval[string](p.t, p.page, found(`field(`+quote(label)+`).value`))
}
