package server

import (
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
)

// staysHere fails the test unless an answer is a page of ours that leads nowhere.
func (a answer) staysHere(t *testing.T, what string, status int) {
	t.Helper()
	if a.StatusCode != status || a.Header.Get("Location") != "" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		t.Errorf("%s: %d to %q: %.200s", what, a.StatusCode, a.Header.Get("Location"), a.body)
	}
}

// goesBack fails the test unless an answer takes an error to the client, with the
// issuer and the state of the request.
func (o attackedOAuth) goesBack(what string, a answer, code, state string) {
	o.t.Helper()
	got := a.sentBack(o.t)
	if a.StatusCode != 303 || got.Get("error") != code || got.Get("code") != "" {
		o.t.Errorf("%s: %d to %q, want %s: %.200s", what, a.StatusCode, a.Header.Get("Location"), code, a.body)
	}
	if got.Get("iss") != o.oauth.prefix || got.Get("state") != state || got.Has("state") != (state != "") {
		o.t.Errorf("%s: iss %q, state %q", what, got.Get("iss"), got.Get("state"))
	}
	if a.Header.Get("Referrer-Policy") != "no-referrer" || a.Header.Get("Cache-Control") != "no-store" {
		o.t.Errorf("%s: %v", what, a.Header)
	}
}

// TestRFC9700_4_8_2_PKCECannotBeTurnedDown: nothing weaker than S256 gets a code, and a
// verifier without a challenge no token.
func TestRFC9700_4_8_2_PKCECannotBeTurnedDown(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	confidential, public, optional := o.app("ci", ""), o.app("ci", isPublic), o.app("ci", `"pkce":"optional"`)
	ann := o.person("ann")
	for what, change := range map[string][]string{
		"no challenge":          {"code_challenge", "", "code_challenge_method", ""},
		"no challenge but S256": {"code_challenge", ""},
		"no method":             {"code_challenge_method", ""}, // it would be plain
		"plain":                 {"code_challenge", proof, "code_challenge_method", "plain"},
		"PLAIN":                 {"code_challenge", proof, "code_challenge_method", "PLAIN"},
		"s256":                  {"code_challenge_method", "s256"},
		"S512":                  {"code_challenge_method", "S512"},
		"two methods":           {"code_challenge_method", "S256 plain"},
		"a short challenge":     {"code_challenge", "abc"},
		"a padded one":          {"code_challenge", challengeOf(proof) + "="},
		"a long one":            {"code_challenge", strings.Repeat("a", 129)},
	} {
		for kind, c := range map[string]app{"confidential": confidential, "public": public} {
			o.goesBack(kind+": "+what, ann.authorize(ask(c, change...)), "invalid_request", "st")
			pushed := o.call("/oauth/par", c, ask(c, change...))
			pushed.refused(t, kind+", pushed: "+what, 400, "invalid_request")
		}
		if what != "no challenge" {
			o.goesBack("optional: "+what, ann.authorize(ask(optional, change...)), "invalid_request", "st")
		}
	}
	without := []string{"code_challenge", "", "code_challenge_method", ""}
	code := ann.codeFor(ask(optional, without...))
	o.token(optional, redeeming(code)).refused(t, "a verifier without challenge", 400, "invalid_grant")
	o.token(optional, redeeming(code, "code_verifier", "")).refused(t, "then none", 400, "invalid_grant")
	o.token(optional, redeeming(ann.codeFor(ask(optional)), "code_verifier", "")).refused(t, "a challenge without verifier", 400, "invalid_grant")
	o.token(optional, redeeming(ann.codeFor(ask(optional, without...)), "code_verifier", "")).given(t)
}

// TestRFC9700_2_1_OnlyRegisteredURIsGetAnAnswerOfTheServer replays the corpus of
// redirect URIs against the whole server: an error and a success alike.
func TestRFC9700_2_1_OnlyRegisteredURIsGetAnAnswerOfTheServer(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	made := o.by("ci", "POST", "/v1/auth/clients", `{"name":"x","type":"public","scopes":["things:read"],"redirect_uris":["https://app.example.com/cb",
		"https://app.example.com/cb?tenant=1","http://127.0.0.1/cb","http://[::1]:8080/cb","http://localhost:3000/cb","com.example.app:/cb"]}`)
	c := app{ID: made.text(t, "client.client_id")}
	ann, nobody := o.person("ann"), newBrowser(t, o.URL)
	text, err := os.ReadFile("../oidc/provider/testdata/redirect_uris.txt")
	must(t, err)
	good, bad := 0, 0
	for line := range strings.Lines(string(text)) {
		kind, uri, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if kind != "ok" && kind != "no" {
			continue
		}
		if strings.HasPrefix(uri, `"`) {
			uri, err = strconv.Unquote(uri)
			must(t, err)
		}
		asked, wrong := ask(c, "redirect_uri", uri), ask(c, "redirect_uri", uri, "response_type", "token")
		if kind == "ok" {
			good++
			for _, a := range []answer{ann.authorize(wrong), nobody.authorize(wrong)} {
				if got := a.Header.Get("Location"); a.StatusCode != 303 || !strings.HasPrefix(got, uri) {
					t.Errorf("%q: %d to %q", uri, a.StatusCode, got)
				}
			}
			continue
		}
		bad++
		for _, a := range []answer{ann.authorize(asked), nobody.authorize(asked), ann.authorize(wrong), nobody.authorize(values(wrong, "prompt", "none"))} {
			a.staysHere(t, strconv.Quote(uri), 400)
			if strings.Contains(a.body, "evil") {
				t.Errorf("%q: the page repeats it", uri)
			}
		}
		o.call("/oauth/par", c, asked).refused(t, "pushed "+strconv.Quote(uri), 400, "invalid_request")
	}
	if good < 8 || bad < 50 {
		t.Errorf("%d good and %d bad ones: the test says little", good, bad)
	}
}

