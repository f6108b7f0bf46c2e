package policy

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const everyProvider = `
providers:
  - name: google
    label: Google
    issuer: https://accounts.google.com
    client_id: c-1
    client_secret: "hunter2 *&!@ 1"
    redirect_url: https://gate.example.com/_auth/callback
    scopes: [openid, groups]
    auth_url_params: {prompt: select_account, hd: example.com}
    end_session_url: https://accounts.google.com/out?x=1
    username_claim: name
    groups_claim: realm_access.roles
    email_domains: [Example.COM, sub.example.org.]
    groups: [staff, Ops]
    insecure_skip_verify: true
  - {name: k-2, issuer: "http://127.0.0.1:8080/realms/a", client_id: c, client_secret_file: k.secret}
branding: {name: Acme Gate, logo: img/Logo.SVG, accent: "#0A7D55"}
upstreams:
  - {route: /, url: https://127.0.0.1:1, tls: {ca_file: ca.pem, cert_file: c.pem, key_file: c-key.pem}}
  - {route: /x, url: https://127.0.0.1:2, tls: {ca_file: ca.pem}}
`

func TestProviders(t *testing.T) {
	p := mustParse(t, everyProvider)
	// Provider hides itself from fmt, and so from cmp's report too.
	type plain Provider
	want := []plain{
		{
			Name: "google", Label: "Google", Issuer: "https://accounts.google.com", ClientID: "c-1", ClientSecret: "hunter2 *&!@ 1",
			RedirectURL: "https://gate.example.com/_auth/callback", Scopes: []string{"openid", "groups"},
			AuthURLParams: [][2]string{{"prompt", "select_account"}, {"hd", "example.com"}}, EndSessionURL: "https://accounts.google.com/out?x=1",
			UsernameClaim: "name", GroupsClaim: "realm_access.roles", EmailDomains: []string{"example.com", "sub.example.org"},
			Groups: []string{"staff", "Ops"}, InsecureSkipVerify: true, Origin: "policy.yaml:3",
		},
		{
			Name: "k-2", Label: "k-2", Issuer: "http://127.0.0.1:8080/realms/a", ClientID: "c", ClientSecretFile: "k.secret",
			Scopes: []string{"openid", "profile", "email"}, Origin: "policy.yaml:17",
		},
	}
	var got []plain
	for _, pr := range p.Providers() {
		got = append(got, plain(pr))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Branding{Name: "Acme Gate", Logo: "img/Logo.SVG", Accent: "#0a7d55"}, p.Branding()); diff != "" {
		t.Errorf("branding (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ca.pem", "c.pem", "c-key.pem", "k.secret", "img/Logo.SVG"}, p.Files()); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestAPolicyWithoutSignInHasNone(t *testing.T) {
	p := mustParse(t, "upstreams: []")
	if len(p.Providers()) != 0 || p.Branding() != (Branding{}) || len(p.Files()) != 0 {
		t.Errorf("got %v %v %v", p.Providers(), p.Branding(), p.Files())
	}
}

func TestProviderSecretsAreNotShown(t *testing.T) {
	pr := Provider{Name: "google", ClientSecret: "hunter2"}
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "provider", pr, "pointer", &pr, "list", []Provider{pr})
	text, err := json.Marshal([]Provider{pr})
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{log.String(), string(text)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		shown = append(shown, fmt.Sprintf(verb, pr), fmt.Sprintf(verb, &pr), fmt.Sprintf(verb, []Provider{pr}), fmt.Sprintf(verb, struct{ P Provider }{pr}))
	}
	for _, s := range shown {
		if strings.Contains(s, "hunter2") || strings.Contains(s, "68756e74657232") {
			t.Errorf("the secret is in %s", s)
		}
	}
}

func TestAdmits(t *testing.T) {
	domains := Provider{EmailDomains: []string{"example.com", "Corp.Example"}}
	groups := Provider{Groups: []string{"staff", "ops"}}
	both := Provider{EmailDomains: []string{"example.com"}, Groups: []string{"staff"}}
	for _, c := range []struct {
		name   string
		pr     Provider
		email  string
		groups []string
		want   bool
	}{
		{"no rule admits everybody", Provider{}, "", nil, true},
		{"of the host", domains, "a@example.com", nil, true},
		{"case aside, both ways", domains, "A@EXAMPLE.com", nil, true},
		{"case of the rule aside", domains, "a@corp.example", nil, true},
		{"no or unverified address", domains, "", nil, false},
		{"a subdomain is another host", domains, "a@sub.example.com", nil, false},
		{"the host as an ending", domains, "a@evilexample.com", nil, false},
		{"the host as a beginning", domains, "a@example.com.evil.test", nil, false},
		{"the host as the name", domains, "example.com@evil.test", nil, false},
		{"two at signs", domains, "a@evil.test@example.com", nil, false},
		{"two at signs the other way", domains, "a@example.com@evil.test", nil, false},
		{"quoted name", domains, `"a@example.com"@evil.test`, nil, false},
		{"no name", domains, "@example.com", nil, false},
		{"host alone", domains, "example.com", nil, false},
		{"final dot", domains, "a@example.com.", nil, false},
		{"space", domains, "a@example.com ", nil, false},
		{"line break", domains, "a@example.com\n", nil, false},
		{"NUL", domains, "a@example.com\x00", nil, false},
		{"list of addresses", domains, "a@evil.test,b@example.com", nil, false},
		{"Kelvin sign", Provider{EmailDomains: []string{"k.test"}}, "a@\u212a.test", nil, false},
		{"address of a literal", domains, "a@[127.0.0.1]", nil, false},
		{"in a group", groups, "", []string{"x", "ops"}, true},
		{"in none", groups, "a@example.com", []string{"x"}, false},
		{"no groups", groups, "", nil, false},
		{"group of another case", groups, "", []string{"Staff", "staff "}, false},
		{"domain and group", both, "a@example.com", []string{"staff"}, true},
		{"domain alone", both, "a@example.com", nil, false},
		{"group alone", both, "a@evil.test", []string{"staff"}, false},
	} {
		if got := c.pr.Admits(c.email, c.groups); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

func TestParseEmailDomain(t *testing.T) {
	for in, want := range map[string]string{
		"Example.com": "example.com", "a.b.c.": "a.b.c", "xn--bcher-kva.example": "xn--bcher-kva.example", "localhost": "localhost",
		"": "", "*.example.com": "", "*": "", "a@b.c": "", "@b.c": "", "[::1]": "", "b.c:25": "", "b c": "", "bücher.example": "", ".": "", "a..b": "", "a/b": "",
	} {
		got, err := ParseEmailDomain(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
}
