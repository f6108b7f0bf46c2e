package oidc_test

import (
	"strings"
	"testing"
	"time"

	"wavegate/oidc"
)

func valid() oidc.Config {
	return oidc.Config{Name: "main", Issuer: "https://id.example.com/realms/x", ClientID: "gate", ClientSecret: "secret"}
}

func TestConfigProblems(t *testing.T) {
	for _, test := range []struct {
		change   func(*oidc.Config)
		contains string // "" is valid
	}{
		{func(*oidc.Config) {}, ""},
		{func(c *oidc.Config) { c.Name = "" }, "name"},
		{func(c *oidc.Config) { c.Name = "a b" }, "name"},
		{func(c *oidc.Config) { c.Issuer = "" }, "missing"},
		{func(c *oidc.Config) { c.Issuer = "id.example.com" }, "want an address"},
		{func(c *oidc.Config) { c.Issuer = "https://" }, "want an address"},
		{func(c *oidc.Config) { c.Issuer = "https://:443/" }, "want an address"},
		{func(c *oidc.Config) { c.Issuer = "ftp://id.example.com" }, "https"},
		{func(c *oidc.Config) { c.Issuer = "http://id.example.com" }, "use https"},
		{func(c *oidc.Config) { c.Issuer = "http://10.0.0.7" }, "use https"},
		{func(c *oidc.Config) { c.Issuer, c.InsecureSkipVerify = "http://id.example.com", true }, "use https"},
		{func(c *oidc.Config) { c.Issuer = "http://127.0.0.1:8080" }, ""},
		{func(c *oidc.Config) { c.Issuer = "http://[::1]:8080" }, ""},
		{func(c *oidc.Config) { c.Issuer = "http://localhost:8080" }, ""},
		{func(c *oidc.Config) { c.Issuer = "http://localhost.evil.example" }, "use https"},
		{func(c *oidc.Config) { c.Issuer = "https://id.example.com?x=1" }, "query"},
		{func(c *oidc.Config) { c.Issuer = "https://id.example.com#x" }, "fragment"},
		{func(c *oidc.Config) { c.Issuer = "https://u:p@id.example.com" }, "user name"},
		{func(c *oidc.Config) { c.Issuer += "/.well-known/openid-configuration" }, "without"},
		{func(c *oidc.Config) { c.ClientID = "" }, "client ID"},
		{func(c *oidc.Config) { c.ClientSecret = "" }, "client secret"},
		{func(c *oidc.Config) { c.Scopes = []string{"a b"} }, "scope"},
		{func(c *oidc.Config) { c.AuthURLParams = []oidc.Param{{"", "x"}} }, "no name"},
		{func(c *oidc.Config) { c.AuthURLParams = []oidc.Param{{"kc_idp_hint", "x"}} }, ""},
		{func(c *oidc.Config) { c.EndSessionURL = "http://id.example.com/logout" }, "use https"},
		{func(c *oidc.Config) { c.EndSessionURL = "https://id.example.com/logout?a=b" }, ""},
		{func(c *oidc.Config) { c.GroupsClaim = "a\nb" }, "claim for groups"},
		{func(c *oidc.Config) { c.GroupsClaim = "https://example.com/groups" }, ""},
		{func(c *oidc.Config) { c.UsernameClaim = strings.Repeat("a", 257) }, "claim for user names"},
		{func(c *oidc.Config) { c.Timeout = -time.Second }, "timeout"},
	} {
		cfg := valid()
		test.change(&cfg)
		err := cfg.Validate()
		switch {
		case test.contains == "" && err != nil:
			t.Errorf("%+v: %v", cfg, err)
		case test.contains != "" && (err == nil || !strings.Contains(err.Error(), test.contains)):
			t.Errorf("%+v: error %v, want %q in it", cfg, err, test.contains)
		}
	}
}

func TestParametersThatWouldWeakenSignInAreRefused(t *testing.T) {
	for _, key := range []string{
		"state", "nonce", "redirect_uri", "response_type", "response_mode", "client_id", "scope",
		"code_challenge", "code_challenge_method", "request", "request_uri",
	} {
		cfg := valid()
		cfg.AuthURLParams = []oidc.Param{{key, "x"}}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("parameter %s: %v", key, err)
		}
	}
}

func TestConfigProblemsComeAllAtOnceWithoutTheSecret(t *testing.T) {
	cfg := oidc.Config{Name: "main", Issuer: "http://id.example.com", ClientSecret: "hush-hush", Timeout: -1}
	_, err := oidc.New(cfg)
	if err == nil {
		t.Fatal("no error")
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 3 {
		t.Errorf("%d problems, want 3:\n%v", n, err)
	}
	if strings.Contains(err.Error(), "hush-hush") {
		t.Errorf("the secret is in the error: %v", err)
	}
}
