package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// wantRefusal checks that err is an *Error of a code that says so much.
func wantRefusal(t *testing.T, what string, err error, code, says string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != code || !strings.Contains(e.Error(), says) {
		t.Errorf("%s: %v, want %s with %q", what, err, code, says)
		return
	}
	if strings.IndexFunc(e.Description, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) >= 0 || e.Description == "" {
		t.Errorf("%s: the description %q is not what RFC 6749, section 5.2, allows", what, e.Description)
	}
}

func TestBodiesThatAreRead(t *testing.T) {
	want := url.Values{"grant_type": {"authorization_code"}, "code": {"a b&c=ü"}}
	form := want.Encode()
	for name, tt := range map[string]struct {
		kind, body string
		want       url.Values
	}{
		"form":                        {formType, form, want},
		"form with charset":           {"application/x-www-form-urlencoded; charset=UTF-8", form, want},
		"form in upper case":          {"Application/X-WWW-Form-URLEncoded", form, want},
		"JSON":                        {jsonType, `{"grant_type":"authorization_code","code":"a b&c=\u00fc"}`, want},
		"JSON with charset":           {"application/json; charset=utf-8", ` {"grant_type":"authorization_code","code":"a b&c=ü"} `, want},
		"JSON that says it is a form": {formType, "\r\n {\"grant_type\":\"authorization_code\",\"code\":\"a b&c=ü\"}\n", want},
		"empty object":                {jsonType, `{}`, nil},
		"nothing":                     {"", "", nil},
		"nothing as JSON":             {jsonType, "", nil},
		"several resources":           {formType, "resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb", url.Values{"resource": {"https://a", "https://b"}}},
		"an empty value":              {formType, "scope=", url.Values{"scope": {""}}},
		"names that differ in case":   {jsonType, `{"code":"a","CODE":"b"}`, url.Values{"code": {"a"}, "CODE": {"b"}}},
		"a long assertion":            {formType, "client_assertion=" + strings.Repeat("a", maxTokenParam), url.Values{"client_assertion": {strings.Repeat("a", maxTokenParam)}}},
	} {
		got, err := ParseBody(tt.kind, []byte(tt.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got.Encode() != tt.want.Encode() {
			t.Errorf("%s: got %q, want %q", name, got.Encode(), tt.want.Encode())
		}
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	many := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("p%d=x", i)
		}
		return strings.Join(list, "&")
	}
	for name, tt := range map[string]struct{ kind, body, says string }{
		"no type":                    {"", "a=b", "application/x-www-form-urlencoded or application/json"},
		"another type":               {"text/plain", "a=b", "application/x-www-form-urlencoded or application/json"},
		"JSON of another type":       {"text/plain", "{}", "application/x-www-form-urlencoded or application/json"},
		"multipart":                  {"multipart/form-data; boundary=x", "--x--", "application/x-www-form-urlencoded or application/json"},
		"a broken type":              {"application/json; charset", "{}", "Content-Type"},
		"two types":                  {"application/json, text/plain", "{}", "Content-Type"},
		"too large":                  {formType, "a=" + strings.Repeat("b", MaxBody), "65536 bytes"},
		"twice":                      {formType, "code=a&scope=b&code=a", "The parameter code came more than once"},
		"twice and empty":            {formType, "code=a&code=", "The parameter code came more than once"},
		"twice, encoded":             {formType, "code=a&c%6fde=b", "The parameter code came more than once"},
		"twice with an odd name":     {formType, "%22=a&%22=b", "A parameter came more than once"},
		"twice in JSON":              {jsonType, `{"code":"a","code":"a"}`, "The parameter code came more than once"},
		"twice in JSON, escaped":     {jsonType, `{"code":"a","c\u006fde":"a"}`, "The parameter code came more than once"},
		"resource twice in JSON":     {jsonType, `{"resource":"a","resource":"b"}`, "The parameter resource came more than once"},
		"semicolon":                  {formType, "a=b;c=d", "cannot be read"},
		"bad escape":                 {formType, "a=%zz", "cannot be read"},
		"half an escape":             {formType, "a=%4", "cannot be read"},
		"a NUL":                      {formType, "code=a%00b", "The parameter code is no UTF-8, or has a NUL"},
		"a NUL in a name":            {formType, "co%00de=a", "name"},
		"no UTF-8":                   {formType, "code=%ff", "The parameter code is no UTF-8"},
		"no UTF-8 in a name":         {formType, "%ff=a", "name"},
		"a long name":                {formType, strings.Repeat("a", maxParamName+1) + "=b", "name"},
		"a long value":               {formType, "code=" + strings.Repeat("a", maxParamValue+1), "The parameter code has more than 4096 bytes"},
		"a long assertion":           {formType, "client_assertion=" + strings.Repeat("a", maxTokenParam+1), "client_assertion has more than 16384 bytes"},
		"too many":                   {formType, many(maxParams + 1), "more than 50 parameters"},
		"far too many":               {formType, strings.Repeat("&", 1000), "more than 50 parameters"},
		"too many resources":         {formType, strings.Repeat("resource=a&", maxParams+1), "more than 50 parameters"},
		"a number":                   {jsonType, `{"code":"a","expires_in":5}`, "The parameter expires_in is no string"},
		"a bool":                     {jsonType, `{"code":true}`, "The parameter code is no string"},
		"null":                       {jsonType, `{"code":null}`, "The parameter code is no string"},
		"an object":                  {jsonType, `{"code":{"a":"b"}}`, "The parameter code is no string"},
		"a list":                     {jsonType, `{"resource":["a","b"]}`, "The parameter resource is no string"},
		"a list around it":           {jsonType, `[{"code":"a"}]`, "no JSON object"},
		"a string":                   {jsonType, `"code"`, "no JSON object"},
		"null alone":                 {jsonType, `null`, "no JSON object"},
		"two objects":                {jsonType, `{"code":"a"}{"code":"b"}`, "no JSON object"},
		"something behind it":        {jsonType, `{"code":"a"} x`, "no JSON object"},
		"half an object":             {jsonType, `{"code":"a"`, "no JSON object"},
		"blanks":                     {jsonType, "  ", "no JSON object"},
		"a form that says JSON":      {jsonType, "code=a", "no JSON object"},
		"JSON as a form, half":       {formType, `{"code":"a"`, "no JSON object"},
		"JSON with a NUL":            {jsonType, `{"code":"a\u0000"}`, "NUL"},
		"JSON that is no UTF-8":      {jsonType, "{\"code\":\"\xff\"}", "no JSON object"},
		"JSON with a mark before it": {jsonType, "\ufeff{}", "no JSON object"},
		"deep JSON":                  {jsonType, `{"a":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + "}", "no JSON object"},
	} {
		got, err := ParseBody(tt.kind, []byte(tt.body))
		wantRefusal(t, name, err, InvalidRequest, tt.says)
		if got.values != nil {
			t.Errorf("%s: it has parameters all the same: %q", name, got.Encode())
		}
	}
}

func TestQueries(t *testing.T) {
	got, err := ParseQuery("client_id=a&state=x+y%2B&resource=1&resource=2&scope=")
	if err != nil {
		t.Fatal(err)
	}
	if got.Get("state") != "x y+" || got.Get("none") != "" || got.Get("scope") != "" {
		t.Errorf("got %q", got.Encode())
	}
	if diff := cmp.Diff([]string{"1", "2"}, got.All("resource")); diff != "" {
		t.Error(diff)
	}
	for raw, says := range map[string]string{
		"state=a&state=b": "The parameter state came more than once", "a;b": "cannot be read", "a=%": "cannot be read",
		strings.Repeat("a", maxQuery+1): "16384 bytes", "a=%00": "NUL", "request=" + strings.Repeat("a", maxQuery-8): "",
	} {
		if _, err := ParseQuery(raw); says == "" && err != nil {
			t.Errorf("%.20s: %v", raw, err)
		} else if says != "" {
			wantRefusal(t, raw[:min(20, len(raw))], err, InvalidRequest, says)
		}
	}
}

func TestParametersLessSome(t *testing.T) {
	all, err := ParseQuery("a=1&b=2&c=3")
	if err != nil {
		t.Fatal(err)
	}
	if got := all.Without("a", "c", "x").Encode(); got != "b=2" {
		t.Errorf("got %q", got)
	}
	if got := all.Encode(); got != "a=1&b=2&c=3" {
		t.Errorf("the others have become %q", got)
	}
	if got := (Params{}).Without("a").Encode(); got != "" {
		t.Errorf("of none: %q", got)
	}
}

// TestFormAndJSONSayTheSame: whoever sends the same parameters in another way is
// understood in the same way.
func TestFormAndJSONSayTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.MapOfN(rapid.StringN(1, 8, 16), rapid.StringN(0, 20, 80), 0, 20).Draw(t, "sent")
		form, object := url.Values{}, map[string]string{}
		for name, value := range sent {
			if name, value = strings.ReplaceAll(name, "\x00", ""), strings.ReplaceAll(value, "\x00", ""); utf8.ValidString(name) && utf8.ValidString(value) {
				form.Set(name, value)
				object[name] = value
			}
		}
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		a, err1 := ParseBody(formType, []byte(form.Encode()))
		b, err2 := ParseBody(jsonType, text)
		c, err3 := ParseQuery(form.Encode())
		if err1 != nil || err2 != nil || err3 != nil || a.Encode() != form.Encode() || b.Encode() != form.Encode() || c.Encode() != form.Encode() {
			t.Errorf("%v %v %v: %q, %q, %q, want %q", err1, err2, err3, a.Encode(), b.Encode(), c.Encode(), form.Encode())
		}
	})
}

// checkBounds is what holds of all parameters that were read.
func checkBounds(t *testing.T, p Params, err error) {
	t.Helper()
	if err != nil {
		wantRefusal(t, "a refusal", err, InvalidRequest, "")
		return
	}
	n := 0
	for name, list := range p.values {
		n += len(list)
		if len(list) != 1 && name != "resource" || !utf8.ValidString(name) {
			t.Errorf("%q has %d values", name, len(list))
		}
		for _, v := range list {
			if !utf8.ValidString(v) || strings.Contains(v, "\x00") || len(v) > maxTokenParam {
				t.Errorf("%q has the value %.50q", name, v)
			}
		}
	}
	if n > maxParams {
		t.Errorf("%d parameters", n)
	}
	again, err := parseForm(p.Encode())
	if err != nil || again.Encode() != p.Encode() {
		t.Errorf("%q is read as %q: %v", p.Encode(), again.Encode(), err)
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{"", "a=b&c=d", "a=b&a=c", "a;b", "%zz", "resource=a&resource=b", "=&=", "a=%00", "%ff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := ParseQuery(raw)
		checkBounds(t, p, err)
	})
}

func FuzzParseBody(f *testing.F) {
	for _, seed := range []string{"", "a=b&c=d", `{"a":"b"}`, ` {"a":"b","a":"c"}`, `{"a":null}`, `{"a":["b"]}`, "{", `{"a":"\ud800"}`, `{"":""}`} {
		f.Add(jsonType, []byte(seed))
		f.Add(formType, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		p, err := ParseBody(kind, body)
		checkBounds(t, p, err)
	})
}
