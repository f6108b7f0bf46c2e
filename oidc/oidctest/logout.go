package oidctest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// serveEndSession is RP-initiated logout. It asks nobody: an ID token of ours as
// the hint ends the sign-in that it came from.
func (p *Provider) serveEndSession(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p.mu.Lock()
	defer p.mu.Unlock()
	client := p.clients[query.Get("client_id")]
	if sid := ReadClaims(query.Get("id_token_hint"))["sid"]; sid != nil {
		p.end(func(s *signIn) bool { return s.sid == sid })
	}
	back := query.Get("post_logout_redirect_uri")
	if back == "" {
		fmt.Fprintln(w, "signed out")
		return
	}
	if !slices.Contains(client.PostLogoutRedirectURLs, back) {
		http.Error(w, "unknown post_logout_redirect_uri", http.StatusBadRequest)
		return
	}
	if state := query.Get("state"); state != "" {
		back += "?" + url.Values{"state": {state}}.Encode()
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// ReadClaims reads a signed token without verifying it. It returns nil for
// anything else.
func ReadClaims(raw string) Claims {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims Claims
	if err != nil || json.Unmarshal(data, &claims) != nil {
		return nil
	}
	return claims
}

// LogoutToken returns a logout token for a client (Back-Channel Logout 1.0
// §2.4). An empty subject or sid is left out. alter, unless it is nil, changes
// header and claims before they are signed.
func (p *Provider) LogoutToken(clientID, subject, sid string, alter func(header, claims Claims)) string {
	now := p.cfg.Now()
	claims := Claims{
		"iss": p.URL, "aud": clientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": random(),
		"events": Claims{"http://schemas.openid.net/event/backchannel-logout": Claims{}},
	}
	if subject != "" {
		claims["sub"] = subject
	}
	if sid != "" {
		claims["sid"] = sid
	}
	header := Claims{"typ": "logout+jwt"}
	if alter != nil {
		alter(header, claims)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sign(claims, header, p.clients[clientID])
}

// SendLogout ends sign-ins and tells the client over the back channel. It
// returns the status of the answer. An empty subject or sid is left out.
func (p *Provider) SendLogout(ctx context.Context, clientID, subject, sid string) (int, error) {
	p.mu.Lock()
	client := p.clients[clientID]
	p.end(func(s *signIn) bool {
		return s.client == clientID && (sid == "" || s.sid == sid) && (subject == "" || s.subject == subject)
	})
	p.mu.Unlock()
	form := url.Values{"logout_token": {p.LogoutToken(clientID, subject, sid, nil)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, client.BackchannelURI, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	transport := trusting()
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}
