package portal

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pagesOf renders every page of signing in with s as each text and u as each
// URL.
func pagesOf(s, u string) map[string]sample {
	page := func(render func(p *Pages, w io.Writer) error) sample { return sample{render: render} }
	return map[string]sample{
		"login": loginSample(LoginPage{
			Providers: []ProviderButton{{s, s, u}, {Name: s, URL: u}}, Form: &LoginForm{Action: u, Next: u, Username: s, Error: s},
			Next: u, Where: s, Message: s, SwitchFrom: s,
		}),
		"signed-out": page(func(p *Pages, w io.Writer) error { return p.SignedOut(w, SignedOutPage{u, s, u}) }),
		"logout":     page(func(p *Pages, w io.Writer) error { return p.Logout(w, LogoutPage{s, u, u, u}) }),
		"no-access": page(func(p *Pages, w io.Writer) error {
			return p.NoAccess(w, NoAccessPage{s, s, s, u, u, u, s, []string{s}})
		}),
		"sign-in-error": page(func(p *Pages, w io.Writer) error {
			return p.SignInError(w, SignInErrorPage{s, s, []string{s}, u, u, s, s})
		}),
		"consent": consentOf(ConsentPage{
			s, "https://text.example", s, true, s, u,
			[]ConsentScope{{s, s, s}, {s, "", "high"}},
			[]string{s},
			u, s, true, &ConsentDevice{s, s, time.Unix(1, 0)}, time.Unix(2, 0),
		}),
		"consent-host": consentOf(ConsentPage{App: s, Goes: s, Account: s, SwitchURL: u, Action: u, Resources: []string{s, s}}),
		"device":       deviceOf(DevicePage{u, s, s, s}),
		"error": page(func(p *Pages, w io.Writer) error {
			return p.Error(w, ErrorPage{401, s, s, s, u, u})
		}),
	}
}

func TestSignInPagesTakeEverythingForText(t *testing.T) {
	const markup = `</title><script>alert(1)</script>'"` + "`" + ` onload="x" {{.}} <!--`
	for name, s := range pagesOf(markup, "/_auth/x?next=%2F") {
		page := s.html(t, newPages(t, "/"))
		if strings.Contains(page, "<script>") || strings.Contains(page, `onload="x"`) || strings.Contains(page, "<!--") {
			t.Errorf("%s: markup came through:\n%s", name, page)
		}
		if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") {
			t.Errorf("%s: the text is not on the page", name)
		}
	}
}

var target = regexp.MustCompile(`(?:href|action|src)="([^"]*)"`)

func TestSignInPagesNeverLeadToAnotherOrigin(t *testing.T) {
	for _, u := range []string{
		"//evil.example", `/\evil.example`, "https://evil.example/", "javascript:alert(1)", "/\t/evil.example", "evil.example",
		"/x\n//evil", "/x#y", "/x?a=<b>", "/x y", "\x00/x", "?x", "data:text/html,x", " /x",
	} {
		for name, s := range pagesOf("text", u) {
			for _, found := range target.FindAllStringSubmatch(s.html(t, newPages(t, "/gate/")), -1) {
				if !strings.HasPrefix(found[1], "/gate/") {
					t.Errorf("%s: %q leads to %q", name, u, found[1])
				}
			}
		}
	}
}

func TestSignInPagesKeepTheirTargets(t *testing.T) {
	const u = "/gate/_auth/init?provider=a&next=%2Freports%3Fyear%3D2026"
	for name, s := range pagesOf("text", u) {
		page := s.html(t, newPages(t, "/gate/"))
		if !strings.Contains(page, `="/gate/_auth/init?provider=a&amp;next=%2Freports%3Fyear%3D2026"`) {
			t.Errorf("%s: the target is lost:\n%s", name, page)
		}
	}
}

// The policy forbids everything inline, and every asset is one that is served.
func TestSignInPagesHaveNothingInline(t *testing.T) {
	p := newPages(t, "/")
	for name, s := range allSamples() {
		page := s.html(t, p)
		for _, pattern := range []string{`\sstyle=`, `<style`, `\son[a-z]+=`, `<script>`, `<script[^>]*>[^<]`, `javascript:`, `=["']?https?://`} {
			if found := regexp.MustCompile(pattern).FindString(page); found != "" {
				t.Errorf("%s contains %q", name, found)
			}
		}
		for _, found := range target.FindAllStringSubmatch(page, -1) {
			if strings.Contains(found[1], "/assets/") && get(p.Assets(), http.MethodGet, found[1]).Code != http.StatusOK {
				t.Errorf("%s: %s is not served", name, found[1])
			}
		}
		if strings.Count(page, "<h1>") != 1 || strings.Count(page, " autofocus") > 1 {
			t.Errorf("%s: not one heading, or more than one autofocus", name)
		}
	}
}

// has fails the test unless the page contains each of the pieces.
func has(t *testing.T, page string, pieces ...string) {
	t.Helper()
	for _, piece := range pieces {
		if !strings.Contains(page, piece) {
			t.Errorf("the page lacks %s", piece)
		}
	}
}

// hasNot is the opposite of has.
func hasNot(t *testing.T, page string, pieces ...string) {
	t.Helper()
	for _, piece := range pieces {
		if strings.Contains(page, piece) {
			t.Errorf("the page has %s", piece)
		}
	}
}

