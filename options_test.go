package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wavegate/keychain"
)

// TestTableIsWhole holds the table to what help, manual, completions and
// environment rely on.
func TestTableIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range options() {
		if seen[o.name] {
			t.Errorf("--%s is there twice", o.name)
		}
		seen[o.name] = true
		if o.retired {
			continue
		}
		if o.usage == "" || len(o.usage) > 64 || strings.HasSuffix(o.usage, ".") || strings.ContainsAny(o.usage, "|\n`$") {
			t.Errorf("--%s: the usage must be one short line without a full stop, |, ` or $: %q", o.name, o.usage)
		}
		if o.more != "" && !strings.HasSuffix(o.more, ".") {
			t.Errorf("--%s: the further text must be sentences: %q", o.name, o.more)
		}
		if (o.kind == toggle) != (o.arg == "") {
			t.Errorf("--%s: a switch has no value, and every other flag names its own: %q", o.name, o.arg)
		}
		if o.set == nil && !o.ask && o.name != "conf" {
			t.Errorf("--%s goes nowhere", o.name)
		}
		if o.secret && o.hides == "" {
			t.Errorf("--%s: a word behind the secret would be shown", o.name)
		}
		if (o.kind == choice) != (len(o.choices) > 0) {
			t.Errorf("--%s: choices %v for kind %v", o.name, o.choices, o.kind)
		}
	}
}

// TestContractFlags has the names and defaults that users of waved rely on.
func TestContractFlags(t *testing.T) {
	defaults := map[string]string{
		"listen": ":10101", "base-url": "/", "access-key-id": keychain.DefaultID, "access-key-secret": keychain.DefaultSecret,
		"access-keychain": ".wave-keychain", "create-access-key": "", "list-access-keys": "", "remove-access-key": "",
		"tls-cert-file": "", "tls-key-file": "", "no-tls-verify": "", "http-headers-file": "",
		"oidc-provider-url": "", "oidc-redirect-url": "", "oidc-client-id": "", "oidc-client-secret": "", "oidc-end-session-url": "",
		"oidc-post-logout-redirect-url": "", "oidc-scopes": "openid,profile", "oidc-auth-url-params": "", "oidc-skip-login": "",
		"session-expiry": "720h", "session-inactivity-timeout": "30m", "forwarded-http-headers": "*", "allowed-origins": "",
		"max-request-size": "5M", "web-dir": "./www", "public-dir": "", "private-dir": "", "data-dir": "./data", "conf": ".env",
		"keep-app-live": "", "debug": "", "version": "",
		"init": "", "compact": "", "editable": "", "no-store": "", "no-log": "", "proxy": "", "max-cache-request-size": "",
		"max-proxy-request-size": "", "max-proxy-response-size": "", "ping-interval": "", "reconnect-timeout": "",
	}
	for name, def := range defaults {
		o := options().find(name)
		switch {
		case o == nil:
			t.Errorf("-%s is missing", name)
		case o.def != def:
			t.Errorf("-%s: default %q, want %q", name, o.def, def)
		case !o.waved && !o.retired:
			t.Errorf("-%s does not answer to its H2O_WAVE_ name", name)
		}
	}
	if def := options().find("users-file").def; def != ".wave-users" {
		t.Errorf("--users-file: default %q", def)
	}
	for _, name := range []string{
		"upstream", "policy", "public-url", "secret-file", "trusted-proxies", "require-https", "tls-self-signed", "tls-acme-domains", "tls-acme-email",
		"tls-acme-directory-url", "tls-acme-ca-file", "tls-client-ca-file", "http-redirect-listen", "metrics-listen", "log-format", "log-level", "demo",
		"check", "print-config", "completion", "man-page",
		"store", "admins", "users-file", "create-user", "list-users", "remove-user", "generate",
		"oidc-username-claim", "oidc-groups-claim", "oidc-email-domains", "fresh-login",
	} {
		if options().find(name) == nil {
			t.Errorf("--%s is missing", name)
		}
	}
}

func TestHelpShowsEveryFlagInItsWidth(t *testing.T) {
	text, man := help(options()), manPage(options())
	for _, o := range options() {
		if o.hidden || o.retired {
			if strings.Contains(text, "--"+o.name+" ") {
				t.Errorf("the help shows --%s", o.name)
			}
			continue
		}
		if !strings.Contains(text, "--"+o.name) || !strings.Contains(man, "Fl "+o.name) {
			t.Errorf("--%s is missing in the help or the manual", o.name)
		}
	}
	for row := range strings.SplitSeq(text, "\n") {
		if len(row) > helpWidth {
			t.Errorf("wider than %d: %q", helpWidth, row)
		}
	}
}

