package signintest

import (
	"strings"
	"testing"
	"time"

	"wavegate/server/portal/browsertest"
)

// signOut leaves by the link of the portal.
func (tb *tab) signOut() {
	tb.who.t.Helper()
	tb.wantPage("Profile")
	tb.tap(`.rail a[href="/_auth/logout"]`)
}

// leave goes through the provider's question whether to sign out there.
func (tb *tab) leave() {
	tb.who.t.Helper()
	tb.WaitFor(tb.who.t, `document.title === "Sign out at the test provider"`)
	tb.tap("#leave")
	tb.wantPage("You’re signed out")
}

// logoutThenBack shows first that the browser would keep the app's page: the
// test that follows is worth nothing otherwise.
func logoutThenBack(t *testing.T, s *stage) {
	p := s.newcomer(t)
	tb := p.open("/kept")
	tb.single("ada")
	tb.wantApp("ada", "/kept")
	tb.Navigate(t, p.gate+"/further")
	tb.wantApp("ada", "/further")
	asked := s.app.pages("/kept")
	tb.back(1)
	tb.wantApp("ada", "/kept")
	if n := s.app.pages("/kept"); n != asked {
		t.Fatalf("the app was asked %d times, not %d: nothing is cached, so this shows nothing", n, asked)
	}
	tb.Navigate(t, p.gate+"/kept")
	tb.wantApp("ada", "/kept")
	asked = s.app.pages("/kept") // a browser that is led to where it is asks anew
	tb.tap("#logout")
	tb.leave()
	if name, _ := tb.cookie(); name != "" {
		t.Error("the cookie is still there")
	}
	tb.back(2) // over the provider's question
	tb.wantPage("Sign in")
	tb.Navigate(t, p.gate+"/further")
	tb.wantPage("Sign in")
	if n := s.app.pages("/kept"); n != asked {
		t.Errorf("the app was asked %d times, want %d: somebody who is signed out got a page", n, asked)
	}
	tb.tap(`a[href*="provider=main"]`)
	tb.atProvider("boris") // ada is signed out there too
	tb.wantApp("boris", "/further")
}

func logoutEndsSockets(t *testing.T, s *stage) {
	p := s.newcomer(t)
	watch := p.open("/watch", "WebSocket", "/api/now")
	watch.single("ada")
	watch.WaitFor(t, `document.getElementById("socket")?.textContent === "open for ada"`)
	tb := p.open("/_portal/profile")
	tb.signOut()
	tb.WaitFor(t, `document.title === "Sign out at the test provider"`)
	left := browsertest.Eval[float64](t, tb.Page, `performance.timeOrigin`) // the logout was before
	watch.WaitFor(t, `document.getElementById("socket").textContent === "closed"`)
	if after := browsertest.Eval[float64](t, watch.Page, `closedAt`) - left; after > 1000 {
		t.Errorf("the socket was closed %.0f ms after the logout, want a second at most", after)
	}
	browsertest.Eval[bool](t, watch.Page, `(connect(), true)`)
	watch.WaitFor(t, `document.getElementById("socket").textContent === "refused"`)
	watch.wants401()
	tb.leave()
}

// wants401 has the page's script ask for data in vain. No window of the browser's
// own may ask for a password.
func (tb *tab) wants401() {
	tb.who.t.Helper()
	tb.CatchPrompts(tb.who.t)
	got := tb.ask()
	if !strings.HasPrefix(got, `401 application/json Bearer realm="wavegate" {"error":`) || !strings.Contains(got, `"credential_required"`) {
		tb.who.t.Errorf("the script got %s", got)
	}
	if n := tb.Prompts(); n > 0 {
		tb.who.t.Errorf("the browser opened %d windows that ask for a password", n)
	}
}

// foreignLogout follows a link from another site: somebody else's page must not
// sign people out.
func foreignLogout(t *testing.T, s *stage) {
	p := s.newcomer(t)
	tb := p.open("/one", s.app.url)
	tb.form("carla", passwordOf("carla"))
	tb.wantApp("carla", "/one")
	tb.Navigate(t, s.app.url+"/_elsewhere")
	browsertest.Eval[bool](t, tb.Page, `(document.getElementById("logout").href = `+quote(p.gate+"/_auth/logout")+`, true)`)
	tb.tap("#logout")
	tb.wantPage("Sign out?")
	tb.tap("main a")
	tb.wantApp("carla", "/")
	tb.Navigate(t, p.gate+"/_portal/profile")
	tb.signOut()
	tb.wantPage("You’re signed out")
}

// sessionEnds waits for the end of the idle time, which closes the socket of the
// page: nobody touches it meanwhile.
func sessionEnds(t *testing.T, s *stage) {
	p := s.newcomer(t)
	p.gate = s.hasty
	tb := p.open("/watch?x=1", "/api/now")
	tb.form("carla", passwordOf("carla"))
	tb.WaitFor(t, `document.getElementById("socket")?.textContent === "open for carla"`)
	timed(t, "the end of an idle session", hastyIdle+5*time.Second, func() {
		tb.WaitFor(t, `document.getElementById("socket").textContent === "closed"`)
	})
	tb.wants401()
	tb.Navigate(t, p.gate+"/next?y=2") // as a link of the page would
	tb.form("carla", passwordOf("carla"))
	tb.wantApp("carla", "/next?y=2")

	// What the windows are counted with does count them.
	control := s.newcomer(t).open("/_auth/login")
	control.CatchPrompts(t)
	control.Navigate(t, s.gate+"/machines")
	if control.Prompts() == 0 {
		t.Error("a Basic challenge opened no window: the test above shows nothing")
	}
}

func endOtherBrowser(t *testing.T, s *stage) {
	home, phone := s.newcomer(t), s.newcomer(t)
	away := phone.open("/watch", "WebSocket")
	away.form("dmitri", passwordOf("dmitri"))
	away.WaitFor(t, `document.getElementById("socket")?.textContent === "open for dmitri"`)

	tb := home.open("/_portal/sessions")
	tb.form("dmitri", passwordOf("dmitri"))
	tb.wantPage("Sessions")
	tb.WaitFor(t, `document.querySelectorAll(".list tbody tr").length === 2`)
	tb.tap(`.list form button`)
	tb.WaitFor(t, `document.querySelectorAll(".list tbody tr").length === 1`)
	away.WaitFor(t, `document.getElementById("socket").textContent === "closed"`)
	away.Navigate(t, phone.gate+"/one")
	away.wantPage("Sign in")
	tb.Navigate(t, home.gate+"/one")
	tb.wantApp("dmitri", "/one")
}

func newPassword(t *testing.T, s *stage) {
	home, phone := s.newcomer(t), s.newcomer(t)
	away := phone.open("/one")
	away.form("dmitri", passwordOf("dmitri"))
	away.wantApp("dmitri", "/one")

	const wanted = "four grey herons"
	tb := home.open("/_portal/profile")
	tb.form("dmitri", passwordOf("dmitri"))
	tb.wantPage("Profile")
	for name, text := range map[string]string{"current_password": passwordOf("dmitri"), "new_password": wanted, "repeat_password": wanted} {
		tb.tap("[name=" + name + "]")
		tb.Press(t, text)
	}
	tb.Press(t, "\r")
	tb.WaitFor(t, `document.querySelector("[role=status]")?.textContent.includes("Your password is changed")`)
	away.Navigate(t, phone.gate+"/two")
	away.form("dmitri", wanted)
	away.wantApp("dmitri", "/two")
}
