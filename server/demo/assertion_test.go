package demo

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAssertionIsDecodedAndChecked(t *testing.T) {
	g, now := newGate(t), time.Now()
	token := g.assertion(t, map[string]any{
		"groups": []string{"eng", "ops"}, "extra": map[string]any{"a": 1}, "iat": now.Unix(), "exp": now.Unix() + 60,
	})
	got := readAssertion(token, g.jwks(), time.Unix(now.Unix()+2, 0))
	if !got.Checked || got.Problem != "" || got.KeyID != testKeyID {
		t.Errorf("checked %t, problem %q, key %q", got.Checked, got.Problem, got.KeyID)
	}
	var names []string
	values := map[string]claim{}
	for _, c := range got.Claims {
		names = append(names, c.Name)
		values[c.Name] = c
	}
	want := []string{"iss", "aud", "sub", "groups", "scopes", "auth_method", "key_id", "iat", "exp", "jti", "extra"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{"groups": "eng ops", "extra": `{"a":1}`, "sub": "WAVEDEMO4Q7XKZ2M8TRB"} {
		if values[name].Value != want {
			t.Errorf("%s is %q, want %q", name, values[name].Value, want)
		}
	}
	if values["exp"].Note != "in 58 s" || values["iat"].Note != "2 s ago" {
		t.Errorf("notes %q, %q", values["exp"].Note, values["iat"].Note)
	}
}

func TestAssertionThatMustNotBeBelieved(t *testing.T) {
	g, other, now := newGate(t), newGate(t), time.Now()
	good := g.assertion(t, nil)
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + testKeyID + `"}`))
	for name, test := range map[string]struct {
		token string
		jwks  []byte
		want  string
	}{
		"expired":          {g.assertion(t, map[string]any{"exp": now.Unix() - 1}), g.jwks(), "it has expired"},
		"without exp":      {g.assertion(t, map[string]any{"exp": "later"}), g.jwks(), "it has expired"},
		"of another key":   {other.assertion(t, nil), g.jwks(), "its signature is wrong"},
		"unknown key":      {good, []byte(`{"keys": []}`), "the gate's key set has no such key"},
		"broken key set":   {good, []byte(`{`), "the gate's key set cannot be read"},
		"malformed key":    {good, []byte(`{"keys": [{"kid": "test-key", "crv": "P-256", "x": "AA", "y": "AA"}]}`), "the gate's key is malformed"},
		"alg none":         {none + "." + parts[1] + ".", g.jwks(), `it is signed with "none", not with ES256`},
		"cut signature":    {good[:len(good)-2], g.jwks(), "its signature has the wrong form"},
		"other claims":     {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"bob"}`)) + "." + parts[2], g.jwks(), "its signature is wrong"},
		"no JWT":           {"abc", g.jwks(), "it is not a signed JWT"},
		"dots":             {strings.Repeat(".", 100), g.jwks(), "it is not a signed JWT"},
		"megabyte of dots": {strings.Repeat(".", 1<<20), g.jwks(), "it is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readAssertion(test.token, test.jwks, now); got.Problem != test.want {
				t.Errorf("got %q, want %q", got.Problem, test.want)
			}
		})
	}
}

func TestAssertionWithoutKeySetIsNotCalledChecked(t *testing.T) {
	if got := readAssertion(newGate(t).assertion(t, nil), nil, time.Now()); got.Checked || len(got.Claims) == 0 {
		t.Errorf("checked %t, %d claims", got.Checked, len(got.Claims))
	}
}

func FuzzReadAssertion(f *testing.F) {
	for _, seed := range []string{"", "a.b.c", "e30.e30.e30", "eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjF9.AA", "...", "bnVsbA.bnVsbA."} {
		f.Add(seed)
	}
	jwks := []byte(`{"keys": []}`)
	f.Fuzz(func(t *testing.T, token string) {
		if got := readAssertion(token, jwks, time.Unix(0, 0)); got.Problem == "" {
			t.Errorf("%q was believed", token)
		}
	})
}
