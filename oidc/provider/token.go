package provider

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
)

// A TokenAnswer is what the token endpoint answers (RFC 6749, section 5.1).
type TokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// Token answers the token request of an authenticated client, or of a public one.
// The error is an *Error.
func (p *Provider) Token(ctx context.Context, c *Client, params Params) (*TokenAnswer, error) {
	grant := params.Get("grant_type")
	if grant == "" {
		return nil, missing("grant_type")
	}
	var answer func(context.Context, *Client, Params) (*TokenAnswer, error)
	switch grant {
	case GrantCode:
		answer = p.redeemCode
	case GrantRefresh:
		answer = p.redeemRefresh
	case GrantClientCredentials:
		answer = p.clientCredentials
	case GrantDevice:
		answer = p.redeemDevice
	default:
		return nil, fail(UnsupportedGrant, "This server has no such grant_type. Its metadata lists those that it has.")
	}
	if !c.MayUse(grant) {
		return nil, fail(UnauthorizedClient, "The client is not registered for the grant_type "+grant+".")
	}
	return answer(ctx, c, params)
}

// missing is the answer where a parameter is not there.
func missing(name string) *Error {
	return fail(InvalidRequest, "The parameter "+name+" is missing.")
}

// The beginnings of the secrets that this server hands out.
const (
	codePrefix    = "wgac_"
	refreshPrefix = "wgrt_"
	devicePrefix  = "wgdc_"
)

// isOpaque reports whether s has the shape of newSecret, so that it is worth a look
// into the store.
func isOpaque(prefix, s string) bool {
	text, ok := strings.CutPrefix(s, prefix)
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(32) || strings.ContainsAny(text, "\r\n") {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil
}

// opaqueParam returns a parameter that is a secret of this server. Errors:
// InvalidRequest where it is missing, InvalidGrant where it cannot be one.
func opaqueParam(params Params, name, prefix string) (string, error) {
	s := params.Get(name)
	if s == "" {
		return "", missing(name)
	}
	if !isOpaque(prefix, s) {
		return "", notGranted(errors.New(name + " does not have the shape of one of this server"))
	}
	return s, nil
}

// notGranted is the answer to a code or token that is worth nothing (any more). It
// does not tell a stranger why; the cause tells the log.
func notGranted(cause error) *Error {
	return fail(InvalidGrant, "What was sent is unknown, expired, used, revoked, or belongs to another client. Ask for authorization again.").because(cause)
}

// refusal makes an error of the store, or of what it called, the answer.
func refusal(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	for _, known := range []error{ErrNotFound, ErrReplayed, ErrUsed, ErrEnded} {
		if errors.Is(err, known) {
			return notGranted(err)
		}
	}
	return unavailable(err)
}

// replayed is refusal for what is single use. Where it came a second time, its
// grant has ended with it: this process takes that over at once, and who watches is
// told.
func (p *Provider) replayed(ctx context.Context, err error, g Grant, what string) *Error {
	if errors.Is(err, ErrReplayed) {
		p.Apply([]Change{{ChangedGrant, g.ID}})
		if p.cfg.Suspicious != nil && g.RevokedAt.IsZero() {
			p.cfg.Suspicious(context.WithoutCancel(ctx), g, what)
		}
	}
	return refusal(err)
}
