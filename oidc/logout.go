package oidc

import (
	"context"
	"net/url"
	"time"
)

const (
	logoutPatience = 2 * time.Second  // for discovery, while a person waits to be signed out
	maxLogoutAge   = 10 * time.Minute // of a logout token
	maxHint        = 4 << 10          // bytes of an ID token in an address
)

// A LogoutRequest says who signs out at the provider and where they go then.
type LogoutRequest struct {
	IDToken     string // of the Login, so that the provider need not ask who it is; or ""
	RedirectURL string // as it is registered at the provider; or ""
	State       string // comes back to RedirectURL; or ""
}

// LogoutURL returns the address to which the browser is sent to sign out at the
// provider too (RP-Initiated Logout 1.0). It reports false when the provider
// has none, and when it is not known in time because the provider is down. An
// ID token that would make the address too long for servers is left out.
func (p *Provider) LogoutURL(ctx context.Context, r LogoutRequest) (string, bool) {
	address := p.cfg.EndSessionURL
	if address == "" {
		ctx, cancel := context.WithTimeout(ctx, min(logoutPatience, p.cfg.Timeout))
		defer cancel()
		if m, err := p.metadata.get(ctx); err == nil {
			address = m.EndSession
		}
	}
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return "", false
	}
	query := u.Query()
	query.Set("client_id", p.cfg.ClientID)
	if len(r.IDToken) > maxHint {
		r.IDToken = ""
	}
	for key, value := range map[string]string{
		"id_token_hint":            r.IDToken,
		"post_logout_redirect_uri": r.RedirectURL,
		"state":                    r.State,
	} {
		if value != "" {
			query.Set(key, value)
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), true
}

// A Logout says which sign-ins have ended at the provider. At least one of
// Subject and SID is set; when both are, it is that one session.
type Logout struct {
	Subject string // all sessions of this account
	SID     string // the session with this Login.SID

	id string // of the token, for Release
}

// LogoutToken checks a logout token (Back-Channel Logout 1.0 §2.6). Each is
// taken once. A caller who cannot end the sessions gives it back with Release.
func (p *Provider) LogoutToken(ctx context.Context, raw string) (Logout, error) {
	l, err := p.logoutToken(ctx, raw)
	return l, p.named(err)
}

// Release lets the token of l be taken once more: the provider may deliver it
// again when it was told that ending the sessions failed.
func (p *Provider) Release(l Logout) { p.spent.release(l.id) }

func (p *Provider) logoutToken(ctx context.Context, raw string) (Logout, error) {
	token, err := p.verify(ctx, raw, maxLogoutToken, restForForeign)
	if err != nil {
		return Logout{}, err
	}
	c := token.claims
	if err := checkLogoutKind(token); err != nil {
		return Logout{}, err
	}
	if _, err := p.checkParties(ctx, raw, token); err != nil {
		return Logout{}, err
	}
	if err := p.checkTimes(c); err != nil {
		return Logout{}, err
	}
	now := p.cfg.Now()
	iat, _ := c.instant("iat")
	if now.Sub(iat) > maxLogoutAge+clockSkew {
		return Logout{}, failure(Stale, "the logout token is %s old", now.Sub(iat).Round(time.Second))
	}
	l := Logout{Subject: c.text("sub"), SID: c.text("sid"), id: c.text("jti")}
	if l.id == "" || l.Subject == "" && l.SID == "" {
		return Logout{}, failure(Untrusted, "the logout token lacks jti, or both sub and sid")
	}
	if !p.spent.spend(l.id, iat.Add(maxLogoutAge+clockSkew), now) {
		return Logout{}, failure(Stale, "the logout token was used before")
	}
	return l, nil
}

// checkLogoutKind tells logout tokens from all other tokens. The header's type
// is recommended only, and some providers write JWT.
func checkLogoutKind(token *signed) error {
	events, _ := token.claims["events"].(map[string]any)
	_, isObject := events[logoutEvent].(map[string]any)
	_, hasNonce := token.claims["nonce"]
	switch {
	case token.typ != "" && token.typ != "jwt" && token.typ != "logout+jwt":
		return failure(Untrusted, "a token of type %s where a logout token belongs", foreign(token.typ))
	case !isObject:
		return failure(Untrusted, "not a logout token: it has no logout event")
	case hasNonce:
		return failure(Untrusted, "not a logout token: it has a nonce")
	}
	return nil
}
