package portal

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/portal/browsertest"
)

func TestAppPagesInABrowser(t *testing.T) {
	server, browser := pageServer(t, house(t)), browsertest.Start(t)
	for i, name := range slices.Sorted(maps.Keys(appSamples())) {
		for _, look := range looksOf(i) {
			t.Run(name+"/"+look.Name, func(t *testing.T) {
				page := browser.Open(t, server.URL+"/"+name, look, nil)
				page.Check(t)
				checkTargets(t, page)
				checkWeight(t, page)
				page.Screenshot(t, name)
			})
		}
	}
}

// Nothing on the page is decided by where the focus is or what is biggest.
func TestConsentFavoursNoAnswerInABrowser(t *testing.T) {
	server, browser := pageServer(t, house(t)), browsertest.Start(t)
	for _, look := range []browsertest.Look{browsertest.Looks()[0], smallPhone} {
		for _, name := range []string{"consent", "consent-device", "consent-local"} {
			page := browser.Open(t, server.URL+"/"+name, look, nil)
			got := browsertest.Eval[map[string]bool](t, page, `(() => {
				const [deny, allow] = document.querySelectorAll(".verdict .button");
				const a = deny.getBoundingClientRect(), b = allow.getBoundingClientRect();
				return {same: a.width === b.width && a.height === b.height && a.top === b.top, "nothing focused": document.activeElement === document.body,
					"nothing checked": !document.querySelector(":checked"), "deny is the default": deny.matches(":default")};
			})()`)
			want := map[string]bool{"same": true, "nothing focused": true, "nothing checked": true, "deny is the default": true}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, look.Name, diff)
			}
		}
	}
}

// With the keyboard alone, with and without scripts.
func TestConsentByKeyboardInABrowser(t *testing.T) {
	server, posted := formServer(t, house(t))
	browser := browsertest.Start(t)
	for _, look := range []browsertest.Look{
		{Name: "scripts", Width: 1280, Height: 800},
		{Name: "no-scripts", Width: 360, Height: 640, Phone: true, NoScript: true},
	} {
		for keys, want := range map[string]url.Values{
			"\t\t\t\t\r":  {"request": {"sealed"}, "decision": {"deny"}},
			"\t\t\t \t\r": {"request": {"sealed"}, "remember": {"1"}, "decision": {"deny"}},
			"\t\t\t\r":    {"request": {"sealed"}, "decision": {"deny"}}, // Enter in the checkbox
			"\t\t\t \t\t\r": {
				"request": {"sealed"}, "remember": {"1"}, "decision": {"allow"},
			},
		} {
			page := browser.Open(t, server.URL+"/consent", look, nil)
			for key := range strings.SplitSeq(keys, "") {
				page.Press(t, key)
			}
			if diff := cmp.Diff(want, arrived(t, posted)); diff != "" {
				t.Errorf("%s: %q (-want +got):\n%s", look.Name, keys, diff)
			}
		}
		page := browser.Open(t, server.URL+"/device", look, nil)
		page.WaitFor(t, `document.activeElement.id === "user-code"`)
		page.Press(t, "wdjb mjht\r")
		if diff := cmp.Diff(url.Values{"user_code": {"wdjb mjht"}}, arrived(t, posted)); diff != "" {
			t.Errorf("%s: the code (-want +got):\n%s", look.Name, diff)
		}
	}
}

// arrived returns the next form.
func arrived(t *testing.T, posted <-chan url.Values) url.Values {
	t.Helper()
	select {
	case form := <-posted:
		return form
	case <-time.After(15 * time.Second):
		t.Fatal("no form arrived")
		return nil
	}
}

func TestKeyboardReachesAppPagesInABrowser(t *testing.T) {
	server, browser := pageServer(t, newPages(t, "/")), browsertest.Start(t)
	remember := "Remember this It won’t ask again for the same things. You can withdraw it in the portal, under “Connected apps”."
	for name, want := range map[string][]string{
		"consent":       {"wavegate", "Use another account", remember, "Deny", "Allow"},
		"device-linked": {"wavegate", "Code", "Continue"},
		"lapsed":        {"wavegate", "Ask me again", "Go to the start page"},
		"app-error":     {"wavegate", "Go to the start page", "Copy error", "Copy request ID"},
	} {
		page := browser.Open(t, server.URL+"/"+name, browsertest.Looks()[0], nil)
		got := page.TabStops(t)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: tab stops (-want +got):\n%s", name, diff)
		}
	}
}

// A decision ends at an app on the same machine only where the policy names its
// scheme.
func TestFormsLeadToAppsInABrowser(t *testing.T) {
	const callback = "com.example.app:/callback?code=x"
	p := newPages(t, "/")
	mux := http.NewServeMux()
	mux.Handle("/_auth/assets/", p.Assets())
	for path, policy := range map[string]string{"/named": p.CSPWithForms("com.example.app:"), "/unnamed": p.CSPWithForms("com.example.other:")} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
			if err := p.Consent(w, consentPage()); err != nil {
				t.Error(err)
			}
		})
	}
	mux.HandleFunc("POST /oauth/consent", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, callback, http.StatusSeeOther)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	browser, look := browsertest.Start(t), browsertest.Looks()[0]
	t.Run("named", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/named", look, nil)
		page.Click(t, `[value="allow"]`)
		for deadline := time.Now().Add(15 * time.Second); !slices.Contains(page.Requests(), callback); {
			if time.Now().After(deadline) {
				t.Fatalf("the browser does not go to the app: %q, %q", page.Requests(), page.Problems())
			}
			page.WaitFor(t, "true")
		}
		if problems := page.Problems(); len(problems) > 0 {
			t.Errorf("the browser says: %q", problems)
		}
	})
	t.Run("not named", func(t *testing.T) {
		page := browser.Open(t, server.URL+"/unnamed", look, nil)
		got := browsertest.Eval[string](t, page, `new Promise(resolve => {
			document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
			document.querySelector('[value="allow"]').click();
		})`)
		if got != "form-action" {
			t.Errorf("the browser holds the form back for %q, want form-action", got)
		}
	})
}
