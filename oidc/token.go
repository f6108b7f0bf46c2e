package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
)

// tokens is an answer of the token endpoint.
type tokens struct {
	id, access, refresh string
	expiry              time.Time // of access; zero when the provider does not say
}

// A grant is what tokens are asked for with: a code or a refresh token.
type grant struct {
	code, verifier, redirectURL string
	refresh                     string
}

// token asks the token endpoint, unless that has not answered for a while.
func (p *Provider) token(ctx context.Context, m *metadata, g grant) (*tokens, error) {
	probe, err := p.tokenBrake.enter(p.cfg.Now())
	if err != nil {
		return nil, err
	}
	t, heard, err := p.askToken(ctx, m, g)
	if err != nil {
		err = p.tokenError(err, g)
	}
	p.tokenBrake.leave(probe, p.cfg.Now(), heard, err)
	if err != nil {
		return nil, err
	}
	id, _ := t.Extra("id_token").(string)
	answer := &tokens{id: id, access: t.AccessToken, refresh: t.RefreshToken}
	if t.ExpiresIn > 0 {
		answer.expiry = p.cfg.Now().Add(time.Duration(t.ExpiresIn) * time.Second)
	}
	if len(answer.access) > maxToken || len(answer.refresh) > maxToken {
		return nil, failure(Misconfigured, "the provider sends a token of more than %d bytes", maxToken)
	}
	return answer, nil
}

// askToken makes one request to the token endpoint. After a refresh that brings
// no new refresh token, x/oauth2 puts the old one into the answer.
func (p *Provider) askToken(ctx context.Context, m *metadata, g grant) (t *oauth2.Token, heard outcome, err error) {
	config := oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, RedirectURL: g.redirectURL,
		Endpoint: oauth2.Endpoint{TokenURL: m.Token, AuthStyle: m.authStyle()},
	}
	client := *p.http
	client.Timeout = 0 // limited has it: x/oauth2 does not tell which error a body ended with
	limited, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, &client), p.cfg.Timeout)
	defer cancel()
	if g.refresh != "" {
		t, err = config.TokenSource(limited, &oauth2.Token{RefreshToken: g.refresh}).Token()
	} else {
		t, err = config.Exchange(limited, g.code, oauth2.VerifierOption(g.verifier))
	}
	_, broken := errors.AsType[*url.Error](err)
	switch {
	case err == nil:
		heard = answered
	case ctx.Err() != nil:
		heard = unheard
	case limited.Err() != nil, broken && !errors.Is(err, errTooLarge):
		heard = silent
	default:
		heard = answered
	}
	return t, heard, err
}

// tokenError explains why the token endpoint gave no tokens (RFC 6749 §5.2).
func (p *Provider) tokenError(err error, g grant) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return unreachable("token endpoint", err)
	}
	status := refused.Response.StatusCode
	if status >= 500 || status == http.StatusTooManyRequests || status >= 300 && status < 400 {
		return badStatus("token endpoint", refused.Response)
	}
	e := failure(Misconfigured, "token endpoint: the provider answers %d %s", status,
		said(refused.ErrorCode, refused.ErrorDescription, g.code, g.verifier, g.refresh, p.cfg.ClientSecret))
	e.Code = shortCode(refused.ErrorCode)
	switch refused.ErrorCode {
	case "invalid_grant":
		e.Kind = Stale
		return e.advise("if it happens at every sign-in, compare -oidc-redirect-url with what is registered at the provider")
	case "invalid_client":
		return e.advise("compare -oidc-client-id and -oidc-client-secret with what the provider shows; the secret may have expired there")
	case "unauthorized_client", "unsupported_grant_type":
		return e.advise("allow authorization codes and refresh tokens for this client at the provider")
	case "temporarily_unavailable", "server_error", "slow_down":
		e.Kind = Unreachable
	case "":
		return e.advise("is that the provider's token endpoint?")
	}
	return e
}
