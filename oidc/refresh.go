package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// Refresh spends a refresh token for new tokens and reads again who the person
// is. idToken and subject are those of the Login before. What the provider
// leaves out of its answer, the refresh token and the ID token, stays what it was.
//
// ErrRefused is in the error when the provider has ended the sign-in or answers
// about somebody else: the session must end. Every other error means that it is
// not known; the session stays and the call can be made again.
//
// A provider that rotates refresh tokens takes each once, so a request that was
// sent is waited for, up to the time limit of the configuration, even when ctx
// ends. Never make two calls with the same refresh token.
func (p *Provider) Refresh(ctx context.Context, refreshToken, idToken, subject string) (*Login, error) {
	if err := ctx.Err(); err != nil {
		return nil, p.named(failure(Unreachable, "refresh: %w", err))
	}
	login, err := p.refresh(context.WithoutCancel(ctx), refreshToken, idToken, subject)
	return login, p.named(err)
}

func (p *Provider) refresh(ctx context.Context, refreshToken, idToken, subject string) (*Login, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	if refreshToken == "" {
		return nil, failure(Misconfigured, "there is no refresh token")
	}
	token, err := p.token(ctx, m, grant{refresh: refreshToken})
	if e, ok := errors.AsType[*Error](err); ok && e.Code == "invalid_grant" {
		return nil, &Error{Kind: Denied, Code: e.Code, err: fmt.Errorf("%w: %w", ErrRefused, e.err)}
	}
	if err != nil {
		return nil, err
	}
	return p.renewed(ctx, token, idToken, subject)
}

// renewed makes a Login of the answer to a refresh. It keeps to Core 1.0 §12.2
// where there is a new ID token.
func (p *Provider) renewed(ctx context.Context, token *tokens, idToken, subject string) (*Login, error) {
	old := unverified(idToken)
	var fresh claims
	if token.id != "" {
		var err error
		if fresh, err = p.idToken(ctx, token.id, token.access); err != nil {
			return nil, err
		}
		if fresh.text("sub") != subject {
			return nil, &Error{Kind: Untrusted, err: fmt.Errorf("%w: the new ID token is about another subject", ErrRefused)}
		}
		if nonce := fresh.text("nonce"); nonce != "" && old.text("nonce") != "" {
			if err := checkNonce(fresh, old.text("nonce")); err != nil {
				return nil, err
			}
		}
	}
	known := fresh
	if known == nil {
		known = old
	}
	l := p.newLogin(token, known)
	l.Subject = subject
	l.IDToken = cmp.Or(l.IDToken, idToken)
	l.SID = cmp.Or(l.SID, old.text("sid"))
	if err := p.describe(ctx, l, fresh, old); err != nil {
		return nil, err
	}
	return l, nil
}
