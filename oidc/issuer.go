package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Errors of Issuer.Verify. What wraps them is for the operator's log; it holds no
// token.
var (
	ErrIssuerToken       = errors.New("the token is not valid")
	ErrIssuerExpired     = errors.New("the token has expired")
	ErrIssuerUnavailable = errors.New("the issuer's keys cannot be had") // nothing may be concluded: answer 503
)

const (
	maxIssuerToken = 8 << 10 // bytes of somebody else's access token

	issuerSkew = time.Minute // that the issuer's clock may be ahead
)

// IssuerConfig describes somebody else's authorization server whose access
// tokens are taken (RFC 7519, RFC 9068). Issuer and Audience are needed.
type IssuerConfig struct {
	Issuer   string // exactly as "iss" of its tokens has it
	Audience string // which "aud" must name: this server
	JWKSURL  string // where its keys are; "" is what discovery says

	// Names of claims, each of which may be a path into objects as in Config.
	UsernameClaim string // "" tries preferred_username, verified e-mail, name and sub
	GroupsClaim   string // "" is "groups"
	ScopeClaim    string // a string of scopes or a list of them; "" tries scope and scp

	Now     func() time.Time // nil is time.Now
	Timeout time.Duration    // of one request to the issuer; 0 is 10 s
	Log     *slog.Logger     // of keys that cannot be fetched; nil is silence
}

// Validate reports every problem of c at once. It makes no request.
func (c IssuerConfig) Validate() error {
	var problems []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf("issuer %q: "+format, append([]any{c.Issuer}, args...)...))
		}
	}
	why := issuerProblem(c.Issuer)
	add(why != "", "%s", why)
	add(c.Audience == "" || len(c.Audience) > maxName || !isLine(c.Audience), "the audience is missing, or no line of at most %d bytes: set what its tokens for this server have in aud", maxName)
	if c.JWKSURL != "" {
		why := endpointProblem(c.JWKSURL)
		add(why != "", "address of the keys %q: %s", c.JWKSURL, why)
		add(why == "" && strings.HasPrefix(c.Issuer, "https:") && isPlain(c.JWKSURL), "address of the keys %q: the issuer is on https and this is not", c.JWKSURL)
	}
	for _, claim := range []struct{ what, path string }{{"user names", c.UsernameClaim}, {"groups", c.GroupsClaim}, {"scopes", c.ScopeClaim}} {
		add(!isClaimPath(claim.path), "the name of the claim for %s is over 256 bytes or has control characters", claim.what)
	}
	add(c.Timeout < 0, "the timeout %s is negative", c.Timeout)
	return errors.Join(problems...)
}

func isPlain(address string) bool { return strings.HasPrefix(strings.ToLower(address), "http:") }

// An Issuer checks the access tokens of one authorization server. It is safe for
// concurrent use.
type Issuer struct {
	source
	cfg   IssuerConfig
	life  *lifetime
	where *document[string] // address of the keys
	keys  *document[keySet]
	known *verdicts
}

// NewIssuer returns the Issuer that cfg describes, or every problem of cfg. It
// makes no request: keys are fetched when the first token comes. Close it when it
// is not needed any more.
func NewIssuer(cfg IssuerConfig) (*Issuer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	fetching := Config{Now: cfg.Now, Timeout: cfg.Timeout}.filled()
	cfg.Now = fetching.Now
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	i := &Issuer{source: source{newClient(fetching)}, cfg: cfg, life: newLifetime(), known: newVerdicts(maxVerdicts)}
	i.where = newDocument(i.life, fetching, i.discover)
	i.keys = newDocument(i.life, fetching, i.fetchKeys)
	return i, nil
}

// Issuer returns the name that tokens give it in "iss".
func (i *Issuer) Issuer() string { return i.cfg.Issuer }

// Status returns why the last attempt to fetch the keys failed. It is nil when it
// did not fail and when nobody has needed them yet; it makes no request.
func (i *Issuer) Status() error {
	if err := i.keys.status(); err != nil {
		return i.unavailable(err)
	}
	return nil
}

// Close ends what runs in the background and waits for it.
func (i *Issuer) Close() {
	i.life.end()
	i.http.CloseIdleConnections()
}

// discover returns the address of the keys.
func (i *Issuer) discover(ctx context.Context) (string, error) {
	if i.cfg.JWKSURL != "" {
		return i.cfg.JWKSURL, nil
	}
	var m struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	address := strings.TrimSuffix(i.cfg.Issuer, "/") + "/.well-known/openid-configuration"
	if err := i.getJSON(ctx, "discovery", address, &m); err != nil {
		return "", err
	}
	why := endpointProblem(m.Keys)
	switch {
	case m.Issuer != i.cfg.Issuer:
		return "", failure(Misconfigured, "the issuer at that address calls itself %s", foreign(m.Issuer))
	case why == "" && strings.HasPrefix(i.cfg.Issuer, "https:") && isPlain(m.Keys):
		why = "the issuer is on https and this is not"
	}
	if why != "" {
		return "", failure(Misconfigured, "discovery: jwks_uri %s: %s", foreign(m.Keys), why)
	}
	return m.Keys, nil
}

