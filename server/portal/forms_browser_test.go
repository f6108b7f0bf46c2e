package portal

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/portal/browsertest"
)

// formServer is pageServer with endpoints that tell which forms arrived.
func formServer(t *testing.T, p *Pages) (*httptest.Server, <-chan url.Values) {
	t.Helper()
	posted := make(chan url.Values, 1)
	pages := pageServer(t, p)
	mux := http.NewServeMux()
	mux.Handle("/", pages.Config.Handler)
	take := func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		posted <- r.PostForm
		http.Redirect(w, r, "/signed-out", http.StatusSeeOther)
	}
	mux.HandleFunc("POST /_auth/", take)
	mux.HandleFunc("POST /oauth/", take)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server, posted
}

// Everybody can sign in with the keyboard alone, with and without scripts.
func TestSignInByKeyboardInABrowser(t *testing.T) {
	server, posted := formServer(t, newPages(t, "/"))
	browser := browsertest.Start(t)
	want := url.Values{"username": {"ada"}, "password": {"correct horse"}, "next": {"/reports?year=2026"}}
	for _, look := range []browsertest.Look{
		{Name: "scripts", Width: 1280, Height: 800},
		{Name: "no-scripts", Width: 360, Height: 640, Phone: true, NoScript: true},
	} {
		t.Run(look.Name, func(t *testing.T) {
			page := browser.Open(t, server.URL+"/login-form", look, nil)
			shown := browsertest.Eval[bool](t, page, `document.querySelector(".show").getClientRects().length > 0`)
			if shown == look.NoScript {
				t.Errorf("the button that needs scripts is shown: %v", shown)
			}
			page.WaitFor(t, `document.activeElement.id === "username"`) // the first input has the focus
			page.Press(t, "ada")
			page.Press(t, "\t")
			page.Press(t, "correct horse")
			page.Press(t, "\r")
			if diff := cmp.Diff(want, <-posted); diff != "" {
				t.Errorf("the form (-want +got):\n%s", diff)
			}
			page.WaitFor(t, `location.pathname === "/signed-out"`)
		})
	}
}

func TestKeyboardReachesEverythingInABrowser(t *testing.T) {
	server, look := pageServer(t, newPages(t, "/")), browsertest.Looks()[0]
	browser := browsertest.Start(t)
	for name, want := range map[string][]string{
		"login":     {"wavegate", "Continue with Google", "Continue with Microsoft Entra ID", "Username", "Password", "Show password", "Sign in"},
		"logout":    {"wavegate", "Sign out", "Stay signed in"},
		"no-access": {"wavegate", "Use another account", "Sign out", "go to the start page", "Copy request ID"},
	} {
		t.Run(name, func(t *testing.T) {
			page := browser.Open(t, server.URL+"/"+name, look, nil)
			if diff := cmp.Diff(want, page.TabStops(t)); diff != "" {
				t.Errorf("tab stops (-want +got):\n%s", diff)
			}
		})
	}
}

func TestComfortsInABrowser(t *testing.T) {
	server, look := pageServer(t, newPages(t, "/")), browsertest.Looks()[0]
	browser := browsertest.Start(t)
	t.Run("show the password", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/login-wrong", look, nil)
		kind := `document.getElementById("password").type + " " + document.querySelector(".show").getAttribute("aria-label")`
		for _, want := range []string{"password Show password", "text Hide password", "password Show password"} {
			if got := browsertest.Eval[string](t, page, kind); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			page.Click(t, ".show")
		}
		submitted := browsertest.Eval[string](t, page, `new Promise(resolve => {
			document.forms[0].addEventListener("submit", event => { event.preventDefault(); resolve(document.getElementById("password").type); });
			document.getElementById("password").value = "x";
			document.forms[0].requestSubmit();
		})`)
		if submitted != "password" {
			t.Errorf("a password is sent from an input of type %s, which browsers remember", submitted)
		}
	})
	t.Run("local times", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/consent-device", look, nil)
		got := browsertest.Eval[[]string](t, page, `(() => { const t = document.querySelector("time"); return [t.dateTime, t.title, t.textContent]; })()`)
		want := browsertest.Eval[string](t, page, `new Date("2026-03-09T08:12:40Z").toLocaleString([], {dateStyle: "medium", timeStyle: "short"})`)
		if diff := cmp.Diff([]string{"2026-03-09T08:12:40Z", "9 Mar 2026, 08:12 UTC", want}, got); diff != "" {
			t.Errorf("time (-want +got):\n%s", diff)
		}
	})
}

// A form of ours is followed to another origin only where the policy names it;
// links to providers need no such thing.
func TestFormsLeadToProvidersInABrowser(t *testing.T) {
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte("<!doctype html><title>provider</title><link rel=icon href=data:,>"))
	}))
	t.Cleanup(idp.Close)
	p := newPages(t, "/")
	mux := http.NewServeMux()
	mux.Handle("/_auth/assets/", p.Assets())
	policies := map[string]string{"/named": p.CSPWithForms(idp.URL), "/unnamed": p.CSP()}
	for path, policy := range policies {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
			if err := p.Logout(w, LogoutPage{Action: "/leave", Home: "/leave"}); err != nil {
				t.Error(err)
			}
		})
	}
	mux.HandleFunc("/leave", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, idp.URL+"/end", http.StatusSeeOther)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	browser, look := browsertest.Start(t), browsertest.Looks()[0]
	arrives := `document.title === "provider"`
	t.Run("form, named", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/named", look, nil)
		page.Click(t, "form .button")
		page.WaitFor(t, arrives)
		if problems := page.Problems(); len(problems) > 0 {
			t.Errorf("the browser says: %q", problems)
		}
	})
	t.Run("form, not named", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/unnamed", look, nil)
		browsertest.Eval[string](t, page, `new Promise(resolve => {
			document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
			document.forms[0].requestSubmit();
		})`)
		if !strings.Contains(strings.Join(page.Problems(), "\n"), "form-action") {
			t.Errorf("the browser does not hold the form back: %q", page.Problems())
		}
	})
	t.Run("link, not named", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/unnamed", look, nil)
		page.Click(t, "a.quiet")
		page.WaitFor(t, arrives)
	})
}
