package server

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// TestBadInputAtTheEndpointsOfClientsIsRefused: each parameter missing, twice, too long,
// of another type; other content types, methods and sizes. Nothing is a 5xx.
func TestBadInputAtTheEndpointsOfClientsIsRefused(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "oauth: {registration: {enabled: true, per_ip_per_hour: 1000}}\n")
	c := o.app("ci", hasAll)
	auth := []string{"Authorization", basic(c.ID, c.Secret)}
	const form, jsonType = "application/x-www-form-urlencoded", "application/json"
	good := map[string]url.Values{
		"/oauth/token": own, "/oauth/introspect": {"token": {"x"}}, "/oauth/revoke": {"token": {"x"}}, "/oauth/par": ask(c), "/oauth/device": {"scope": {"things:read"}},
	}
	send := func(path, body, kind string, headers ...string) answer {
		return o.do("POST", path, body, append(append([]string{"Content-Type", kind}, auth...), headers...)...)
	}
	bad := func(what string, a answer) {
		t.Helper()
		if a.StatusCode < 400 || a.StatusCode > 499 || strings.Contains(a.body, "_token\"") || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %d %s %.300s", what, a.StatusCode, a.Header.Get("Content-Type"), a.body)
		}
	}
	for path, v := range good {
		if a := send(path, v.Encode(), form); a.StatusCode >= 300 {
			t.Fatalf("%s: the good request: %d %s", path, a.StatusCode, a.body)
		}
		for name := range v {
			if name != "scope" && name != "state" && name != "nonce" && name != "client_id" { // which may be left out
				send(path, values(v, name, "").Encode(), form).refused(t, path+" without "+name, 400, "invalid_request")
			}
			send(path, v.Encode()+"&"+name+"="+url.QueryEscape(v.Get(name)), form).refused(t, path+" twice "+name, 400, "invalid_request")
			bad(path+" with a long "+name, send(path, values(v, name, strings.Repeat("x", 20_000)).Encode(), form))
			bad(path+" with a NUL in "+name, send(path, values(v, name, "a\x00b").Encode(), form))
			bad(path+" without UTF-8 in "+name, send(path, values(v, name, "\xff").Encode(), form))
			for _, value := range []string{`["x"]`, `{"a":"x"}`, `1`, `true`, `null`, `[]`, `[["x"]]`} {
				body := fmt.Sprintf(`{%q:%s}`, name, value)
				send(path, body, jsonType).refused(t, path+" "+body, 400, "invalid_request")
				send(path, body, form).refused(t, path+" as a form "+body, 400, "invalid_request")
			}
			send(path, fmt.Sprintf(`{%[1]q:%[2]q,%[1]q:%[2]q}`, name, v.Get(name)), jsonType).refused(t, path+" twice in JSON "+name, 400, "invalid_request")
			send(path, fmt.Sprintf(`{%[1]q:%[2]q,"\u00%[3]x%[4]s":%[2]q}`, name, v.Get(name), name[0], name[1:]), jsonType).refused(t, path+" twice, once escaped "+name, 400, "invalid_request")
		}
		for what, body := range map[string]string{
			"a list": `[{"grant_type":"client_credentials"}]`, "text": `"x"`, "nothing whole": `{"token":`, "two objects": `{"token":"x"}{"token":"y"}`, "deep": strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat(`}`, 10_000),
			"a lone surrogate and more": `{"token":"x","a":1e999}`,
		} {
			send(path, body, jsonType).refused(t, path+" "+what, 400, "invalid_request")
		}
		for _, kind := range []string{"text/plain", "multipart/form-data; boundary=x", "application/xml", "application/jose", "", "application/x-www-form-urlencoded-x", "*/*"} {
			send(path, v.Encode(), kind).refused(t, path+" as "+kind, 400, "invalid_request")
		}
		if got := o.large(path, form, "pad="+strings.Repeat("x", 1<<20)+"&"+v.Encode(), auth...); got != 413 {
			t.Errorf("%s with a megabyte: %d", path, got)
		}
		send(path, strings.Repeat("a=b&", 10_000)+v.Encode(), form).refused(t, path+" with many parameters", 400, "invalid_request")
		send(path, v.Encode()+"&%zz=1", form).refused(t, path+" with a bad escape", 400, "invalid_request")
		send(path+"?"+v.Encode(), "", form).refused(t, path+" in the address", 400, "invalid_request")
		send(path+"?x=1", v.Encode(), form).refused(t, path+" beside the address", 400, "invalid_request")
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
			if path == devicePath && (method == "GET" || method == "HEAD") {
				continue
			}
			if a := o.do(method, path, "", auth...); a.StatusCode != 405 || a.Header.Get("Allow") == "" {
				t.Errorf("%s %s: %d", method, path, a.StatusCode)
			}
		}
		for _, other := range []string{path + "/", strings.ToUpper(path), path + ";x", path + "%2f"} {
			if a := send(other, v.Encode(), form); a.StatusCode < 400 || a.StatusCode > 499 {
				t.Errorf("%s: %d", other, a.StatusCode)
			}
		}
	}
	for what, body := range map[string]string{
		"nothing": ``, "a list": `[]`, "twice": `{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}`, "a plain address": `{"redirect_uris":["http://a.example/"]}`,
		"javascript": `{"redirect_uris":["javascript:alert(1)"]}`, "a wildcard": `{"redirect_uris":["https://*.example/"]}`, "a fragment": `{"redirect_uris":["https://a.example/#x"]}`, "text": `{"redirect_uris":"https://a.example/"}`,
		"client credentials": `{"redirect_uris":["https://a.example/"],"grant_types":["authorization_code","client_credentials"]}`, "implicit": `{"redirect_uris":["https://a.example/"],"response_types":["token"]}`,
		"many": `{"redirect_uris":[` + strings.Repeat(`"https://a.example/",`, 60) + `"https://a.example/"]}`,
	} {
		bad("registration with "+what, o.do("POST", "/oauth/register", body, "Content-Type", jsonType))
	}
	if got := o.large("/oauth/register", jsonType, `{"client_name":"`+strings.Repeat("x", 1<<20)+`"}`); got != 413 {
		t.Errorf("registration with a megabyte: %d", got)
	}
}

