package server

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func TestReadCredential(t *testing.T) {
	tests := []struct {
		name   string
		header http.Header
		want   credential
		err    error
	}{
		{name: "none", header: http.Header{}},
		{name: "basic", header: http.Header{"Authorization": {basic("id", "se:cret")}}, want: credential{credentialBasic, "id", "se:cret"}},
		{name: "scheme is case-blind", header: http.Header{"Authorization": {"bAsIc " + strings.TrimPrefix(basic("a", "b"), "Basic ")}}, want: credential{credentialBasic, "a", "b"}},
		{name: "bearer", header: http.Header{"Authorization": {"Bearer wave_live_00"}}, want: credential{kind: credentialBearer, secret: "wave_live_00"}},
		{name: "bare", header: http.Header{"Authorization": {"wave_live_00"}}, want: credential{kind: credentialBearer, secret: "wave_live_00"}},
		{name: "x-api-key", header: http.Header{"X-Api-Key": {"wave_live_00"}}, want: credential{kind: credentialBearer, secret: "wave_live_00"}},
		{name: "two", header: http.Header{"Authorization": {"a"}, "X-Api-Key": {"b"}}, err: errTwoCredentials},
		{name: "doubled", header: http.Header{"Authorization": {"a", "a"}}, err: errTwoCredentials},
		{name: "not base64", header: http.Header{"Authorization": {"Basic ###"}}, err: errMalformedCredential},
		{name: "no colon", header: http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("ab"))}}, err: errMalformedCredential},
		{name: "control character", header: http.Header{"Authorization": {basic("a\x00", "b")}}, err: errMalformedCredential},
		{name: "other scheme", header: http.Header{"Authorization": {"Digest a=b"}}, err: errMalformedCredential},
		{name: "empty", header: http.Header{"Authorization": {""}}, err: errMalformedCredential},
		{name: "a megabyte of dots", header: http.Header{"Authorization": {"Bearer " + strings.Repeat(".", 1<<20)}}, err: errMalformedCredential},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readCredential(tt.header)
			if got != tt.want || err != tt.err { //nolint:errorlint // the very values are wanted
				t.Errorf("readCredential = %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func FuzzParseAuthorization(f *testing.F) {
	for _, seed := range []string{"", "Basic", basic("id", "secret"), "Bearer x", "Bearer  x ", "x\x00y", "basic Og=="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c, err := parseAuthorization(value)
		switch {
		case err != nil && c != credential{}:
			t.Errorf("error and credential %+v together", c)
		case err == nil && c.kind == credentialNone:
			t.Error("a header without error is no credential")
		case c.kind == credentialBasic && strings.Contains(c.id, ":"):
			t.Errorf("ID %q holds a colon", c.id)
		case strings.ContainsFunc(c.id+c.secret, isControl):
			t.Errorf("control character in %+v", c)
		}
	})
}
