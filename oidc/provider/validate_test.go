package provider

import (
	"context"
	"strings"
	"testing"
)

// goodConfig returns a Config without problems.
func goodConfig() Config {
	same := func(_ string, b []byte) ([]byte, error) { return b, nil }
	const at = "https://id.example.com/oauth/"
	return Config{
		Issuer: "https://id.example.com",
		Endpoints: Endpoints{
			Authorize: at + "authorize", Token: at + "token", Revoke: at + "revoke", Introspect: at + "introspect", UserInfo: at + "userinfo",
			Device: at + "device", PAR: at + "par", Logout: at + "logout", JWKS: at + "jwks", Register: at + "register",
		},
		Seal: same, Open: same, RefreshKeys: [][]byte{make([]byte, 32)},
		Rules:  func() *Rules { return &Rules{} },
		Person: func(context.Context, string) (*Person, error) { return nil, ErrNoPerson },
	}
}

func TestConfigSaysEverythingThatIsWrong(t *testing.T) {
	if err := goodConfig().Validate(); err != nil {
		t.Errorf("a good one: %v", err)
	}
	for name, tt := range map[string]struct {
		change func(*Config)
		says   string // "" for nothing
	}{
		"http":                 {func(c *Config) { c.Issuer = "http://localhost:8080/gate" }, ""},
		"no issuer":            {func(c *Config) { c.Issuer = "" }, `issuer ""`},
		"issuer with query":    {func(c *Config) { c.Issuer += "?x" }, "issuer"},
		"issuer with fragment": {func(c *Config) { c.Issuer += "#" }, "issuer"},
		"issuer is a path":     {func(c *Config) { c.Issuer = "/oauth" }, "issuer"},
		"issuer with a user":   {func(c *Config) { c.Issuer = "https://u@id.example.com" }, "issuer"},
		"an endpoint":          {func(c *Config) { c.Endpoints.PAR = "" }, "pushed request endpoint"},
		"an endpoint's path":   {func(c *Config) { c.Endpoints.Token = "/oauth/token" }, "token endpoint"},
		"no seal":              {func(c *Config) { c.Seal = nil }, "Seal and Open"},
		"no open":              {func(c *Config) { c.Open = nil }, "Seal and Open"},
		"no key":               {func(c *Config) { c.RefreshKeys = nil }, "a key for refresh tokens"},
		"a short key":          {func(c *Config) { c.RefreshKeys = append(c.RefreshKeys, make([]byte, 31)) }, "key 2 for refresh tokens has 31 bytes, want 32"},
		"no rules":             {func(c *Config) { c.Rules = nil }, "Rules"},
		"no person":            {func(c *Config) { c.Person = nil }, "Person"},
	} {
		c := goodConfig()
		tt.change(&c)
		err := c.Validate()
		if (err == nil) != (tt.says == "") || err != nil && (!strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v, want %q alone", name, err, tt.says)
		}
	}
	if err := (Config{}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 14 {
		t.Errorf("an empty one: %v", err)
	}
	if _, err := New(Config{}, nil); err == nil {
		t.Error("New takes an empty one")
	}
}
