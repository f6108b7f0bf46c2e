package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"wavegate/keychain"
	"wavegate/server"
)

func TestUsersFileIsRequiredOnlyWhereItWasNamed(t *testing.T) {
	for _, tt := range []struct {
		env, args []string
		want      bool
	}{
		{nil, nil, false},
		{nil, []string{"--users-file", ".wave-users"}, true},
		{[]string{"WAVEGATE_USERS_FILE=.wave-users"}, nil, true},
	} {
		inFolder(t, nil)
		r, err := parseCommandLine(options(), tt.args).resolve(tt.env)
		if err != nil {
			t.Fatal(err)
		}
		s, problems := r.settings()
		want := keychain.Config{Kind: keychain.LocalUsers, Path: ".wave-users", Required: tt.want}
		if diff := cmp.Diff(want, s.server.Users, cmpopts.IgnoreUnexported(keychain.Config{})); diff != "" || problems != nil {
			t.Errorf("%q %q: %v (-want +got)\n%s", tt.env, tt.args, problems, diff)
		}
	}
}

func TestSignInSettings(t *testing.T) {
	inFolder(t, nil)
	args := strings.Fields("-oidc-provider-url https://id.example.com -oidc-redirect-url https://gate.example.com/_auth/callback -oidc-client-id wave -oidc-client-secret s3cret " +
		"-oidc-end-session-url https://id.example.com/out -oidc-post-logout-redirect-url /bye -oidc-scopes openid,email -oidc-auth-url-params a:b,c:d -oidc-skip-login -no-tls-verify " +
		"--oidc-username-claim upn --oidc-groups-claim realm_access.roles --oidc-email-domains Example.com,b.test -session-expiry 1h --fresh-login 5m --store sqlite:x.db --admins jane@example.com,KEYID")
	r, err := parseCommandLine(options(), args).resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, problems := r.settings()
	if problems != nil || s.warnings != nil {
		t.Error(problems, s.warnings)
	}
	want := server.SignIn{
		Issuer: "https://id.example.com", ClientID: "wave", ClientSecret: "s3cret", RedirectURL: "https://gate.example.com/_auth/callback",
		EndSessionURL: "https://id.example.com/out", PostLogoutRedirectURL: "/bye", Scopes: []string{"openid", "email"},
		AuthURLParams: []string{"a:b", "c:d"}, UsernameClaim: "upn", GroupsClaim: "realm_access.roles", EmailDomains: []string{"example.com", "b.test"},
		SkipLogin: true, NoTLSVerify: true, Lifetime: time.Hour, Idle: 30 * time.Minute, FreshLogin: 5 * time.Minute,
	}
	if diff := cmp.Diff(want, s.server.SignIn); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := s.server.Store + strings.Join(s.server.Admins, " "); got != "sqlite:x.dbjane@example.com KEYID" {
		t.Errorf("store and administrators: %s", got)
	}
}

func TestFreshLoginHasADefaultAndCanBeTurnedOff(t *testing.T) {
	for _, tt := range []struct {
		env, args []string
		want      time.Duration
		problem   string
	}{
		{nil, nil, 15 * time.Minute, ""},
		{[]string{"WAVEGATE_FRESH_LOGIN=1h"}, nil, time.Hour, ""},
		{[]string{"WAVEGATE_FRESH_LOGIN=1h"}, []string{"--fresh-login", "0"}, 0, ""},
		{nil, []string{"--fresh-login", "0s"}, 0, ""},
		{nil, []string{"--fresh-login", "-5m"}, 15 * time.Minute, "no span of time"},
		{nil, []string{"--fresh-login", "15"}, 15 * time.Minute, "lacks a unit"},
	} {
		inFolder(t, nil)
		r, err := parseCommandLine(options(), tt.args).resolve(tt.env)
		if err != nil {
			t.Fatal(err)
		}
		s, problems := r.settings()
		said := fmt.Sprint(problems)
		if tt.problem == "" && (len(problems) > 0 || s.server.SignIn.FreshLogin != tt.want) || !strings.Contains(said, tt.problem) {
			t.Errorf("%q %q: %v, %s", tt.env, tt.args, s.server.SignIn.FreshLogin, said)
		}
	}
}

// TestExampleSettingsAreGood checks examples/env as it is, with its settings of
// sign-in turned on, and that each of its keys is one that exists.
func TestExampleSettingsAreGood(t *testing.T) {
	data, err := os.ReadFile("examples/env")
	if err != nil {
		t.Fatal(err)
	}
	setting := regexp.MustCompile(`(?m)^#(WAVEGATE_[A-Z_]+)=`)
	for _, m := range setting.FindAllStringSubmatch(string(data), -1) {
		if !slices.ContainsFunc(options(), func(o *option) bool { return slices.Contains(o.keys(), m[1]) }) {
			t.Errorf("examples/env: there is no setting %s", m[1])
		}
	}
	signIn := regexp.MustCompile(`(?m)^#(WAVEGATE_(OIDC|SESSION|STORE|ADMINS)[A-Z_]*=)`)
	inFolder(t, map[string]string{"env": string(data), "signin.env": signIn.ReplaceAllString(string(data), "$1")})
	for file, want := range map[string]string{"env": "configuration is good", "signin.env": "provider  https://id.example.com/realms/main"} {
		if code, stdout, stderr := invoke(t, nil, "--check", "-conf", file); code != exitOK || stderr != "" || !strings.Contains(stdout, want) {
			t.Errorf("%s: exit code %d\n%s%s", file, code, stdout, stderr)
		}
	}
}

// TestDomainsThatNameNobodyDoNotLetEverybodyIn is about lists that come out
// empty.
func TestDomainsThatNameNobodyDoNotLetEverybodyIn(t *testing.T) {
	for _, list := range []string{",", " ", " , ,"} {
		inFolder(t, nil)
		for _, in := range [][]string{{"--oidc-email-domains", list}, nil} {
			env := []string(nil)
			if in == nil {
				env = []string{"WAVEGATE_OIDC_EMAIL_DOMAINS=" + list}
			}
			if code, _, stderr := invoke(t, env, append(in, "--check")...); code != exitUsage || !strings.Contains(stderr, "no domain is named") {
				t.Errorf("%q: exit code %d: %s", list, code, stderr)
			}
		}
	}
}

// TestProblemsOfSignInAreToldTogether counts the lines that the operator reads:
// every problem is there, and none twice.
func TestProblemsOfSignInAreToldTogether(t *testing.T) {
	inFolder(t, nil)
	code, _, stderr := invoke(t, nil, "--check", "-oidc-provider-url", "http://id.example.com", "-oidc-client-id", "id", "-oidc-client-secret", "canary",
		"-oidc-redirect-url", "https://gate.example.com/_auth/callback", "-oidc-auth-url-params", "state:x,:y", "-oidc-scopes", "openid,a\"b",
		"--oidc-email-domains", "*.example.com", "--admins", "a@b@c", "--log-level", "loud")
	if code != exitUsage || strings.Contains(stderr, "canary") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{
		"7 problems", "http://id.example.com", `"state"`, `":y"`, `scope "a\"b"`, `"*.example.com"`, `"a@b@c"`, "loud",
	} {
		if strings.Count(stderr, want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, stderr)
		}
	}
}
