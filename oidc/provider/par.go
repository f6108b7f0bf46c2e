package provider

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// requestURI begins the URI of a pushed request (RFC 9126, section 2.2).
const requestURI = "urn:ietf:params:oauth:request_uri:"

// Bounds of pushed requests and of device authorizations: how many may be open.
const (
	perSource = 200
	perClient = 10_000

	pushedLifetime = 10 * time.Minute // the person may have to sign in meanwhile (RFC 9126, section 2.2)
	tooManyWait    = 10 * time.Second
)

// keptParams are the parameters that a pushed request is kept with, beside scope and
// resource. Whatever else came is ignored, or a secret of the client.
var keptParams = []string{
	"response_type", "response_mode", "redirect_uri", "state", "nonce", "code_challenge", "code_challenge_method",
	"prompt", "max_age", "login_hint",
}

// keptSubject is what is kept of an id_token_hint: whom it was about, and no token.
const keptSubject = "wavegate_subject"

// Push keeps an authorization request of an authenticated client, or of a public
// one, and returns its URI and for how long it is good (RFC 9126). The error is an
// *Error, and never has a Redirect.
func (p *Provider) Push(ctx context.Context, c *Client, params Params, source string) (uri string, expires time.Duration, err error) {
	switch id := params.Get("client_id"); {
	case params.Get("request_uri") != "":
		return "", 0, fail(InvalidRequest, "A request that is pushed cannot have a request_uri.")
	case id != "" && id != c.ID:
		return "", 0, fail(InvalidRequest, "The client_id is not that of the client which authenticated.")
	}
	reference := newSecret("")
	r := &Request{Client: c, Params: params, pushed: HashOf(reference)}
	if err := p.read(ctx, r, params); err != nil {
		return "", 0, err
	}
	now := p.now()
	err = p.store.Push(ctx, Pushed{
		Hash: r.pushed, ClientID: c.ID, Params: keptAs(r, params), Source: source, ExpiresAt: stamp(now.Add(pushedLifetime)),
	}, now, perSource, perClient)
	if err != nil {
		return "", 0, keepError(err)
	}
	return requestURI + reference, pushedLifetime, nil
}

// keptAs returns what a pushed request is kept as.
func keptAs(r *Request, params Params) string {
	values := url.Values{"scope": {strings.Join(r.Scopes, " ")}, "resource": r.Resources}
	for _, name := range keptParams {
		if v := params.Get(name); v != "" {
			values.Set(name, v)
		}
	}
	if r.IDTokenHint != "" {
		values.Set(keptSubject, r.IDTokenHint)
	}
	return values.Encode()
}

// keepError tells the client why something that it began was not kept.
func keepError(err error) *Error {
	if errors.Is(err, ErrTooMany) {
		return &Error{
			Code: Unavailable, Description: "Too many requests of this client are open. Wait until some are answered or have expired.",
			Status: http.StatusTooManyRequests, RetryAfter: tooManyWait, Cause: err,
		}
	}
	return unavailable(err)
}

// unpush returns the parameters of a pushed request; what came beside the reference
// is ignored (RFC 9126, section 4), and only the reference is asked again. The error
// is for a page.
func (p *Provider) unpush(ctx context.Context, r *Request, reference string) (Params, error) {
	r.pushed = HashOf(reference)
	r.Params = Params{url.Values{"client_id": {r.Client.ID}, "request_uri": {requestURI + reference}}}
	pushed, err := p.store.Pushed(ctx, r.pushed, p.now())
	switch {
	case errors.Is(err, ErrNotFound), err == nil && pushed.ClientID != r.Client.ID:
		return Params{}, fail(InvalidRequestURI, "This request has expired or was answered before. Go back to the app and begin again.")
	case err != nil:
		return Params{}, unavailable(err)
	}
	values, err := url.ParseQuery(pushed.Params)
	if err != nil {
		return Params{}, unavailable(err)
	}
	r.IDTokenHint = values.Get(keptSubject)
	return Params{values}, nil
}

// newSecret returns 256 bits that nobody can guess, with a prefix that says what
// they are.
func newSecret(prefix string) string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}