// TestRFC9700_4_11_2_AnUnknownClientOrURIShowsAPage: nobody is sent anywhere.
func TestRFC9700_4_11_2_AnUnknownClientOrURIShowsAPage(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c, off := o.app("ci", ""), o.app("ci", "")
	o.by("ci", "PATCH", "/v1/auth/clients/"+off.ID, `{"disabled":true}`).want(t, 200, "")
	for what, q := range map[string]url.Values{
		"an unknown client":    ask(app{ID: "client_" + strings.Repeat("a", 26)}),
		"a client in capitals": ask(app{ID: strings.ToUpper(c.ID)}),
		"no client":            ask(app{}, "client_id", ""),
		"a client as text":     ask(app{ID: "<script>alert(1)</script>"}),
		"a disabled client":    ask(off),
		"no URI for openid":    ask(c, "redirect_uri", ""),
		"a URI of nobody":      ask(c, "redirect_uri", "https://evil.example/cb"),
		"two URIs":             {"client_id": {c.ID}, "response_type": {"code"}, "redirect_uri": {appURI, "https://evil.example/"}},
		"two clients":          {"client_id": {c.ID, off.ID}, "response_type": {"code"}, "redirect_uri": {appURI}},
		"a foreign request":    ask(c, "request_uri", "https://evil.example/request.jwt", "redirect_uri", "https://evil.example/"),
		"an unknown pushed":    ask(c, "request_uri", "urn:ietf:params:oauth:request_uri:"+strings.Repeat("A", 43)),
	} {
		for who, b := range map[string]*browser{"ann": o.person("ann"), "nobody": newBrowser(t, o.URL)} {
			for _, prompt := range []string{"", "none"} {
				a := b.authorize(values(q, "prompt", prompt))
				a.staysHere(t, what+" for "+who, 400)
				if strings.Contains(a.body, "evil.example") || strings.Contains(a.body, "<script>alert") {
					t.Errorf("%s: the page repeats it", what)
				}
			}
		}
	}
}

// TestStateIsPassedBackByteForByte with codes and errors, beside the issuer (RFC 9207;
// RFC 9700, section 4.4.2.1).
func TestStateIsPassedBackByteForByte(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", "")
	ann := o.person("ann")
	for _, state := range []string{
		"x", "a b+c", "%41%2B", "a&code=evil&iss=evil", "#f", "\"<script>'", "äöü€𝄞", "\\", "/../", strings.Repeat("s", 900), "===", ";;", "?state=2", "{\"a\":1}",
	} {
		for what, send := range map[string]func(url.Values) answer{
			"yes":    func(q url.Values) answer { return ann.decide(decisionPath, ann.authorize(q).sealed(t), "allow") },
			"no":     func(q url.Values) answer { return ann.decide(decisionPath, ann.authorize(q).sealed(t), "deny") },
			"error":  func(q url.Values) answer { return ann.authorize(values(q, "scope", "nobody:knows")) },
			"silent": func(q url.Values) answer { return ann.authorize(values(q, "prompt", "none")) },
		} {
			a := send(ask(c, "state", state))
			got := a.sentBack(t)
			if a.StatusCode != 303 || len(got["state"]) != 1 || got.Get("state") != state || len(got["iss"]) != 1 || got.Get("iss") != o.oauth.prefix {
				t.Errorf("%s, %q: %d to %q", what, state, a.StatusCode, a.Header.Get("Location"))
			}
			if got.Has("code") == got.Has("error") || got.Has("code") != (what == "yes") {
				t.Errorf("%s, %q: %v", what, state, got)
			}
			if strings.ContainsAny(a.Header.Get("Location"), "\r\n #") {
				t.Errorf("%s, %q: %q", what, state, a.Header.Get("Location"))
			}
		}
	}
	for _, state := range []string{"a\nb", "a\rb", "\x7f", strings.Repeat("s", 4001)} { // no client needs it, and none gets it
		if a := ann.authorize(ask(c, "state", state)); a.StatusCode != 303 || a.sentBack(t).Has("state") || a.sentBack(t).Get("error") != "invalid_request" {
			t.Errorf("%q: %d to %q", state, a.StatusCode, a.Header.Get("Location"))
		}
	}
	none := ann.authorize(ask(c, "state", "", "scope", "nobody:knows"))
	o.goesBack("without state", none, "invalid_scope", "")
}

// TestRFC9700_2_1_2_NoTokenLeavesTheAuthorizationEndpoint: code is the only response
// type, whatever is asked for.
func TestRFC9700_2_1_2_NoTokenLeavesTheAuthorizationEndpoint(t *testing.T) {
	t.Parallel()
	o := attackOAuth(t, "")
	c := o.app("ci", `"first_party":false`)
	ann := o.person("ann")
	for _, kind := range []string{"token", "id_token", "code token", "code id_token", "id_token token", "none", "CODE", "code code", "code,token"} {
		o.goesBack(kind, ann.authorize(ask(c, "response_type", kind)), "unsupported_response_type", "st")
	}
	for _, mode := range []string{"fragment", "form_post", "query.jwt", "web_message"} {
		o.goesBack(mode, ann.authorize(ask(c, "response_mode", mode)), "invalid_request", "st")
	}
	o.goesBack("a request object", ann.authorize(ask(c, "request", "eyJhbGciOiJub25lIn0.e30.")), "request_not_supported", "st")
	for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodDelete} {
		if a := ann.send(method, "/oauth/authorize?"+ask(c).Encode(), nil); a.StatusCode != 405 {
			t.Errorf("%s: %d", method, a.StatusCode)
		}
	}
}