func TestLoginPageOfEachKind(t *testing.T) {
	p, all := newPages(t, "/"), samples()
	page := all["login"].html(t, p)
	has(t, page, `class="button quiet" href="/_auth/init?provider=google&amp;next=%2Freports">Continue with Google`, `<span>or</span>`,
		`name="next" value="/reports?year=2026"`, `autocomplete="username"`, `autocomplete="current-password"`, "to continue to <bdi>/reports</bdi>")
	hasNot(t, page, "autofocus", `role="alert"`)

	page = all["login-provider"].html(t, p)
	has(t, page, `class="button" href=`, "Your session has ended.")
	hasNot(t, page, "<form", "<span>or</span>", "quiet")

	page = all["login-form"].html(t, p)
	has(t, page, `spellcheck="false" required autofocus>`)
	hasNot(t, page, "Continue with", "<span>or</span>")

	page = all["login-wrong"].html(t, p)
	has(t, page, "<title>Error: Sign in", `role="alert">The name or the password is wrong.`, `value="ada"`,
		`autocomplete="current-password" required aria-describedby="sign-in-error" autofocus>`)
	if strings.Contains(regexp.MustCompile(`<input id="password"[^>]*>`).FindString(page), "value") {
		t.Error("the page sends a password back")
	}

	page = all["login-switch"].html(t, p)
	has(t, page, "<h1>Use another account</h1>", "You’re signed in as <bdi>ada@example.com</bdi>", `href="/reports">Stay signed in`)

	has(t, all["login-impossible"].html(t, p), "There is no way to sign in here yet.")
}

func TestLoginFormLeadsWhereThePageDoes(t *testing.T) {
	p := newPages(t, "/")
	page := loginSample(LoginPage{Form: &LoginForm{Action: "/_auth/login"}, Next: "/deep?x=1"}).html(t, p)
	has(t, page, `name="next" value="/deep?x=1"`)
	hasNot(t, loginSample(LoginPage{Form: &LoginForm{Action: "/_auth/login"}}).html(t, p), `name="next"`)
}

func TestLongTargetIsShortened(t *testing.T) {
	page := loginSample(LoginPage{Form: &form, Where: "/" + strings.Repeat("ä", 3000)}).html(t, newPages(t, "/"))
	has(t, page, "ää…</bdi>")
	if len(page) > 8<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
}

func TestViewsAreNotChanged(t *testing.T) {
	providers := []ProviderButton{{URL: "//evil"}, google}
	v, f := LoginPage{Providers: providers, Next: "/n"}, LoginForm{Action: "/a"}
	v.Form = &f
	loginSample(v).html(t, newPages(t, "/"))
	if diff := cmp.Diff([]ProviderButton{{URL: "//evil"}, google}, providers); diff != "" || f.Next != "" {
		t.Errorf("Login changed what it was given: %s, next %q", diff, f.Next)
	}
}

func TestErrorPageLeadsToSignIn(t *testing.T) {
	p := newPages(t, "/")
	for status, want := range map[int]string{401: "Sign in", 403: "Use another account"} {
		page := errorPage(t, p, ErrorPage{Status: status, SignInURL: "/_auth/login?next=%2Fx"})
		has(t, page, `class="button" href="/_auth/login?next=%2Fx">`+want+`</a>`, `class="button quiet" href="/">`)
		hasNot(t, page, "Your key", "need a key")
		hasNot(t, errorPage(t, p, ErrorPage{Status: status}), `href="">`, want+"</a>", "quiet")
	}
	hasNot(t, errorPage(t, p, ErrorPage{Status: 404, SignInURL: "/_auth/login"}), "/_auth/login")
}

func TestPolicyOfFormsTakesOriginsAlone(t *testing.T) {
	p := newPages(t, "/")
	good := []string{"https:", "https://id.example.com", "http://127.0.0.1:8080", "https://[2001:db8::1]:8443", "com.example.app:", "my-app+2:"}
	has(t, p.CSPWithForms(good...), "; form-action 'self' https: https://id.example.com http://127.0.0.1:8080 https://[2001:db8::1]:8443 com.example.app: my-app+2:; ")
	for _, bad := range []string{
		"", "http:", "https: *", "https:;", "https://", "*", "https://*", "https://*.example.com", "https://a.example; script-src *", "https://a.example/path",
		"https://user@a.example", "javascript:x", "data:", "https://a.example b.example", "'unsafe-inline'", "https://a.example,b", "HTTPS://A/", "//a.example",
		"javascript:", "blob:", "filesystem:", "file:", "about:", "view-source:", "ws:", "JavaScript:", "Com.example.app:", "com.example.app", "com.example.app:/", "com.example.app://x",
		":", ".app:", "9app:", "-app:", "com.example.app: *", "com.example.app:;", "com.example;app:", "com_example:", "com.exämple:", "com.example.app::", "com.example.app:\n", "*:",
	} {
		if got := p.CSPWithForms(bad); got != p.CSP() {
			t.Errorf("%q changed the policy to %s", bad, got)
		}
	}
}

func TestBrowserNames(t *testing.T) {
	for agent, want := range map[string]string{
		"": "Unknown browser", "  ": "Unknown browser",
		"curl/8.14.1": "curl",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15":  "Safari on macOS",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Mobile Safari/537.36":  "Chrome on Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36":         "Chrome on ChromeOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/145.0 Mobile/15E": "Chrome on iPhone",
		"My own robot":            "My own robot",
		strings.Repeat("é", 5000): strings.Repeat("é", 59) + "…",
	} {
		if got := browserName(agent); got != want {
			t.Errorf("browserName(%.60q) = %q, want %q", agent, got, want)
		}
	}
}
