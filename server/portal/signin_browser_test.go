package portal

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"wavegate/server/portal/browsertest"
)

// pageServer shows the sample /NAME with the headers of the server.
func pageServer(t *testing.T, p *Pages) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/_auth/assets/", p.Assets())
	for name, s := range allSamples() {
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Security-Policy", p.CSP())
			if s.csp != nil {
				w.Header().Set("Content-Security-Policy", s.csp(p))
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			if err := s.render(p, w); err != nil {
				t.Error(err)
			}
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// smallPhone is the narrowest window that pages must fit into.
var smallPhone = browsertest.Look{Name: "small-phone", Width: 360, Height: 640, Phone: true}

func TestSignInPagesInABrowser(t *testing.T) {
	server, browser := pageServer(t, newPages(t, "/")), browsertest.Start(t)
	for i, name := range sampleNames() {
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

// looksOf returns the looks of the page with a number: every one where pictures
// are wanted, and otherwise a large and a small one, light and dark by turns.
func looksOf(page int) []browsertest.Look {
	all := browsertest.Looks()
	switch {
	case os.Getenv("WAVEGATE_SCREENSHOTS") != "":
		return append(all, smallPhone)
	case page%2 == 0:
		small := smallPhone
		small.Dark = true
		return []browsertest.Look{all[0], small}
	default:
		return []browsertest.Look{all[1], smallPhone}
	}
}

// A house of one's own: its colours can be read in both themes, and its logo is
// shown.
func TestBrandedPagesInABrowser(t *testing.T) {
	browser, looks := browsertest.Start(t), browsertest.Looks()
	for accent, look := range map[string]browsertest.Look{
		"#ffd400": looks[0], "#0a7d55": looks[1], "#f4f4f4": looks[2], "#141414": looks[3],
	} {
		t.Run(accent[1:], func(t *testing.T) {
			p, err := New("/", Branding{Name: "Acme Observatory", Logo: []byte(svgLogo), Accent: accent})
			if err != nil {
				t.Fatal(err)
			}
			server := pageServer(t, p)
			for _, name := range []string{"login", "consent"} {
				page := browser.Open(t, server.URL+"/"+name, look, nil)
				page.Check(t)
				checkWeight(t, page)
				if !browsertest.Eval[bool](t, page, `document.querySelector(".brand img").naturalWidth > 0`) {
					t.Error("the logo is not shown")
				}
				page.Screenshot(t, "branded-"+name+"-"+accent[1:])
			}
		})
	}
}

// However long a name is, it stays on the page.
func TestLongNamesFitInABrowser(t *testing.T) {
	p, err := New("/", Branding{Name: strings.Repeat("W", maxName)})
	if err != nil {
		t.Fatal(err)
	}
	pages := pagesOf(strings.Repeat("W", 10_000), "/_auth/x")
	mux := http.NewServeMux()
	mux.Handle("/_auth/assets/", p.Assets())
	mux.HandleFunc("/{name}", func(w http.ResponseWriter, r *http.Request) {
		if s, ok := pages[r.PathValue("name")]; !ok {
			http.NotFound(w, r)
		} else if err := s.render(p, w); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	browser := browsertest.Start(t)
	for name := range pages {
		page := browser.Open(t, server.URL+"/"+name, smallPhone, nil)
		page.CheckFits(t)
		page.Screenshot(t, "long-"+name)
		cut := browsertest.Eval[[]string](t, page, `[...document.querySelectorAll("body *")]
			.filter(e => e.getBoundingClientRect().right > innerWidth || e.matches(".button, .sheet, .tag, .notice") && e.scrollWidth > e.clientWidth)
			.map(e => e.tagName + "." + e.className)`)
		if len(cut) > 0 {
			t.Errorf("%s: cut off: %s", name, strings.Join(cut, ", "))
		}
	}
}

// checkTargets fails the test for what is smaller than a fingertip, links in a
// sentence excepted, and for buttons whose words break.
func checkTargets(t *testing.T, page *browsertest.Page) {
	t.Helper()
	wrong := browsertest.Eval[[]string](t, page, `[...document.querySelectorAll(".button, .field input, .show:not([hidden])")]
		.filter(e => e.getBoundingClientRect().height < 44 || e.getBoundingClientRect().height > 50)
		.map(e => e.outerHTML)`)
	if len(wrong) > 0 {
		t.Errorf("%s: not between 44 and 50 pixels high: %s", page.Look.Name, strings.Join(wrong, "\n"))
	}
}

// checkWeight fails the test for a page that is heavy, or that takes anything
// from another place.
func checkWeight(t *testing.T, page *browsertest.Page) {
	t.Helper()
	weight := browsertest.Eval[int](t, page, `["navigation", "resource"].flatMap(type => performance.getEntriesByType(type))
		.reduce((sum, entry) => sum + entry.decodedBodySize, 0)`)
	if weight == 0 || weight > 100<<10 {
		t.Errorf("the page weighs %d bytes, want at most 100 KB", weight)
	}
	foreign := browsertest.Eval[[]string](t, page, `performance.getEntriesByType("resource").map(entry => entry.name)
		.filter(name => !name.startsWith(location.origin + "/_auth/assets/"))`)
	if len(foreign) > 0 {
		t.Errorf("the page asks for %s", strings.Join(foreign, ", "))
	}
}
