package portal

import (
	"maps"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// appPagesOf is pagesOf for the pages about apps, those that lead nowhere too.
func appPagesOf(s, u string) map[string]sample {
	pages := pagesOf(s, u)
	maps.DeleteFunc(pages, func(name string, _ sample) bool { return !strings.HasPrefix(name, "consent") && name != "device" })
	pages["device-done"] = deviceDoneOf(DeviceDonePage{s, true})
	pages["device-denied"] = deviceDoneOf(DeviceDonePage{s, false})
	pages["app-error"] = appErrorOf(AppErrorPage{s, s, s, false, s})
	pages["lapsed"] = lapsedOf(LapsedPage{App: s, AgainURL: u, Again: "Ask me again"})
	return pages
}

func TestAppPagesTakeEverythingForText(t *testing.T) {
	const markup = `</title><script>alert(1)</script>'"` + "`" + ` onload="x" {{.}} <!--`
	for name, s := range appPagesOf(markup, "/_auth/x") {
		page := s.html(t, newPages(t, "/"))
		hasNot(t, page, "<script>", `onload="x"`, "<!--")
		if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") {
			t.Errorf("%s: the text is not on the page", name)
		}
	}
}

// isolated is where text of others may stand without turning ours: elements that
// are isolated or paragraphs of their own, attributes, and what is only spoken.
var isolated = regexp.MustCompile(`<(bdi|code)[^>]*>[^<]*</(bdi|code)>|<p [^>]*>[^<]*</p>|<p>[^<]*</p>|<span class="spoken">[^<]*</span>|="[^"]*"`)

func TestAppPagesKeepRightToLeftTextToItself(t *testing.T) {
	const name = "\u202eלוח\u2069 כוכבים"
	for page, s := range appPagesOf(name, "/_auth/x") {
		html := s.html(t, newPages(t, "/"))
		if !strings.Contains(html, "כוכבים") {
			t.Errorf("%s: the text is not on the page", page)
		}
		if rest := isolated.ReplaceAllString(html, ""); strings.Contains(rest, "כוכבים") {
			t.Errorf("%s: it stands among our words:\n%s", page, rest)
		}
	}
	for _, html := range []string{
		consentOf(ConsentPage{App: name}).html(t, newPages(t, "/")), deviceDoneOf(DeviceDonePage{App: name}).html(t, newPages(t, "/")),
	} {
		has(t, html, "<bdi>לוח כוכבים</bdi>")
		hasNot(t, html, "\u202e", "\u2069")
	}
}

func TestConsentPage(t *testing.T) {
	p := newPages(t, "/")
	page := consentOf(consentPage()).html(t, p)
	has(t, page, "<title>Allow an app? · wavegate</title>", "<h1><bdi>Starplot</bdi> wants to use your account</h1>", "<bdi>ada@acme.example</bdi>",
		`href="/_auth/login?switch=1&amp;next=%2Foauth%2Fauthorize">Use another account`, "<dt>Takes you to</dt><dd><bdi>plots.example.com</bdi>",
		`<input type="hidden" name="request" value="sealed">`, `name="remember" value="1">`, "3 February 2026", "<bdi>starplot.example</bdi> <span class=\"detail\">not verified</span>")
	hasNot(t, page, "autofocus", "checked", "Does your device", "Did you start this yourself?", "this device", `href="https:`)
	if deny, allow := strings.Index(page, `value="deny"`), strings.Index(page, `value="allow"`); deny < 0 || deny > allow {
		t.Error("Deny is not what Enter does")
	}

	page = appSamples()["consent-local"].html(t, p)
	has(t, page, "a program on this device", "https://archive.acme.example")
	hasNot(t, page, "remember", "Its home page")

	page = consentOf(devicePage()).html(t, p)
	has(t, page, "<title>Allow a device? ·", "Does your device show this code?", "<bdi>WDJB-MJHT</bdi>", "The device asked from <bdi>203.0.113.7</bdi>", "9 Mar 2026, 08:12 UTC",
		"Did you start this yourself?", "Nobody from this service will ever send you a code.")
	hasNot(t, page, "Takes you to", "autofocus")

	page = consentOf(ConsentPage{Device: &ConsentDevice{Code: "WDJB-MJHT"}}).html(t, p)
	has(t, page, "An app without a name")
	hasNot(t, page, "<form", "<time", "The device asked", "0001", "If you allow it", "Use another account")
}

