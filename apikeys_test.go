package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"wavegate/server"
)

func TestKeyLifetime(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"1d": 24 * time.Hour, "90d": 90 * 24 * time.Hour, "12h": 12 * time.Hour, "30m": 30 * time.Minute, "1h30m": 90 * time.Minute, "1s": time.Second,
		"99999999999999999d": 36600 * 24 * time.Hour, // too long for a key, which the server says; never a short one by overflow
	} {
		var s settings
		if err := toKeyLifetime(&s, []string{"nonsense", in}); err != nil || s.order.ExpiresIn != want {
			t.Errorf("%q: got %v, %v; want %v", in, s.order.ExpiresIn, err, want)
		}
	}
	for _, in := range []string{"", "d", "0d", "-1d", "+1d", "1.5d", "1d12h", "90", "0s", "-5m", "1ns", "two weeks", "99999999999999999999d", "9999999h9999999h"} {
		var s settings
		if err := toKeyLifetime(&s, []string{in}); err == nil || !strings.Contains(err.Error(), "write for example 90d") || s.order.ExpiresIn != 0 {
			t.Errorf("%q: got %v and %v, want an error that says what to write", in, s.order.ExpiresIn, err)
		}
	}
}

// TestListsThatNameNothingAreRefused is about --allowed-ips above all: an empty
// list would let everybody in.
func TestListsThatNameNothingAreRefused(t *testing.T) {
	set := some("streams:read", func(s *settings) *[]string { return &s.order.Scopes })
	var s settings
	if err := set(&s, []string{"a, b", "c,"}); err != nil || !slices.Equal(s.order.Scopes, []string{"a", "b", "c"}) {
		t.Errorf("got %q, %v", s.order.Scopes, err)
	}
	for _, in := range []string{",", " ", ", ,"} {
		if err := set(&s, []string{in}); err == nil || !strings.Contains(err.Error(), "write for example streams:read") {
			t.Errorf("%q: got %v", in, err)
		}
	}
}

func TestKeyTableIsAlignedWhateverNamesHold(t *testing.T) {
	list := []server.KeyView{{ID: "key_1", Name: "ci", Prefix: "wave_live_01234567", Status: "active", Owner: "cli"}}
	for _, name := range []string{
		"a\tb", "a\nb", "a\r\nb", "\x1b[2J\x1b[31mred", "a\x00b", "\u202egnp.exe", "\u2066a\u2069", "a\u2028b", "\ufeffbom", "\u009b31m", "a\vb\fc", "\xff\xfe", "", "   ", "ünï cödé",
	} {
		list = append(list, server.KeyView{ID: "key_22", Name: name, Prefix: "wave_test_01234567", Status: "deprecated", Owner: "sub:" + name})
	}
	var b strings.Builder
	if err := printKeyTable(&b, list); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(rows) != len(list)+1 {
		t.Fatalf("got %d lines for %d keys:\n%s", len(rows), len(list), b.String())
	}
	for _, head := range []string{"PREFIX", "NAME", "STATUS", "ROLE", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "OWNER"} {
		at := strings.Index(rows[0], head)
		for _, row := range rows {
			letters := []rune(row)
			if len(letters) <= at || letters[at] == ' ' || letters[at-1] != ' ' || letters[at-2] != ' ' {
				t.Errorf("no cell of %s begins at column %d of %q", head, at, row)
			}
		}
	}
	if i := strings.IndexFunc(b.String(), func(r rune) bool {
		return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2066' || r == '\u2028' || r == '\ufeff'
	}); i >= 0 {
		t.Errorf("a letter that moves the cursor is left: %q", b.String()[i:min(i+20, b.Len())])
	}
}

func TestWhatANewKeyHoldsIsSaid(t *testing.T) {
	role := "dev"
	for want, k := range map[string]server.KeyView{
		"It holds the role dev":         {Role: &role},
		"It holds the role dev and a":   {Role: &role, Scopes: []string{"a"}},
		"It holds a, b":                 {Scopes: []string{"a", "b"}},
		"It holds neither role nor sco": {},
	} {
		if got := opens(&k); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestCommandsForKeysWantNothingOfAServer gives each command settings that no
// server would start with.
func TestCommandsForKeysWantNothingOfAServer(t *testing.T) {
	for _, args := range [][]string{
		{"--list-api-keys"}, {"--create-api-key", "--name", "x"}, {"--explain", "/"},
	} {
		inFolder(t, nil)
		args = append(args, "-listen", "host", "--require-https", "-oidc-client-id", "x", "--tls-cert-file", "nowhere", "-access-key-id", "half", "--metrics-listen", "x")
		if code, _, stderr := invoke(t, nil, args...); code != exitOK {
			t.Errorf("%q: exit code %d: %s", args, code, stderr)
		}
	}
}

func TestSettingsOfOneCommandComeFromTheCommandLineAlone(t *testing.T) {
	for _, o := range options() {
		if o.lineOnly && (o.keys() != nil || o.retired || o.command) {
			t.Errorf("--%s can be set by %q", o.name, o.keys())
		}
	}
	inFolder(t, map[string]string{".env": "WAVEGATE_SCOPES=a\n"})
	if code, _, stderr := invoke(t, nil, "--check"); code != exitUsage || !strings.Contains(stderr, ".env:1: unknown setting WAVEGATE_SCOPES") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	inFolder(t, nil)
	if code, stdout, _ := invoke(t, nil, "--print-config"); code != exitOK || strings.Contains(stdout, "\nscopes ") || !strings.Contains(stdout, "\nkey-brand ") {
		t.Errorf("exit code %d: %s", code, stdout)
	}
}
