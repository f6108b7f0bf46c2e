// Package identity says who is asking: the Principal behind a request and what
// the outer chain has learnt about the request itself. It exists so that the
// packages below server can speak of both without importing server. It decides
// nothing.
package identity

import (
	"context"
	"net/netip"
	"slices"

	"wavegate/server/limit"
)

// Method names how a principal proved who it is; it is the value of the
// Wave-Auth-Method header and of the auth_method log field.
type Method string

// The methods. The zero value means that nobody has been authenticated.
const (
	MethodNone      Method = ""
	MethodAccessKey Method = "access-key" // HTTP Basic with a keychain pair
	MethodAPIKey    Method = "api-key"    // Bearer API key
	MethodToken     Method = "token"      // OAuth or session token
	MethodSession   Method = "session"    // browser session
	MethodClient    Method = "client"     // OAuth client, at the endpoints of clients alone
)

// ScopeAll is the scope that covers every other.
const ScopeAll = "*"

// A Principal is an authenticated caller. It is shared between requests and
// must not be changed after it was handed out.
type Principal struct {
	Method        Method
	Subject       string   // stable identifier; for an access key its ID
	Username      string   // for people to read; never used in a decision
	Email         string   // verified address, or empty
	Groups        []string // as the identity provider reports them
	Roles         []string // as the policy assigns them, and of Assigned those that there are
	Assigned      []string // roles that an administrator gave a person, beside the policy's own rules
	Scopes        []string // everything granted, roles included; "*" is all
	KeyID         string   // access key or API key, or empty
	OAuthClientID string
	SessionID     string // public name of the browser session, never the cookie's value
	ClientID      string // one per browser session

	// Owner names whoever the principal acts for, in what belongs to somebody:
	// "sub:" and the subject of a person, "key:" and the ID of an access key. An API
	// key acts for its owner.
	Owner string

	// Accounts are who pays for the requests of the principal; nil is nobody.
	Accounts []*limit.Account

	// Environment and Tier are those of an API key; "" for others.
	Environment, Tier string

	// Tokens returns what the identity provider handed out for the session, for
	// the upstreams that ask for them. Nil where there is nothing.
	Tokens func() Tokens

	// Active is told that the person behind the principal did something on a
	// connection that was upgraded, where no request shows it. Nil is nobody.
	Active func()

	// Ended is cancelled when the credential behind the principal ends (key
	// removed or changed, session closed). Requests and sockets that still run
	// must end with it. Nil means that it cannot end while the process runs.
	Ended context.Context
}

// Tokens are a session's tokens at its identity provider.
type Tokens struct{ Access, Refresh string }

// String keeps tokens out of logs and errors.
func (Tokens) String() string { return "[tokens]" }

// GoString keeps them out of %#v.
func (Tokens) GoString() string { return "[tokens]" }

// HasScope reports whether p holds scope or "*". A nil p holds nothing.
func (p *Principal) HasScope(scope string) bool {
	return p != nil && (slices.Contains(p.Scopes, scope) || slices.Contains(p.Scopes, ScopeAll))
}

// A Request is what the outer chain knows of one request. There is exactly one
// per request; the goroutine that serves the request owns it.
type Request struct {
	ID        string     // request id, also in the answer's X-Request-Id
	ClientIP  netip.Addr // the client's address, trusted proxies skipped; never v4-mapped
	Scheme    string     // "http" or "https", as the client used it
	Host      string     // lower case, without port and trailing dot
	HostPort  string     // as the client sent it, for absolute links and X-Forwarded-Host
	Forwarded bool       // the immediate peer is a trusted proxy
	Path      string     // normalised path, the one that every decision uses

	Principal *Principal // nil while nobody is authenticated
	Route     string     // the route's name (host and path prefix), for logs and metrics
}

type contextKey struct{}

// NewContext returns a context that carries r.
func NewContext(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, contextKey{}, r)
}

// FromContext returns the Request that NewContext stored, or nil.
func FromContext(ctx context.Context) *Request {
	r, _ := ctx.Value(contextKey{}).(*Request)
	return r
}