// TestHelpExamplesAreGood checks that the commands at the end of the help would
// start.
func TestHelpExamplesAreGood(t *testing.T) {
	_, examples, _ := strings.Cut(help(options()), "Examples:\n")
	count := 0
	for row := range strings.SplitSeq(strings.ReplaceAll(examples, "\\\n", " "), "\n") {
		words := regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(row, -1)
		for i, word := range words {
			words[i] = strings.Trim(word, `"`)
		}
		if len(words) < 2 || words[0] != "wavegate" {
			continue
		}
		count++
		inFolder(t, nil)
		line := parseCommandLine(options(), words[1:])
		r, err := line.resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, problems := r.settings(); len(problems) > 0 {
			t.Errorf("%s: %v", row, problems)
		}
	}
	if count < 4 {
		t.Errorf("found %d examples in the help", count)
	}
}

func TestPlainSpellings(t *testing.T) {
	for _, tt := range []struct{ in, want []string }{
		{[]string{"-listen", ":80"}, []string{"--listen=:80"}},
		{[]string{"--listen", ":80"}, []string{"--listen=:80"}},
		{[]string{"-listen=:80"}, []string{"--listen=:80"}},
		{[]string{"-access-keychain=/x=y"}, []string{"--access-keychain=/x=y"}},
		{[]string{"-access-key-secret", "-x"}, []string{"--access-key-secret=-x"}},
		{[]string{"-access-key-secret", "--"}, []string{"--access-key-secret=--"}},
		{[]string{"-debug", "-debug=false"}, []string{"--debug", "--debug=false"}},
		{[]string{"-h"}, []string{"--help"}},
		{[]string{"-no-store", "-init", "a b"}, []string{"--no-store", "--init=a b"}},
	} {
		c := &commandLine{options: options()}
		if got := c.plain(tt.in); !slices.Equal(got, tt.want) || c.problems != nil {
			t.Errorf("%q: got %q, %v; want %q", tt.in, got, c.problems, tt.want)
		}
	}
	for _, in := range [][]string{{"-"}, {"--"}, {"---listen", ":80"}, {"-=x"}, {"--=x"}, {"-x"}, {"-listen"}, {"-hx"}, {""}} {
		c := &commandLine{options: options()}
		if got := c.plain(in); in[0] != "--" && len(c.problems) != 1 {
			t.Errorf("%q: got %q and %d problems %v, want 1", in, got, len(c.problems), c.problems)
		}
	}
}

func FuzzCommandLine(f *testing.F) {
	for _, in := range []string{"-listen\x00:80", "--upstream=x\x00-h", "-access-key-secret\x00--", "---\x00-=\x00x", "-debug\x00false"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		line := parseCommandLine(options(), strings.Split(in, "\x00"))
		for _, v := range options() {
			line.has(v.name)
		}
	})
}

// TestSecretsAreNeverShown pushes a secret through every place that takes one,
// together with everything that can go wrong, and looks for it in what the
// program says.
func TestSecretsAreNeverShown(t *testing.T) {
	const canary = "hunter2-canary"
	flags := [][]string{
		{"-access-key-secret", canary},
		{"-access-key-secret=" + canary, "-oidc-client-secret", canary},
		{"-acess-key-secret", canary},
		{"-acess-key-secret=" + canary},
		{"-access-key-secret=", canary},
		{"-access-key-secret", "a", canary},
		{"--upstream", "http://me:" + canary + "@127.0.0.1"},
		{"--upstream", "http://me:" + canary + "@%zz"},
		{"--public-url", "http://me:" + canary + "@127.0.0.1"},
		{"-oidc-provider-url", "http://me:" + canary + "@%zz"},
		{"-allowed-origins", "http://me:" + canary + "@a"},
		{"-listen", "http://me:" + canary + "@a"},
		{"--store", "postgres://me:" + canary + "@127.0.0.1:1/db?connect_timeout=1"},
		{"--store", "postgres://127.0.0.1:1/db?user=me&connect_timeout=1&password=" + canary},
		{"--store", "postgres://me:" + canary + "@%zz"},
		{"--store", "host=127.0.0.1 password=" + canary},
		{"--stor", "postgres://me:" + canary + "@127.0.0.1/db"},
		{"-oidc-post-logout-redirect-url", "http://me:" + canary + "@%zz"},
		{"-oidc-redirect-url", "http://me:" + canary + "@a"},
		{"--create-user", "jane", canary},
		{"http://me:" + canary + "@a"},
	}
	envs := [][]string{nil, {"H2O_WAVE_ACCESS_KEY_SECRET=" + canary}, {"WAVEGATE_OIDC_CLIENT_SECRET=" + canary}, {"WAVEGATE_ACCESS_KEY_SECERT=" + canary}}
	for _, extra := range [][]string{{"--print-config"}, {"--check"}, {"--nonsense", "-listen", "80"}} {
		for _, f := range flags {
			for _, env := range envs {
				inFolder(t, map[string]string{".env": "WAVEGATE_ACCESS_KEY_SECRET='" + canary + "' x\nH2O_WAVE_OIDC_CLIENT_SECRET=" + canary + "\n"})
				_, stdout, stderr := invoke(t, env, slices.Concat(f, extra)...)
				if strings.Contains(stdout+stderr, canary) {
					t.Errorf("%q with %q shows the secret:\n%s%s", slices.Concat(f, extra), env, stdout, stderr)
				}
			}
		}
	}
}

