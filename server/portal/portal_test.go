package portal

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func newPages(t *testing.T, base string) *Pages {
	t.Helper()
	p, err := New(base, Branding{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func errorPage(t *testing.T, p *Pages, v ErrorPage) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Error(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestErrorPageSaysWhatHappenedAndWhatToDo(t *testing.T) {
	p := newPages(t, "/")
	for _, status := range []int{400, 401, 403, 404, 405, 413, 429, 500, 502, 503, 504} {
		words := wordsFor(status)
		if words.title == "" || words.message == "" || len(words.advice) == 0 || words.stop == "" {
			t.Errorf("%d lacks words: %+v", status, words)
		}
		page := errorPage(t, p, ErrorPage{Status: status, Code: "some_code", RequestID: "4TQ2XJZK", Message: "A message of its own."})
		for _, want := range []string{words.title, words.advice[0], "some_code", "4TQ2XJZK", "A message of its own.", "stop-" + string(words.stop)} {
			if !strings.Contains(page, want) {
				t.Errorf("the page of %d does not say %q", status, want)
			}
		}
	}
}

func TestErrorPageOfAnUnusualStatus(t *testing.T) {
	p := newPages(t, "/")
	for status, want := range map[int][]string{
		415: {"Unsupported Media Type", "stop-gate"},
		507: {"Insufficient Storage", "stop-inside"},
		599: {"Something broke on our side", "stop-inside"},
		0:   {"This request can’t be read", "stop-gate"},
	} {
		page := errorPage(t, p, ErrorPage{Status: status})
		for _, w := range want {
			if !strings.Contains(page, w) {
				t.Errorf("the page of %d does not say %q", status, w)
			}
		}
		if strings.Contains(page, "Request ID</dt>") || strings.Contains(page, "<code></code>") {
			t.Errorf("the page of %d shows an empty request ID or code", status)
		}
	}
}

func TestErrorPageTakesEverythingForText(t *testing.T) {
	const markup = `<script>alert(1)</script>" onload="x`
	page := errorPage(t, newPages(t, "/"), ErrorPage{Status: 404, Code: markup, Message: markup, RequestID: markup})
	if strings.Contains(page, "<script>alert") || strings.Contains(page, `" onload="x`) {
		t.Errorf("markup came through:\n%s", page)
	}
}

func TestErrorPageNeverLinksToAnotherOrigin(t *testing.T) {
	p := newPages(t, "/gate")
	home := regexp.MustCompile(`class="button" href="([^"]*)"`)
	for base, want := range map[string]string{
		"": "/gate/", "/": "/", "/x/": "/x/",
		"//evil.example": "/gate/", `/\evil.example`: "/gate/", "https://evil.example": "/gate/", "javascript:alert(1)": "/gate/",
		"/\t/evil.example": "/gate/", "\x00//evil": "/gate/", "evil.example": "/gate/", "/?next=//evil": "/gate/",
	} {
		page := errorPage(t, p, ErrorPage{Status: 404, Base: base})
		got := home.FindStringSubmatch(page)
		if got == nil || got[1] != want {
			t.Errorf("Base %q leads to %q, want %q", base, got, want)
		}
	}
}

// The policy forbids everything inline, so a page that has it is broken.
func TestPagesHaveNothingInline(t *testing.T) {
	p := newPages(t, "/")
	page := errorPage(t, p, ErrorPage{Status: 502, RequestID: "x"})
	for _, pattern := range []string{`\sstyle=`, `<style`, `\son[a-z]+=`, `<script>`, `<script[^>]*>[^<]`, `javascript:`, `https?://`} {
		if found := regexp.MustCompile(pattern).FindString(page); found != "" {
			t.Errorf("the page contains %q", found)
		}
	}
	for _, want := range []string{"default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(p.CSP(), want) {
			t.Errorf("the policy lacks %s", want)
		}
	}
	if strings.Contains(p.CSP(), "unsafe") {
		t.Errorf("the policy allows something unsafe: %s", p.CSP())
	}
}

func TestNewRefusesWhatIsNoPath(t *testing.T) {
	for _, base := range []string{"gate", "//gate/", "/gate?x", "/ga te/", `/\gate`, "http://gate/"} {
		if _, err := New(base, Branding{}); err == nil {
			t.Errorf("New(%q) succeeded", base)
		}
	}
}

type failingWriter struct{ error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.error }

func TestErrorReportsTheWritersError(t *testing.T) {
	want := errors.New("gone")
	if err := newPages(t, "/").Error(failingWriter{want}, ErrorPage{Status: 404}); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestAssetsOfAPageAreServedForEver(t *testing.T) {
	for _, base := range []string{"/", "/gate", "/a/b/"} {
		p := newPages(t, base)
		page := errorPage(t, p, ErrorPage{Status: 404})
		links := regexp.MustCompile(`(?:href|src)="([^"]*_auth/assets/[^"]*)"`).FindAllStringSubmatch(page, -1)
		if len(links) != 3 {
			t.Fatalf("base %q: the page has %d assets, want 3", base, len(links))
		}
		for _, link := range links {
			if !strings.HasPrefix(link[1], strings.TrimRight(base, "/")+"/_auth/assets/") {
				t.Errorf("base %q: the asset is at %s", base, link[1])
			}
			response := get(p.Assets(), http.MethodGet, link[1])
			if response.Code != http.StatusOK || response.Body.Len() == 0 {
				t.Errorf("%s: status %d, %d bytes", link[1], response.Code, response.Body.Len())
			}
			if got, want := response.Header().Get("Cache-Control"), "public, max-age=31536000, immutable"; got != want {
				t.Errorf("%s: Cache-Control %q, want %q", link[1], got, want)
			}
			if got := response.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/") && got != "image/svg+xml" {
				t.Errorf("%s: Content-Type %q", link[1], got)
			}
			if head := get(p.Assets(), http.MethodHead, link[1]); head.Code != http.StatusOK || head.Body.Len() != 0 {
				t.Errorf("HEAD %s: status %d, %d bytes", link[1], head.Code, head.Body.Len())
			}
		}
	}
}

func TestAssetsServesNothingElse(t *testing.T) {
	p := newPages(t, "/")
	good := p.assets.named["style.css"]
	for _, path := range []string{
		"/_auth/assets/", "/_auth/assets", "/_auth/assets/style.css", "/_auth/assets/../templates/error.html",
		"/_auth/assets/%2e%2e/portal.go", good + "/", strings.ToUpper(good),
	} {
		if got := get(p.Assets(), http.MethodGet, path); got.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, got.Code)
		}
	}
	got := get(p.Assets(), http.MethodPost, good)
	if got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: status %d, Allow %q", got.Code, got.Header().Get("Allow"))
	}
}

func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}
