package oidctest

import (
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func (p *Provider) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	doc := Claims{
		"issuer":                                p.URL,
		"authorization_endpoint":                p.URL + "/authorize",
		"token_endpoint":                        p.URL + "/token",
		"jwks_uri":                              p.URL + "/jwks",
		"userinfo_endpoint":                     p.URL + "/userinfo",
		"end_session_endpoint":                  p.URL + "/end_session",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"code_challenge_methods_supported":      []string{"S256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"id_token_signing_alg_values_supported": []string{
			"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256",
		},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
	}
	p.mu.Lock()
	change := p.faults.metadata
	p.mu.Unlock()
	if change != nil {
		change(doc)
	}
	writeJSON(w, http.StatusOK, doc)
}

func (p *Provider) serveKeys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	set := p.keys.public()
	p.mu.Unlock()
	writeJSON(w, http.StatusOK, set)
}

// serveAuthorize is the authorization endpoint. A person who is not known yet
// gets a form, which is posted to the same address.
func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p.mu.Lock()
	defer p.mu.Unlock()
	client, ok := p.clients[query.Get("client_id")]
	if !ok || !slices.Contains(client.RedirectURLs, query.Get("redirect_uri")) {
		http.Error(w, "unknown client or redirect_uri", http.StatusBadRequest)
		return
	}
	subject := p.who(r)
	switch {
	case query.Get("response_type") != "code":
		p.answer(w, r, url.Values{"error": {"unsupported_response_type"}})
	case !slices.Contains(strings.Fields(query.Get("scope")), "openid"):
		p.answer(w, r, url.Values{"error": {"invalid_scope"}})
	case query.Get("code_challenge_method") != "S256" || len(query.Get("code_challenge")) != 43:
		p.answer(w, r, url.Values{"error": {"invalid_request"}, "error_description": {"PKCE with S256 is required"}})
	case p.denial[0] != "":
		p.answer(w, r, url.Values{"error": {p.denial[0]}, "error_description": {p.denial[1]}})
	case subject == "" && query.Get("prompt") == "none":
		p.answer(w, r, url.Values{"error": {"login_required"}})
	case subject == "":
		p.showForm(w, r)
	default:
		code := random()
		p.codes[code] = &signIn{
			client: client.ID, subject: subject, sid: random(), at: p.cfg.Now(),
			nonce: query.Get("nonce"), challenge: query.Get("code_challenge"), redirectURL: query.Get("redirect_uri"),
		}
		p.answer(w, r, url.Values{"code": {code}})
	}
}

// who returns the subject that signs in with this request, or "".
func (p *Provider) who(r *http.Request) string {
	for _, name := range []string{r.URL.Query().Get("login_hint"), r.PostFormValue("username"), p.next} {
		if _, ok := p.users[name]; ok {
			return name
		}
	}
	return ""
}

// answer sends the browser back to the client. The parameter iss is there
// whether or not the metadata promise it.
func (p *Provider) answer(w http.ResponseWriter, r *http.Request, params url.Values) {
	query := r.URL.Query()
	params.Set("state", query.Get("state"))
	params.Set("iss", p.URL)
	to, err := url.Parse(query.Get("redirect_uri"))
	if err != nil {
		http.Error(w, "bad redirect_uri", http.StatusBadRequest)
		return
	}
	all := to.Query()
	maps.Copy(all, params)
	to.RawQuery = all.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

const formPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Sign in at the test provider</title>
<h1>Test provider</h1>
<form method="post" action="{{.}}">
<label>User <input name="username" autocomplete="username" autofocus required></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button type="submit">Sign in</button>
</form>
</html>
`

func (p *Provider) showForm(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page := template.Must(template.New("form").Parse(formPage))
	if err := page.Execute(w, r.URL.RequestURI()); err != nil {
		panic(http.ErrAbortHandler)
	}
}
