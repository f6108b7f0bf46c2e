package portaltest

import (
	"testing"

	"wavegate/server/portal/browsertest"
)

// A page that moves asks for itself once at a time, however often it is looked at, and
// says that nobody did it; once it was answered it goes on.
func TestAPageThatMovesAsksOnceAtATime(t *testing.T) {
	p := newGate(t).signedIn(t, "grace", "/_portal/health")
	browsertest.Eval[bool](t, p.page, `(() => {
		const real = fetch;
		window.asked = [];
		window.fetch = (...how) => new Promise(done => asked.push({how, answer: () => done(real(...how))}));
		return true;
	})()`)
	p.page.WaitFor(t, `asked.length === 1`)
	look := `(() => { for (let i = 0; i < 5; i++) document.dispatchEvent(new Event("visibilitychange")); return asked.length; })()`
	if n := browsertest.Eval[int](t, p.page, look); n != 1 {
		t.Errorf("it asks %d times at once", n)
	}
	if said := browsertest.Eval[string](t, p.page, `asked[0].how[1].headers["Wavegate-Live"] ?? ""`); said != "1" {
		t.Errorf("it says %q of itself", said)
	}
	browsertest.Eval[bool](t, p.page, `(asked[0].answer(), true)`)
	p.page.WaitFor(t, `asked.length === 2`)
	browsertest.Eval[bool](t, p.page, `(asked[1].answer(), true)`)
}

// A form is sent to where it says, also where one of its fields is called action.
func TestAFieldCalledActionIsNotWhereAFormGoes(t *testing.T) {
	p := newGate(t).signedIn(t, "grace", "/_portal/audit")
	browsertest.Eval[bool](t, p.page, `(() => {
		window.here = true;
		const what = document.querySelector("main select[name=action]");
		what.selectedIndex = 1;
		what.dispatchEvent(new Event("change", {bubbles: true}));
		return true;
	})()`)
	p.page.WaitFor(t, `location.search.includes("action=") && !document.getElementById("main").classList.contains("busy")`)
	if !browsertest.Eval[bool](t, p.page, `window.here === true && location.pathname === "/_portal/audit"`) {
		t.Error("the whole page was loaded, or another")
	}
}