// The greatest risk comes first, and is told in words.
func TestConsentScopesInOurWords(t *testing.T) {
	got := consentAsks([]ConsentScope{
		{Name: "openid"},
		{Name: "profile"},
		{Name: "email"},
		{Name: "offline_access", Description: "Their own words", Risk: "low"},
		{Name: "a", Risk: "enormous"},
		{Name: "b", Risk: "medium"},
		{Name: "*"},
		{Name: "c", Description: "C", Risk: "high"},
	})
	want := []consentAsk{
		{"*", "Do everything that you can do here", "high"},
		{"c", "C", "high"},
		{"b", "", "medium"},
		{"offline_access", "Their own words", "low"},
		{"openid", "Sign you in with this account", ""},
		{"profile", "See your user name and groups", ""},
		{"email", "See your e-mail address", ""},
		{"a", "", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scopes (-want +got):\n%s", diff)
	}
	page := consentOf(consentPage()).html(t, newPages(t, "/"))
	has(t, page, "</svg>High risk</p>", "</svg>Medium risk</p>", "</svg>Low risk</p>", "<bdi>Keep this access while you are away, until you withdraw it</bdi>")
}

func TestConsentShowsTheEndOfALongHost(t *testing.T) {
	page := consentOf(ConsentPage{Goes: "login.acme.example." + strings.Repeat("a.", 5000) + "evil.example"}).html(t, newPages(t, "/"))
	has(t, page, "<dd><bdi>…", "a.evil.example</bdi>")
	hasNot(t, page, "login.acme.example")
}

func TestHomePages(t *testing.T) {
	for raw, want := range map[string]string{
		"https://starplot.example": "starplot.example", "https://starplot.example/": "starplot.example",
		"https://sites.example:8443/~ada/?x=1#y":        "sites.example:8443/~ada",
		"https://a.example/" + strings.Repeat("x", 500): "a.example/" + strings.Repeat("x", 69) + "…",
		"": "", "http://a.example": "", "javascript:alert(1)": "", "//a.example": "", "https://": "", "https:///x": "", "a.example": "",
		"https://acme.example@evil.example/": "", "https://аcme.example": "", "https://a\u202e.example": "", "https://%zz": "",
	} {
		if got := homePage(raw); got != want {
			t.Errorf("homePage(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestAppNames(t *testing.T) {
	for name, want := range map[string]string{
		"Starplot": "Starplot", " Star \n\t plot ": "Star plot", "نجوم": "نجوم", "👩‍🚀 Crew": "👩‍🚀 Crew", "Ὀρίων": "Ὀρίων",
		"": "An app without a name", " \u2003\u3164\u200b\u200d": "An app without a name", "\u202e\u2066\u200f": "An app without a name",
		"a\u202eb\u2066c\u2069d\u00ad\ufeffe\x00f\u2028g": "abcdef g", "Z" + strings.Repeat("\u0353", 50) + "o": "Z\u0353\u0353\u0353o",
		strings.Repeat("x", 10_000): strings.Repeat("x", maxAppName-1) + "…", "a\xffb": "a\ufffdb",
	} {
		if got := appName(name); got != want {
			t.Errorf("appName(%.80q) = %q, want %q", name, got, want)
		}
	}
}

// Whatever somebody calls an app, it is one short line of things to be seen.
func TestAppNamesAreHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("aא\u0301\u200d\u202e\u2066\u2069\u00ad\u3164\u2028\n \x00")))).Draw(t, "name")
		got := appName(name)
		if !utf8.ValidString(got) || strings.TrimSpace(got) == "" || utf8.RuneCountInString(got) > maxAppName {
			t.Fatalf("appName(%q) = %q", name, got)
		}
		for _, c := range got {
			if c != '\u200c' && c != '\u200d' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || unicode.In(c, unicode.Zl, unicode.Zp)) {
				t.Fatalf("appName(%q) keeps %U", name, c)
			}
		}
	})
}

