package oidc

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestFindClaim(t *testing.T) {
	c, err := parseClaims([]byte(`{
		"groups": "top",
		"realm_access": {"roles": ["a", "b"]},
		"https://example.com/groups": ["url"],
		"resource_access": {"my.client": {"roles": "dotted"}, "my": {"client": {"roles": "nested"}, "other": 1}},
		"a.b": "literal", "a": {"b": "nested", "c": null},
		"null": null, "": {"": "empty"}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"groups":                          "top",
		"realm_access.roles":              []any{"a", "b"},
		"https://example.com/groups":      []any{"url"},
		"resource_access.my.client.roles": "dotted",
		"resource_access.my.other":        json.Number("1"),
		"a.b":                             "literal",
		"a.c":                             nil,
		"null":                            nil,
		"groups.x":                        nil,
		"Groups":                          nil,
		"realm_access.roles.0":            nil,
		"realm_access.":                   nil,
		".":                               nil,
	} {
		got, ok := c.find(path)
		if diff := cmp.Diff(want, got); diff != "" || ok != (want != nil) {
			t.Errorf("%q: found %v (-want +got):\n%s", path, ok, diff)
		}
	}
}

func TestGroupsNormalised(t *testing.T) {
	many := make([]any, 1500)
	for i := range many {
		many[i] = fmt.Sprintf("group %d", i)
	}
	for name, test := range map[string]struct {
		value any
		want  []string
		warns bool
	}{
		"array":              {[]any{"a", "b", "a", ""}, []string{"a", "b"}, false},
		"one":                {"eng", []string{"eng"}, false},
		"one with spaces":    {"a b,c", []string{"a b,c"}, false},
		"none":               {[]any{}, nil, false},
		"number":             {json.Number("7"), nil, true},
		"object":             {map[string]any{"admin": true}, nil, true},
		"nothing":            {nil, nil, true},
		"array of objects":   {[]any{map[string]any{"name": "a"}, "b"}, []string{"b"}, true},
		"header injection":   {[]any{"a\r\nWave-Groups: admin", "b"}, []string{"b"}, true},
		"long":               {[]any{strings.Repeat("x", 257), strings.Repeat("y", 256)}, []string{strings.Repeat("y", 256)}, true},
		"bad UTF-8":          {[]any{"\xff"}, nil, true},
		"direction override": {[]any{"a\u202eb"}, nil, true},
	} {
		got, warnings := groupsOf(test.value)
		if diff := cmp.Diff(test.want, got); diff != "" || (len(warnings) > 0) != test.warns {
			t.Errorf("%s: warnings %q (-want +got):\n%s", name, warnings, diff)
		}
	}
	if got, warnings := groupsOf(many); len(got) != maxGroups || len(warnings) != 1 || !strings.Contains(warnings[0], "500") {
		t.Errorf("%d groups of 1500, warnings %q", len(got), warnings)
	}
}

func TestMalformedEmailIsNone(t *testing.T) {
	for _, good := range []string{"a@b", "alice@example.com", "a.b+c_d@sub.example.com", "jürgen@bücher.example", "x'y@example.com"} {
		if !isEmail(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{
		"", "@", "a@", "@b", "a", "a@evil@corp", "a@corp,b@evil", "a @corp", "a@ corp", "a@corp ", " a@corp", "a@co rp", "a@corp\n", "a\x00@corp",
		"a@corp\r\nX: y", `"a@evil"@corp`, "<a@corp>", "A <a@corp>", "a@corp>", "a@[127.0.0.1]", "a@corp..example", "a@.corp", "a@corp.", ".a@corp",
		"a..b@corp", "a@-corp", "a@corp-", "a@corp;b", "a\u202e@corp", "a@\xff", "mailto:a@corp", "a%40evil@", "a@evil/corp", strings.Repeat("a", 250) + "@corp",
	} {
		if isEmail(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestEmailCountsOnlyWhenVerified(t *testing.T) {
	for text, want := range map[string]string{
		`{"email":"a@b","email_verified":true}`:         "a@b",
		`{"email":"a@b","email_verified":"true"}`:       "a@b",
		`{"email":"a@b"}`:                               "",
		`{"email":"a@b","email_verified":false}`:        "",
		`{"email":"a@b","email_verified":"false"}`:      "",
		`{"email":"a@b","email_verified":1}`:            "",
		`{"email":"a@b","email_verified":"TRUE"}`:       "",
		`{"email":"a@b","email_verified":[true]}`:       "",
		`{"email":["a@b"],"email_verified":true}`:       "",
		`{"email":"a@b","Email_Verified":true}`:         "",
		`{"email":"a@evil@corp","email_verified":true}`: "",
	} {
		c, err := parseClaims([]byte(text))
		if err != nil || c.email() != want {
			t.Errorf("%s: %q, %v; want %q", text, c.email(), err, want)
		}
	}
}

func TestReplaysAreBounded(t *testing.T) {
	r := newReplays(3)
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	for i := range 5 {
		id := fmt.Sprint(i)
		end := at(i + 10)
		if !r.spend(id, end, at(0)) || r.spend(id, end, at(0)) {
			t.Errorf("%s was not taken exactly once", id)
		}
	}
	if len(r.used) > 3 {
		t.Errorf("%d are remembered, want 3", len(r.used))
	}
	if r.spend("4", at(14), at(13)) {
		t.Error("the newest was forgotten")
	}
	if !r.spend("4", at(30), at(14)) || !r.spend("new", at(40), at(35)) {
		t.Errorf("an ID is refused though its time is over: %v", r.used)
	}
}

// FuzzClaims: whatever a provider sends, what is made of it keeps to the bounds.
func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"groups":["a",{"b":1},"a"],"email":"a@b","email_verified":true,"exp":1e3,"aud":["x"]}`), "groups")
	f.Add([]byte(`{"a":{"b.c":{"d":"x"}},"a.b":{"c":{"d":["y"]}}}`), "a.b.c.d")
	f.Add([]byte(`{"_claim_names":{"groups":"s"},"_claim_sources":{"s":{"endpoint":"https://x"}}}`), "groups")
	f.Add([]byte(`{"sub":"\u0000"} trailing`), ".")
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		c, err := parseClaims(data)
		if err != nil {
			return
		}
		value, found := c.find(path)
		if whole, ok := c[path]; ok && whole != nil && !cmp.Equal(value, whole) {
			t.Errorf("%q is there and was not found", path)
		}
		groups, _ := groupsOf(value)
		if len(groups) > maxGroups || (!found && len(groups) > 0) {
			t.Errorf("%d groups", len(groups))
		}
		for i, g := range groups {
			if !isLine(g) || slices.Contains(groups[:i], g) {
				t.Errorf("group %q", g)
			}
		}
		if email := c.email(); email != "" && strings.Count(email, "@") != 1 {
			t.Errorf("e-mail %q", email)
		}
		if name := c.name(path); !utf8.ValidString(name) || strings.ContainsAny(name, "\r\n\x00") {
			t.Errorf("name %q", name)
		}
		c.audience()
		c.instant(path)
		c.source(path)
		_ = c.isLogout()
	})
}
