package oidc

import (
	"context"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
)

// An AuthRequest is one attempt to sign in. State, Nonce and Verifier are
// secrets of this attempt, made afresh and kept until the callback; a Verifier has
// 43 to 128 characters (RFC 7636 §4.1).
type AuthRequest struct {
	State, Nonce, Verifier string
	RedirectURL            string // of the callback, as it is registered at the provider

	Prompt    string // "login" asks even those who are signed in; "" leaves it to the provider
	LoginHint string // the user name, if it is known; or ""
}

// AuthURL returns the address to which the browser is sent. The first call
// fetches the discovery document.
func (p *Provider) AuthURL(ctx context.Context, r AuthRequest) (string, error) {
	if r.State == "" || r.Nonce == "" || len(r.Verifier) < 43 || r.RedirectURL == "" {
		return "", p.named(failure(Misconfigured, "state, nonce, verifier or redirect URL is missing"))
	}
	m, err := p.metadata.get(ctx)
	if err != nil {
		return "", p.named(err)
	}
	u, err := url.Parse(m.Authorization)
	if err != nil {
		return "", p.named(failure(Misconfigured, "authorization_endpoint: %w", err))
	}
	query := u.Query()
	for _, param := range p.cfg.AuthURLParams {
		query.Add(param.Key, param.Value)
	}
	for key, value := range map[string]string{"prompt": r.Prompt, "login_hint": r.LoginHint} {
		if value != "" {
			query.Set(key, value)
		}
	}
	for key, value := range map[string]string{
		"response_type":         "code",
		"client_id":             p.cfg.ClientID,
		"redirect_uri":          r.RedirectURL,
		"scope":                 strings.Join(p.cfg.Scopes, " "),
		"state":                 r.State,
		"nonce":                 r.Nonce,
		"code_challenge":        oauth2.S256ChallengeFromVerifier(r.Verifier),
		"code_challenge_method": "S256",
	} {
		query.Set(key, value)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// A Callback is what came back to the redirect URL, with what was kept of the
// attempt that its state belongs to. The caller has compared the state.
type Callback struct {
	Code             string
	Issuer           string // parameter iss (RFC 9207), or ""
	Error            string // parameter error, or ""
	ErrorDescription string

	Nonce, Verifier, RedirectURL string // as in AuthRequest
}

// Exchange turns a callback into a Login. It spends the code: another call with
// the same callback fails.
func (p *Provider) Exchange(ctx context.Context, cb Callback) (*Login, error) {
	login, err := p.exchange(ctx, cb)
	return login, p.named(err)
}

func (p *Provider) exchange(ctx context.Context, cb Callback) (*Login, error) {
	if cb.Issuer != "" && cb.Issuer != p.cfg.Issuer {
		return nil, failure(Untrusted, "the answer is by %s and not by %s", foreign(cb.Issuer), p.cfg.Issuer)
	}
	if cb.Error != "" {
		return nil, p.callbackError(cb)
	}
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	if cb.Issuer == "" && m.SendsIssuer {
		return nil, failure(Untrusted, "the answer does not say whose it is (iss), as the provider has promised")
	}
	if cb.Code == "" || len(cb.Code) > maxCode || cb.Verifier == "" {
		return nil, failure(Stale, "the answer has no usable code")
	}
	token, err := p.token(ctx, m, grant{code: cb.Code, verifier: cb.Verifier, redirectURL: cb.RedirectURL})
	if err != nil {
		return nil, err
	}
	return p.login(ctx, token, cb.Nonce)
}

// login checks what the token endpoint gave for a code.
func (p *Provider) login(ctx context.Context, token *tokens, nonce string) (*Login, error) {
	if token.id == "" {
		return nil, failure(Misconfigured, "the provider sent no ID token").advise("is this an OpenID Connect client at the provider, with the scope openid?")
	}
	c, err := p.idToken(ctx, token.id, token.access)
	if err != nil {
		return nil, err
	}
	if err := checkNonce(c, nonce); err != nil {
		return nil, err
	}
	l := p.newLogin(token, c)
	if err := p.describe(ctx, l, c, nil); err != nil {
		return nil, err
	}
	return l, nil
}

// newLogin returns what a token response and the claims of an ID token say,
// without the person's names.
func (p *Provider) newLogin(token *tokens, c claims) *Login {
	l := &Login{
		Issuer: p.cfg.Issuer, Subject: c.text("sub"), SID: c.text("sid"),
		IDToken: token.id, AccessToken: token.access, RefreshToken: token.refresh, Expiry: token.expiry,
	}
	if at, ok := c.instant("auth_time"); ok {
		l.AuthTime = at
	}
	return l
}

// callbackError explains an error that came to the redirect URL (RFC 6749
// §4.1.2.1, Core 1.0 §3.1.2.6).
func (p *Provider) callbackError(cb Callback) error {
	e := failure(Misconfigured, "the provider answers %s", said(cb.Error, cb.ErrorDescription, cb.Code, cb.Verifier))
	e.Code = shortCode(cb.Error)
	switch cb.Error {
	case "access_denied", "login_required", "consent_required", "interaction_required", "account_selection_required":
		e.Kind = Denied
	case "server_error", "temporarily_unavailable":
		e.Kind = Unreachable
	case "invalid_scope":
		return e.advise("compare -oidc-scopes with the scopes of this client at the provider")
	case "unauthorized_client", "unsupported_response_type":
		return e.advise("allow the authorization code flow for this client at the provider")
	}
	return e
}