func TestDevicePage(t *testing.T) {
	p, all := newPages(t, "/"), appSamples()
	page := all["device"].html(t, p)
	has(t, page, `name="user_code" type="text" value="" inputmode="text" autocomplete="off" autocapitalize="characters"`, " autofocus>",
		"Enter the code that your device shows.", "Nobody from this service will ever send you a code.", "<bdi>ada@acme.example</bdi>")
	hasNot(t, page, `role="alert"`, "aria-invalid")

	page = all["device-linked"].html(t, p) // Enter alone must not confirm a code that somebody sent
	has(t, page, `value="WDJB-MJHT"`, "Go on only if your device shows this very code.")
	hasNot(t, page, "autofocus")

	page = all["device-wrong"].html(t, p)
	has(t, page, "<title>Error: Connect a device", `value="wdjbmjhx"`, `aria-describedby="code-error code-hint phishing" aria-invalid="true" autofocus>`,
		`id="code-error" role="alert">No device waits with this code.`)
	hasNot(t, deviceOf(DevicePage{Action: "/x", Code: strings.Repeat("W", 10_000)}).html(t, p), strings.Repeat("W", maxUserCode))
}

func TestDeviceDonePage(t *testing.T) {
	p, all := newPages(t, "/"), appSamples()
	has(t, all["device-done"].html(t, p), "<h1>Your device is connected</h1>", "<bdi>Starplot for TV</bdi> goes on by itself")
	page := all["device-denied"].html(t, p)
	has(t, page, "<h1>Your device was not let in</h1>", "got nothing from your account", "Did somebody send you that code?")
	hasNot(t, page, "is connected")
}

func TestAppErrorPage(t *testing.T) {
	p, all := newPages(t, "/"), appSamples()
	page := all["app-error"].html(t, p)
	has(t, page, "Asked by <bdi>Starplot</bdi>", "an address that it has not registered", "only they can mend it", `<code id="error-code">invalid_request</code>`,
		`data-copy="error-code"`, `<code id="request-id">4TQ2XJZK7M3VPRB5N6HWYC8DSA</code>`, `data-copy="request-id"`)
	hasNot(t, all["app-error-unknown"].html(t, p), "Asked by")
	page = appErrorOf(AppErrorPage{}).html(t, p)
	has(t, page, "Something in the request is missing")
	hasNot(t, page, "<dl", "Asked by", "what is below")
	page = all["app-error-over"].html(t, p)
	has(t, page, "<h1>Begin again in the app</h1>", "Go back to the app and begin again there", "Tell the app’s developer, with what is below.")
	hasNot(t, page, "is wrong", "only they can mend it", "trying again")
}

func TestLapsedPageSaysThatNothingWasGiven(t *testing.T) {
	all, p := appSamples(), newPages(t, "/")
	has(t, all["lapsed"].html(t, p), "Nothing was given to <bdi>Starplot</bdi>. Sign in, and you are asked again.", `<a class="button" href="/oauth/authorize?client_id=x">Ask me again</a>`)
	page := all["lapsed-unknown"].html(t, p)
	has(t, page, "Nothing was given away.", "begin again")
	hasNot(t, page, `class="button" `)
	hasNot(t, lapsedOf(LapsedPage{AgainURL: "//evil.example", Again: "Ask me again"}).html(t, p), "evil.example", "Ask me again")
}
