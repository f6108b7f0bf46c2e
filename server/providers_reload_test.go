package server

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wavegate/oidc/oidctest"
)

func TestProviderThatLeavesThePolicyEndsItsSessions(t *testing.T) {
	t.Parallel()
	first, second, third := newIDP(t), newIDP(t), newIDP(t)
	only := func(back string) string { return "providers:\n" + inPolicy("guests", third, back) }
	h := newHouse(t, socketApp, func(back string) string { return only(back) + inPolicy("staff", second, back) }, withUsers(t), withProvider(t, first))
	gone, main, guest, local := newBrowser(t, h.URL).signInAs("1001", "staff"), newBrowser(t, h.URL).signInAs("1001", "main"),
		newBrowser(t, h.URL).signInAs("1001", "guests"), newBrowser(t, h.URL).signInLocal("ann")
	socket, stream, token := gone.dial("/ws"), gone.stream("/events"), gone.token()
	others := []open{main.dial("/ws"), guest.dial("/ws"), local.dial("/ws")}
	waiting := newBrowser(t, h.URL)
	late := waiting.begin("1001", url.Values{"provider": {"staff"}})

	h.rewrite(only(h.back))
	socket.ended("its provider left")
	stream.ended("its provider left")
	gone.xhr("/x").want(t, 401, "credential_required")
	h.do("GET", "/x", "", "Authorization", "Bearer "+token).want(t, 401, "invalid_token")
	h.refusedPage("a login under way", waiting.send("GET", late, nil), http.StatusBadRequest, "stale_login", "left the settings")
	if a := gone.send("GET", "/_auth/init?provider=staff", nil); a.StatusCode != 404 {
		t.Errorf("it can still be chosen: %d", a.StatusCode)
	}
	if labels, _ := buttons(newBrowser(t, h.URL).open("/_auth/login").body); strings.Join(labels, ",") != "single sign-on,guests" {
		t.Errorf("the login page offers %q", labels)
	}
	for i, b := range []*browser{main, guest, local} {
		b.xhr("/x").want(t, 200, "")
		others[i].stays("another provider left")
	}
	h.wantSessions("when it has left", 3)
	h.rewrite(only(h.back) + inPolicy("staff", second, h.back))
	gone.xhr("/x").want(t, 401, "credential_required") // what has ended stays so
	gone.signInAs("1001", "staff").xhr("/x").want(t, 200, "")
}

func TestProviderOfTheSameNameAndAnotherIssuerVouchesForNobodyOfBefore(t *testing.T) {
	t.Parallel()
	before, after := newIDP(t), newIDP(t)
	h := newHouse(t, socketApp, func(back string) string { return "providers:\n" + inPolicy("staff", before, back) })
	b := newBrowser(t, h.URL).signInAs("1001", "staff")
	socket := b.dial("/ws")
	h.rewrite("providers:\n" + inPolicy("staff", after, h.back))
	socket.ended("another issuer")
	b.xhr("/x").want(t, 401, "credential_required")
	h.wantSessions("at the end", 0)
}

func TestAdmissionThatIsNarrowedEndsSessionsAtOnce(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	rule := func(line string) func(string) string {
		return func(back string) string { return "providers:\n" + inPolicy("staff", idp, back, line) }
	}
	h := newHouse(t, socketApp, rule("groups: [eng, ops]"))
	ann, bob := newBrowser(t, h.URL).signInAs("1001", ""), newBrowser(t, h.URL).signInAs("1002", "")
	out, in := ann.dial("/ws"), bob.dial("/ws")
	h.rewrite(rule("groups: [ops]")(h.back))
	out.ended("not admitted any more")
	ann.xhr("/x").want(t, 401, "credential_required")
	bob.xhr("/x").want(t, 200, "")
	in.stays("others are not admitted")
}

