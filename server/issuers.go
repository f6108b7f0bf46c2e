package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"wavegate/oidc"
	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

// issuerSet is the trusted issuers of a policy. It does not change; nil has none.
type issuerSet struct {
	byName map[string]*issuer // by what tokens say in iss
}

// An issuer is somebody else whose JWTs are taken.
type issuer struct {
	*oidc.Issuer
	rule policy.Issuer
}

// of returns the issuer that a token says it is from, or nil. Nothing of the token
// is believed by that.
func (set *issuerSet) of(raw string) *issuer {
	if set == nil || len(set.byName) == 0 {
		return nil
	}
	name, ok := oidc.PeekIssuer(raw)
	if !ok {
		return nil
	}
	return set.byName[name]
}

// readIssuers makes the issuers of a policy; those that did not change are the
// ones of before, which know their keys already.
func (s *Server) readIssuers(p *policy.Policy) (*issuerSet, error) {
	before := s.issuers.Load()
	set := &issuerSet{byName: map[string]*issuer{}}
	for _, rule := range p.Issuers() {
		if before != nil {
			if old := before.byName[rule.Issuer]; old != nil && old.rule == rule {
				set.byName[rule.Issuer] = old
				continue
			}
		}
		made, err := oidc.NewIssuer(oidc.IssuerConfig{
			Issuer: rule.Issuer, Audience: rule.Audience, JWKSURL: rule.JWKSURL, ScopeClaim: rule.ScopeClaim, Log: s.log,
		})
		if err != nil {
			return nil, SettingsError{prefixed(rule.Origin, err)}
		}
		set.byName[rule.Issuer] = &issuer{made, rule}
	}
	return set, nil
}

// closeBut ends the issuers that next has no more.
func (set *issuerSet) closeBut(next *issuerSet) {
	if set == nil {
		return
	}
	for name, is := range set.byName {
		if next == nil || next.byName[name] != is {
			is.Close()
		}
	}
}

var errIssuerUnavailable = fault.New(http.StatusServiceUnavailable, "issuer_unavailable",
	"The keys of the token's issuer cannot be had right now. Try again in a moment.")

// byIssuer returns who a token of a trusted issuer stands for.
func (s *Server) byIssuer(ex *exchange, from *issuer, raw string, st *state) (*identity.Principal, error) {
	claims, err := from.Verify(ex.ctx, raw)
	switch {
	case errors.Is(err, oidc.ErrIssuerExpired):
		return nil, errExpiredToken
	case errors.Is(err, oidc.ErrIssuerUnavailable):
		return nil, errIssuerUnavailable.RetryAfter(time.Second).Because(err)
	case err != nil:
		return nil, errWrongToken.Because(err)
	}
	p := &identity.Principal{
		Method: identity.MethodToken, Subject: from.rule.Name + "|" + claims.Subject, Username: claims.Username,
		Email: claims.Email, Groups: claims.Groups,
	}
	p.Owner = "sub:" + p.Subject
	p.Ended, ex.letGo = context.WithDeadline(context.Background(), claims.Expiry) // sockets and streams too
	st.policy.GrantIssued(p, &from.rule, claims.Scopes)
	p.Accounts = accountsOf(p, st)
	return p, nil
}