// large sends a large body without a connection between, which could break before the
// answer was read, and returns the status.
func (o attackedOAuth) large(path, kind, body string, headers ...string) int {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w.Code
}

// TestBadInputAtThePagesIsRefused: what browsers are sent with.
func TestBadInputAtThePagesIsRefused(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", hasAll)
	ann := o.person("ann")
	good := ask(c)
	for name := range good {
		twice := good.Encode() + "&" + name + "=" + url.QueryEscape(good.Get(name))
		if a := ann.send("GET", "/oauth/authorize?"+twice, nil); a.sentBack(t).Has("code") || a.StatusCode != 400 && a.sentBack(t).Get("error") != "invalid_request" {
			t.Errorf("twice %s: %d to %q", name, a.StatusCode, a.Header.Get("Location"))
		}
		for _, value := range []string{strings.Repeat("x", 5000), "a\x00b", "\xff\xfe", "a\r\nSet-Cookie: x=y"} {
			a := ann.authorize(values(good, name, value))
			if a.StatusCode != 400 && (a.StatusCode != 303 || a.sentBack(t).Get("error") == "") {
				t.Errorf("%s %.20q: %d to %q", name, value, a.StatusCode, a.Header.Get("Location"))
			}
			if strings.Contains(fmt.Sprint(a.Header), "x=y") {
				t.Errorf("%s: a header was made up: %v", name, a.Header)
			}
		}
	}
	ann.send("GET", "/oauth/authorize?"+strings.Repeat("a", 17<<10), nil).staysHere(t, "a long query", 400)
	ann.send("GET", "/oauth/authorize?%zz", nil).staysHere(t, "a bad escape", 400)
	for _, age := range []string{"-1", "1.5", "x", "99999999999999999999", "0x10", " 1"} {
		o.goesBack("max_age "+age, ann.authorize(ask(c, "max_age", age)), "invalid_request", "st")
	}
	for _, prompt := range []string{"nobody", "none consent", "login none", "NONE"} {
		o.goesBack("prompt "+prompt, ann.authorize(ask(c, "prompt", prompt)), "invalid_request", "st")
	}
	for path, form := range map[string]url.Values{
		decisionPath: {"request": {strings.Repeat("A", 100_000)}, "decision": {"allow"}}, deviceCodePath: {"user_code": {strings.Repeat("B", 100_000)}}, deviceAllowPath: {"request": {strings.Repeat("A", 100_000)}, "decision": {"allow"}},
		confirmPath: {"next": {strings.Repeat("a=b&", 50_000)}}, authorizePath: {"state": {strings.Repeat("x", 200_000)}}, oauthLogoutPath: {"state": {strings.Repeat("x", 200_000)}},
	} {
		headers := append([]string{"Cookie", ann.cookies()}, fromOurPage...)
		if got := o.large(path, "application/x-www-form-urlencoded", form.Encode(), headers...); got < 400 || got > 499 {
			t.Errorf("%s: %d", path, got)
		}
	}
	for _, code := range []string{"", "x", "BCDF-GHJ", "BCDF-GHJKL", "AEIO-UAEI", "<script>alert(1)</script>", "BCDF\x00GHJK", strings.Repeat("-", 60)} {
		a := ann.typeIn(code)
		if a.StatusCode != 422 || strings.Contains(a.body, "<script>alert") {
			t.Errorf("the user code %q: %d", code, a.StatusCode)
		}
	}
}