func TestClientSecretIsReplacedWithoutRestart(t *testing.T) {
	t.Parallel()
	idp := newIDP(t, shortTokens)
	secret := writeFile(t, filepath.Join(t.TempDir(), "staff.secret"), "\n staff-secret\r\n")
	text := func(back string) string {
		return "providers:\n" + inPolicy("staff", idp, back, "client_secret_file: "+secret)
	}
	h := newHouse(t, socketApp, text)
	b := newBrowser(t, h.URL).signInAs("1001", "")
	socket := b.dial("/ws")

	idp.AddClient(oidctest.Client{ID: "gate-staff", Secret: "the next one", RedirectURLs: []string{h.back}})
	early := newBrowser(t, h.URL)
	h.refusedPage("before the new secret is here", early.send("GET", early.begin("1002", nil), nil), http.StatusBadGateway, "sign_in_misconfigured", "client")
	waiting := newBrowser(t, h.URL)
	late := waiting.begin("1002", nil)
	must(t, os.WriteFile(secret, []byte("the next one"), 0o600)) // the policy stays as it is
	eventually(t, "the file is read again", func() bool { return h.signIn.providers.Load().get("staff").spec.ClientSecret == "the next one" })
	if a := waiting.send("GET", late, nil); a.StatusCode != http.StatusSeeOther {
		t.Errorf("a login that was under way: %d %.300s", a.StatusCode, a.body)
	}
	newBrowser(t, h.URL).signInAs("1002", "")
	asked := idp.Count("/token")
	eventually(t, "the session is renewed with the new secret", func() bool { b.xhr("/x").want(t, 200, ""); return idp.Count("/token") > asked })
	socket.stays("the secret was replaced")

	h.rewrite("providers:\n" + inPolicy("staff", idp, h.back)) // and now in the policy itself
	newBrowser(t, h.URL).signInAs("1002", "")
	b.xhr("/x").want(t, 200, "")
	for _, canary := range []string{"the next one", "staff-secret"} {
		if strings.Contains(h.log.String(), canary) {
			t.Errorf("the log holds the secret %q", canary)
		}
	}
}

func TestBadSecretFileIsRefusedAndTheOldOneStays(t *testing.T) {
	t.Parallel()
	idp, dir := newIDP(t), t.TempDir()
	secret := writeFile(t, filepath.Join(dir, "secret"), "staff-secret")
	for name, content := range map[string]string{"empty": " \n", "long": strings.Repeat("x", 5<<10)} {
		path := writeFile(t, filepath.Join(dir, name), content)
		cfg := testConfig(t)
		cfg.PolicyFile = writeFile(t, filepath.Join(t.TempDir(), "policy.yaml"), "providers:\n"+inPolicy("staff", idp, "http://127.0.0.1/_auth/callback", "client_secret_file: "+path))
		if _, err := New(cfg, &lockedBuffer{}); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "xxx") {
			t.Errorf("%s: error %v, want one that names %s", name, err, path)
		}
	}
	h := newHouse(t, whoApp, func(back string) string {
		return "providers:\n" + inPolicy("staff", idp, back, "client_secret_file: "+secret)
	})
	b := newBrowser(t, h.URL).signInAs("1001", "")
	for _, spoil := range []func() error{
		func() error { return os.WriteFile(secret, nil, 0o600) },
		func() error { return os.Remove(secret) },
	} {
		n := len(h.lines("reload failed, the old one stays"))
		must(t, spoil())
		eventually(t, "the log says so", func() bool { return len(h.lines("reload failed, the old one stays")) > n })
		b.xhr("/x").want(t, 200, "")
		newBrowser(t, h.URL).signInAs("1002", "")
	}
}

