package provider

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// The parameters that clients authenticate with.
const (
	paramClientID      = "client_id"
	paramClientSecret  = "client_secret"
	paramAssertion     = "client_assertion"
	paramAssertionType = "client_assertion_type"
)

// assertionType is client_assertion_type of a JWT (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Credentials are how a client says who it is.
type Credentials struct {
	Basic      bool   // HTTP Basic was used, and this is what it said, still url-encoded
	ID, Secret string // of Basic
	Params     Params // client_id, client_secret, client_assertion, client_assertion_type
}

// A claim is who somebody says they are and the one way in which they prove it:
// a secret, an assertion, or none where both are "".
type claim struct {
	id, secret, assertion string
	basic                 bool
}

// ClientID returns whom the credentials claim to be from, for limits and lockouts;
// nothing of it is believed. "" where it says nothing readable.
func (c Credentials) ClientID() string {
	cl, err := c.claim()
	if err != nil || !mayBeClientID(cl.id) {
		return ""
	}
	return cl.id
}

// claim reads the credentials. The error is an *Error. One way is allowed, not two
// (RFC 6749, section 2.3).
func (c Credentials) claim() (claim, error) {
	cl := claim{
		id: c.Params.Get(paramClientID), secret: c.Params.Get(paramClientSecret),
		assertion: c.Params.Get(paramAssertion), basic: c.Basic,
	}
	kind := c.Params.Get(paramAssertionType)
	switch {
	case c.Basic && (cl.secret != "" || cl.assertion != "" || kind != ""), cl.secret != "" && cl.assertion != "":
		return claim{}, fail(InvalidRequest, "Authenticate the client in one way alone: HTTP Basic, client_secret or client_assertion.")
	case cl.assertion != "" && kind != assertionType:
		return claim{}, fail(InvalidRequest, "client_assertion_type has to be "+assertionType+".")
	case cl.assertion == "" && kind != "":
		return claim{}, fail(InvalidRequest, "There is a client_assertion_type, and no client_assertion.")
	case c.Basic:
		return c.basic(cl)
	case cl.assertion != "" && cl.id == "":
		cl.id = assertionSubject(cl.assertion)
	}
	return cl, nil
}

// basic reads what HTTP Basic said, which is url-encoded (RFC 6749, section 2.3.1).
// What is sent as it is differs only where there is something to decode. An empty
// secret is none: libraries send one for public clients.
func (c Credentials) basic(cl claim) (claim, error) {
	id, err := url.QueryUnescape(c.ID)
	secret, err2 := url.QueryUnescape(c.Secret)
	if err != nil || err2 != nil || id == "" {
		return claim{}, notClient(true, errors.New("HTTP Basic is not url-encoded, or names nobody"))
	}
	if cl.id != "" && cl.id != id {
		return claim{}, fail(InvalidRequest, "client_id is another one than that of HTTP Basic. Send the same or leave it out.")
	}
	cl.id, cl.secret = id, secret
	return cl, nil
}

// notClient is the answer to everybody who is not the client that they claim to be:
// one for all, so that it tells nobody which clients there are. The log has the
// cause.
func notClient(basic bool, cause error) *Error {
	return &Error{
		Code: InvalidClient, Status: http.StatusUnauthorized, Basic: basic, Cause: cause,
		Description: "This client is not known here, or has not authenticated as it is registered: check client_id, and the secret or assertion.",
	}
}

// Causes of notClient, for the log.
var (
	errNoClient     = errors.New("there is no such client")
	errNoName       = errors.New("no client is named")
	errWrongSecret  = errors.New("the secret is wrong")
	errEndedSecret  = fmt.Errorf("%w: the secret was right and has expired", ErrEnded)
	errDisabled     = fmt.Errorf("%w: the client has authenticated and is disabled", ErrEnded)
	errNoSecret     = errors.New("a confidential client without credentials")
	errPublic       = errors.New("a public client with credentials: it has none")
	errWantsSecret  = errors.New("an assertion of a client that has secrets")
	errWantsKey     = errors.New("a secret of a client that has keys: it uses private_key_jwt")
	errAssertion    = errors.New("the assertion is not valid")
	errAssertedOnce = errors.New("the assertion was used before")
)

// Authenticate returns the client that credentials prove, or that a public client
// claims to be (RFC 6749, section 2.3). The error is an *Error: InvalidClient,
// InvalidRequest for two ways at once, Unavailable. One that wraps ErrEnded is no
// guess: what was sent was right, and has ended.
func (p *Provider) Authenticate(ctx context.Context, c Credentials) (*Client, error) {
	cl, err := c.claim()
	if err != nil {
		return nil, err
	}
	if cl.id == "" {
		return nil, notClient(cl.basic, errNoName)
	}
	a, err := p.app(ctx, cl.id)
	if errors.Is(err, ErrNotFound) {
		a, err = nil, nil
	}
	if err != nil {
		return nil, unavailable(err)
	}
	if cl.assertion != "" {
		if a != nil && a.client.Disabled() { // its assertions are not used up
			a = nil
		}
		_, err = p.byAssertion(ctx, cl, a)
	} else if why := a.refuses(cl.secret, p.now()); why != nil {
		err = notClient(cl.basic, why)
	}
	switch {
	case err != nil:
		return nil, err
	case a.client.Disabled():
		return nil, notClient(cl.basic, errDisabled)
	}
	return a.client, nil
}

// refuses says why a secret, "" for none, does not prove the client, or returns
// nil. Finding that out takes as long for no client as for one.
func (a *app) refuses(secret string, now time.Time) error {
	var c *Client
	if a != nil {
		c = a.client
	}
	right, ended := c.hasSecret(secret, now)
	switch {
	case c == nil:
		return errNoClient
	case c.Type == Public && secret != "":
		return errPublic
	case c.Type == Public:
		return nil
	case secret == "":
		return errNoSecret
	case len(c.JWKS) > 0:
		return errWantsKey
	case right:
		return nil
	case ended:
		return errEndedSecret
	}
	return errWrongSecret
}

// hasSecret compares a secret with those of the client, all of them, and two at
// least: c may be nil, and has the same cost then. It is right if one that lives is
// the same, and has ended if one that expired is.
func (c *Client) hasSecret(secret string, now time.Time) (right, ended bool) {
	var none [2]Secret
	hash, list, live, over := HashOf(secret), none[:], 0, 0
	if c != nil && len(c.Secrets) > 0 {
		list = c.Secrets
	}
	for i := range max(len(list), len(none)) {
		s := &list[i%len(list)]
		same := subtle.ConstantTimeCompare(hash[:], s.Hash[:])
		if s.Live(now) {
			live |= same
		} else {
			over |= same
		}
	}
	return live == 1 && secret != "", over == 1 && secret != ""
}
