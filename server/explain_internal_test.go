package server

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wavegate/server/fault"
	"wavegate/server/gateway"
	"wavegate/server/policy"
)

func TestQuestionsAreReadAsPeopleWriteThem(t *testing.T) {
	for in, want := range map[string]question{
		"GET /v1/streams":                   {method: "GET", path: "/v1/streams"},
		"/":                                 {method: "GET", path: "/"},
		"  delete   /a  ":                   {method: "DELETE", path: "/a"},
		"M-SEARCH /a":                       {method: "M-SEARCH", path: "/a"},
		"POST App.Example.com:8443/a/b":     {method: "POST", host: "app.example.com", path: "/a/b"},
		"[::1]:80/a":                        {method: "GET", host: "::1", path: "/a"},
		"https://app.example.com/a?b=c/d#e": {method: "GET", host: "app.example.com", path: "/a"},
		"WS /live":                          {method: "GET", path: "/live", webSocket: true},
		"ws app.example.com/live":           {method: "GET", host: "app.example.com", path: "/live", webSocket: true},
		"wss://app.example.com/live":        {method: "GET", host: "app.example.com", path: "/live", webSocket: true},
		"GET /a?b=http://c/d":               {method: "GET", path: "/a"},
		"/a%2fb//c":                         {method: "GET", path: "/a%2Fb//c", found: policy.EncodedSlash | policy.DoubleSlash},
		"/%61":                              {method: "GET", path: "/a"},
	} {
		got, err := parseQuestion(in)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(question{})); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got)\n%s", in, err, diff)
		}
	}
	for _, in := range []string{
		"", " ", "nonsense", "GET", "GET nonsense", "/a b c", "G3T /a", "GET/ /a", "/a/../b", "/%2e%2e/", "/%zz", "/\x00", "a@b/x", "https://", "https:///x y z", "http://a:b/", "ftp://a/b", "/" + strings.Repeat("a", 9000),
	} {
		if _, err := parseQuestion(in); err == nil || err.Error() == "" {
			t.Errorf("%.40q is taken for a question", in)
		}
	}
}

func FuzzQuestion(f *testing.F) {
	for _, in := range []string{"GET /v1/streams", "WS app.example.com:1/x", "https://[::1]/a%2fb?c#d", "/a/../b", "a b c"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		q, err := parseQuestion(in)
		if err != nil {
			return
		}
		if q.path == "" || q.path[0] != '/' || q.method == "" {
			t.Errorf("%q became %+v", in, q)
		}
		if host, err := gateway.CleanHost(q.host); err != nil && !strings.Contains(q.host, ":") || err == nil && host != q.host {
			t.Errorf("the host of %q is not what routes compare: %q", in, q.host)
		}
	})
}

func TestWrongFieldsOfAnOrderAreNamedByTheirFlags(t *testing.T) {
	order := KeyOrder{Role: "boss", Environment: "prod", Tier: "gold", Scopes: []string{"a", "b"}, AllowedIPs: []string{"x"}}
	for field, want := range map[string]string{
		"name": "--name", "role": `--role: "boss"`, "environment": `--env: "prod"`, "rate_limit_tier": `--tier: "gold"`,
		"scopes": "--scopes", "scopes[1]": `--scopes: "b"`, "scopes[9]": "--scopes", "allowed_ips[0]": `--allowed-ips: "x"`, "expires_at": "--expires-in",
	} {
		if got := order.place(field); got != want {
			t.Errorf("%s: got %s, want %s", field, got, want)
		}
	}
}

func TestAnswersBecomeErrorsOfTheCommandLine(t *testing.T) {
	cause := errors.New("disk is full")
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fault.New(409, "conflict", "It was changed."), "It was changed."},
		{errKeyStore.Because(cause), "disk is full"},
		{cause, "disk is full"},
	} {
		if got := inWords(tt.err); got.Error() != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	if inWords(nil) != nil {
		t.Error("nothing became an error")
	}
}