func (i *Issuer) fetchKeys(ctx context.Context) (keySet, error) {
	address, err := i.where.get(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := i.keysAt(ctx, address)
	if err != nil {
		i.cfg.Log.Warn("keys of a trusted issuer cannot be fetched", "issuer", i.cfg.Issuer, "error", i.unavailable(err))
	}
	return keys, err
}

// unavailable says that err kept the keys away. The advice in it is about
// settings of the provider that people sign in at.
func (i *Issuer) unavailable(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		err = e.err
	}
	return fmt.Errorf("issuer %s: %w: %w", i.cfg.Issuer, ErrIssuerUnavailable, err)
}

func (i *Issuer) refused(format string, args ...any) error {
	return fmt.Errorf("issuer %s: %w: %w", i.cfg.Issuer, ErrIssuerToken, fmt.Errorf(format, args...))
}

// issuerSignatures are the algorithms that access tokens may be signed with.
func issuerSignatures() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.EdDSA,
	}
}

// Verify checks an access token and returns what it says. Errors: ErrIssuerToken,
// ErrIssuerExpired, ErrIssuerUnavailable. A token that was right a moment ago
// costs one hash. The slices of the claims must not be changed.
func (i *Issuer) Verify(ctx context.Context, raw string) (IssuerClaims, error) {
	if len(raw) > maxIssuerToken {
		return IssuerClaims{}, i.refused("a token of %d bytes, over %d", len(raw), maxIssuerToken)
	}
	now := i.cfg.Now()
	name := verdictOf(raw)
	if c, ok := i.known.find(name, now); ok {
		return c, nil
	}
	c, err := i.verify(ctx, raw)
	if err != nil {
		return IssuerClaims{}, err
	}
	i.known.add(name, c, now)
	return c, nil
}

func (i *Issuer) verify(ctx context.Context, raw string) (IssuerClaims, error) {
	jws, err := parse(raw, maxIssuerToken, issuerSignatures())
	if err != nil {
		return IssuerClaims{}, i.refused("%w", err)
	}
	// What is plainly not for us must not have keys fetched.
	c, err := parseClaims(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return IssuerClaims{}, i.refused("the claims cannot be read: %w", err)
	}
	if err := i.checkKind(typeOf(jws.Signatures[0].Header), c); err != nil {
		return IssuerClaims{}, err
	}
	token, err := verified(ctx, i.keys, jws, restForForeign)
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Untrusted {
		return IssuerClaims{}, i.refused("%w", err)
	}
	if err != nil {
		return IssuerClaims{}, i.unavailable(err)
	}
	if err := i.checkTimes(token.claims); err != nil {
		return IssuerClaims{}, err
	}
	return i.describe(token.claims), nil
}

// checkKind looks at who made a token, for whom, and whether it is an access
// token at all.
func (i *Issuer) checkKind(typ string, c claims) error {
	switch {
	case typ != "" && typ != "jwt" && typ != "at+jwt":
		return i.refused("a token of type %s where an access token belongs", foreign(typ))
	case c["iss"] != i.cfg.Issuer:
		return i.refused("it is by %s", foreign(c.text("iss")))
	case !slices.Contains(c.audience(), i.cfg.Audience):
		return i.refused("it is for %s and not for %s", foreign(strings.Join(c.audience(), " ")), i.cfg.Audience)
	case c.isLogout() || typ != "at+jwt" && c.isIDToken():
		return i.refused("an ID token or a logout token where an access token belongs")
	case !isLine(c.text("sub")):
		return i.refused("it names no subject")
	}
	return nil
}

// isIDToken knows the claims of ID tokens (Core 1.0 §2, §3.3.2.11; Cognito's
// token_use, Keycloak's typ). They were made for a client to read, and whoever has
// one may not act with it. Keycloak repeats the nonce in access tokens.
func (c claims) isIDToken() bool {
	return c["at_hash"] != nil || c["c_hash"] != nil || c["s_hash"] != nil || c["token_use"] == "id" || c["typ"] == "ID" ||
		c["nonce"] != nil && c["typ"] != "Bearer"
}

// checkTimes compares exp, nbf and iat with the clock. Only exp is needed, and it
// is kept to the second: such tokens are short-lived, and none is taken late.
func (i *Issuer) checkTimes(c claims) error {
	now := i.cfg.Now()
	exp, ok := c.instant("exp")
	if !ok {
		return i.refused("it has no exp")
	}
	for _, name := range []string{"iat", "nbf"} {
		at, ok := c.instant(name)
		if c[name] != nil && !ok {
			return i.refused("%s is no time", name)
		}
		if ahead := at.Sub(now); ok && ahead > issuerSkew {
			return i.refused("%s is %s in the future: compare the clocks, at most %s is allowed for", name, ahead.Round(time.Second), issuerSkew)
		}
	}
	if !now.Before(exp) {
		return fmt.Errorf("issuer %s: %w %s ago", i.cfg.Issuer, ErrIssuerExpired, now.Sub(exp).Round(time.Second))
	}
	return nil
}