// TestPanicIsOneLine holds the promise that no user sees a stack trace.
func TestPanicIsOneLine(t *testing.T) {
	var stderr strings.Builder
	code := run(t.Context(), []string{"--help"}, surroundings{stderr: &stderr}) // no standard output: a nil writer
	if code != exitFail || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "this is a bug") {
		t.Errorf("got exit code %d and %q", code, stderr.String())
	}
}

func TestKeychainIsRequiredOnlyWhereItWasNamed(t *testing.T) {
	for _, tt := range []struct {
		env, args []string
		want      bool
	}{
		{nil, nil, false},
		{nil, []string{"-access-keychain", ".wave-keychain"}, true},
		{[]string{"H2O_WAVE_ACCESS_KEYCHAIN=.wave-keychain"}, nil, true},
		{[]string{"H2O_WAVE_ACCESS_KEYCHAIN="}, nil, false},
	} {
		inFolder(t, nil)
		r, err := parseCommandLine(options(), tt.args).resolve(tt.env)
		if err != nil {
			t.Fatal(err)
		}
		s, problems := r.settings()
		if s.server.Keychain.Required != tt.want || problems != nil || s.server.Keychain.ID != "" || s.server.Keychain.Secret != "" {
			t.Errorf("%q %q: got %+v, %v", tt.env, tt.args, s.server.Keychain, problems)
		}
	}
}

func TestServerConfig(t *testing.T) {
	inFolder(t, nil)
	args := strings.Fields("-debug -base-url gate --trusted-proxies 10.0.0.0/8,::1 -forwarded-http-headers a,b --tls-self-signed --public-url https://gate.example.com:8443/x -data-dir d -max-request-size 0 -keep-app-live")
	r, err := parseCommandLine(options(), args).resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, problems := r.settings()
	if problems != nil {
		t.Fatal(problems)
	}
	c := s.server
	got := []any{c.LogLevel, c.BaseURL, len(c.TrustedProxies), strings.Join(c.ForwardHeaders, " "), c.TLS.SelfSigned, c.DataDir, c.MaxRequestSize, c.KeepAppLive, c.Listen, c.WebDirGives, c.LogFormat}
	want := []any{"debug", "/gate/", 2, "a b", true, "d", int64(0), true, ":10101", true, "json"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	r, err = parseCommandLine(options(), []string{"--demo", "-debug", "--log-level", "warn"}).resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, problems := r.settings(); s.server.Listen != "127.0.0.1:10101" || s.server.LogLevel != "warn" || problems != nil {
		t.Errorf("demo listens on %s, level %s, %v", s.server.Listen, s.server.LogLevel, problems)
	}
}

func TestFlatten(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	whole := fmt.Errorf("%w behind %w", a, b)
	got := flatten(errors.Join(a, errors.Join(b, nil, c), whole))
	if want := []error{a, b, c, whole}; !slices.Equal(got, want) || flatten(nil) != nil {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestExamplePoliciesPassTheCheck checks every policy of examples/ as it is, in
// a folder that holds nothing else.
func TestExamplePoliciesPassTheCheck(t *testing.T) {
	files, err := filepath.Glob("examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "\nupstreams:") { // else another program's configuration
			policies[filepath.Base(file)] = string(data)
		}
	}
	if len(policies) < 5 {
		t.Errorf("found %d policies in examples/", len(policies))
	}
	inFolder(t, policies)
	for name := range policies {
		if code, _, stderr := invoke(t, nil, "--policy", name, "--check"); code != exitOK {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
	}
}
