package provider

import (
	"context"
	"errors"
	"net/url"
	"strconv"
)

// A Logout is a request to sign out that was checked (OpenID Connect RP-Initiated
// Logout).
type Logout struct {
	ClientID string // "" where the request does not say
	Subject  string // of the hint
	SID      string // of the hint
	Redirect string // where the browser goes afterwards, with state; "" is a page of ours
}

// Logout checks a request to sign out. A redirect counts only where the client is
// known and has registered it. The error is an *Error for a page. Without a hint
// (Subject) anybody can have made the request, so that the person has to be asked.
func (p *Provider) Logout(ctx context.Context, params Params) (*Logout, error) {
	hint, err := p.hint(ctx, params)
	if err != nil {
		return nil, err
	}
	id := params.Get("client_id")
	if id == "" {
		id = hint.Audience
	} else if hint.Audience != "" && hint.Audience != id {
		return nil, fail(InvalidRequest, "The id_token_hint was not made for this client_id.")
	}
	c, err := p.leaving(ctx, id)
	if err != nil {
		return nil, err
	}
	l := &Logout{Subject: hint.Subject, SID: hint.SID, ClientID: c.ID}
	if l.Redirect, err = afterLogout(c, params); err != nil {
		return nil, err
	}
	return l, nil
}

// leaving returns the client that a request to sign out is from. One that is not
// there any more is no reason to stay: it has no name and no redirect URIs.
func (p *Provider) leaving(ctx context.Context, id string) (*Client, error) {
	if id == "" {
		return &Client{}, nil
	}
	c, err := p.client(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return &Client{}, nil
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return c, nil
}

// afterLogout returns where the browser goes then, "" for nowhere.
func afterLogout(c *Client, params Params) (string, error) {
	uri, state := params.Get("post_logout_redirect_uri"), params.Get("state")
	switch {
	case uri == "":
		return "", nil
	case !c.RedirectsLogout(uri):
		return "", fail(InvalidRequest, "The post_logout_redirect_uri is not one of those that this app has registered.")
	case len(state) > maxState || !printable(state):
		return "", fail(InvalidRequest, "The state may have "+strconv.Itoa(maxState)+" bytes, and no control characters.")
	case state == "":
		return uri, nil
	}
	return withQuery(uri, url.Values{"state": {state}}), nil
}
