package oidctest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request", "%v", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r.PostForm.Encode())
	client, ok := p.authenticate(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		refuse(w, http.StatusUnauthorized, "invalid_client", "wrong client or secret")
		return
	}
	var s *signIn
	var why string
	kind := r.PostForm.Get("grant_type")
	switch kind {
	case "authorization_code":
		s, why = p.redeem(client, r.PostForm)
	case "refresh_token":
		s, why = p.spend(client, r.PostForm.Get("refresh_token"))
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type", "%s", kind)
		return
	}
	if why != "" {
		refuse(w, http.StatusBadRequest, "invalid_grant", "%s", why)
		return
	}
	answer := p.issue(client, s, kind)
	if p.faults.tokenAnswer != nil {
		p.faults.tokenAnswer(kind, answer)
	}
	writeJSON(w, http.StatusOK, answer)
}

// authenticate takes the client's secret from the header or the body.
func (p *Provider) authenticate(r *http.Request) (Client, bool) {
	id, secret, ok := r.BasicAuth()
	if ok { // form-encoded: RFC 6749 §2.3.1
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	c, known := p.clients[id]
	return c, known && subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) == 1
}

// redeem takes a code, once, and says what is wrong with it.
func (p *Provider) redeem(client Client, form url.Values) (*signIn, string) {
	s := p.codes[form.Get("code")]
	delete(p.codes, form.Get("code"))
	if s == nil {
		return nil, "unknown code " + form.Get("code")
	}
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	switch {
	case s.client != client.ID:
		return nil, "the code is another client's"
	case s.redirectURL != form.Get("redirect_uri"):
		return nil, "redirect_uri differs"
	case s.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
		return nil, "wrong code_verifier"
	}
	return s, ""
}

// spend takes a refresh token. A second use ends the sign-in.
func (p *Provider) spend(client Client, token string) (*signIn, string) {
	r := p.refresh[token]
	if r == nil || r.signIn.client != client.ID {
		return nil, "unknown refresh token"
	}
	if r.used && !p.faults.reuseRefresh {
		r.signIn.ended = true
		return nil, "the refresh token was used before"
	}
	if _, known := p.users[r.signIn.subject]; !known || r.signIn.ended {
		return nil, "the sign-in has ended"
	}
	r.used = true
	return r.signIn, ""
}

// issue makes the answer to a grant.
func (p *Provider) issue(client Client, s *signIn, kind string) Claims {
	access := random()
	p.access[access] = s
	answer := Claims{
		"access_token": access, "token_type": "Bearer", "expires_in": int(p.cfg.TokenLife / time.Second),
		"id_token": p.idToken(client, s, access, kind),
	}
	if kind == "authorization_code" || !p.faults.reuseRefresh {
		token := random()
		p.refresh[token] = &refreshToken{signIn: s}
		answer["refresh_token"] = token
	}
	return answer
}

func (p *Provider) idToken(client Client, s *signIn, access, kind string) string {
	now := p.cfg.Now()
	claims := maps.Clone(p.users[s.subject])
	if claims == nil {
		claims = Claims{}
	}
	maps.Copy(claims, Claims{
		"iss": p.URL, "sub": s.subject, "aud": client.ID, "sid": s.sid,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": s.at.Unix(),
		"at_hash": halfHash(p.faults.alg, access),
	})
	if kind == "authorization_code" {
		claims["nonce"] = s.nonce
	}
	if p.faults.idToken != nil {
		p.faults.idToken(claims)
	}
	raw := p.sign(claims, Claims{"typ": "JWT"}, client)
	if p.faults.raw != nil {
		raw = p.faults.raw(raw)
	}
	return raw
}

func (p *Provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.access[token]
	if s == nil || s.ended || p.users[s.subject] == nil {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	claims := maps.Clone(p.users[s.subject])
	claims["sub"] = s.subject
	writeJSON(w, http.StatusOK, claims)
}