func TestProviderThatDidNotChangeKeepsWhatItLearnt(t *testing.T) {
	t.Parallel()
	idp, other := newIDP(t), newIDP(t)
	h := newHouse(t, whoApp, func(back string) string { return "providers:\n" + inPolicy("staff", idp, back) })
	newBrowser(t, h.URL).signInAs("1001", "")
	before, token := h.signIn.providers.Load().get("staff"), idp.LogoutToken("gate-staff", "nobody", "", nil)
	backchannel(h.testServer, token).want(t, 200, "")
	h.rewrite("# a line more\nproviders:\n" + inPolicy("guests", other, h.back) + inPolicy("staff", idp, h.back) + "branding: {name: Acme}\n")
	if after := h.signIn.providers.Load().get("staff"); after != before {
		t.Error("a provider was made anew because it stands on another line")
	}
	backchannel(h.testServer, token).want(t, 400, "invalid_request") // the second time
	newBrowser(t, h.URL).signInAs("1001", "staff")
	if n := idp.Count("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("discovered %d times", n)
	}
}

func TestPagesWearTheHousesBrandAndFollowIt(t *testing.T) {
	t.Parallel()
	const circle = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="4"/></svg>`
	idp := newIDP(t)
	logo := writeFile(t, filepath.Join(t.TempDir(), "logo.svg"), circle)
	text := func(brand string) func(string) string {
		return func(back string) string {
			return "branding: {" + brand + "}\nproviders:\n" + inPolicy("staff", idp, back, "groups: [eng]")
		}
	}
	h := newHouse(t, whoApp, text(`name: "Acme <Gate>", accent: "#0A7D55", logo: `+logo), withUsers(t))
	pages := func() map[string]string {
		stranger, denied, ann := newBrowser(t, h.URL), newBrowser(t, h.URL), newBrowser(t, h.URL).signInLocal("ann")
		return map[string]string{
			"login": stranger.open("/_auth/login").body, "signed out": stranger.open("/_auth/signed-out").body,
			"stale": stranger.open("/_auth/callback?state=x").body, "error": stranger.open("/_auth/init?provider=none").body,
			"no access": denied.send("GET", denied.begin("1002", nil), nil).body, "portal": ann.open("/_portal/profile").body,
			"logout": ann.send("GET", "/_auth/logout", nil, "Sec-Fetch-Site", "cross-site").body,
		}
	}
	one := func(page, pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(page)
		if m == nil {
			return ""
		}
		return m[1]
	}
	for what, page := range pages() {
		picture, style := one(page, `<img src="(/_auth/assets/[^"]+)"`), one(page, `href="([^"]*brand[^"]*\.css)"`)
		if !strings.Contains(page, "<span>Acme &lt;Gate&gt;</span>") || picture == "" || style == "" {
			t.Errorf("%s: no brand on the page: %.700s", what, page)
			continue
		}
		got := h.do("GET", picture, "")
		if got.body != circle || got.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(got.Header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: logo %d %v", what, got.StatusCode, got.Header)
		}
		if got := h.do("GET", style, ""); got.StatusCode != 200 || !strings.Contains(strings.ToLower(got.body), "#0a7d55") {
			t.Errorf("%s: style %d %.300s", what, got.StatusCode, got.body)
		}
	}
	must(t, os.WriteFile(logo, []byte(strings.Replace(circle, "4", "3", 1)), 0o600)) // the file alone
	eventually(t, "the logo is read again", func() bool {
		return strings.Contains(h.do("GET", one(newBrowser(t, h.URL).open("/_auth/login").body, `<img src="(/_auth/assets/[^"]+)"`), "").body, `r="3"`)
	})
	h.rewrite(text("name: Beta")(h.back))
	for what, page := range pages() {
		if !strings.Contains(page, "<span>Beta</span>") || strings.Contains(page, "Acme") || strings.Contains(page, `<img src="/_auth/assets/`) {
			t.Errorf("%s: still the old brand: %.700s", what, page)
		}
	}
	must(t, os.WriteFile(logo, []byte("<script>no picture</script>"), 0o600))
	must(t, os.WriteFile(h.policy, []byte(text("name: Gamma, logo: "+logo)(h.back)), 0o600))
	eventually(t, "the log says so", func() bool { return len(h.lines("reload failed, the old one stays")) > 0 })
	if page := newBrowser(t, h.URL).open("/_auth/login").body; !strings.Contains(page, "<span>Beta</span>") {
		t.Errorf("a logo that is none: %.700s", page)
	}
}
