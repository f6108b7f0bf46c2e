package provider

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of an authorization request, in bytes.
const (
	maxRequest   = 2000 // all of it, encoded: it travels through the sign-in. A pushed one does not
	maxState     = 4000
	maxNonce     = 512
	maxLoginHint = 256
	maxAgeDigits = 9 // of seconds: 31 years
)

// anyAge is Request.MaxAge where the client does not mind.
const anyAge time.Duration = -1

// A Request is an authorization request that was checked: its client is there, its
// redirect URI is one of the client's, and every parameter is one that is
// understood.
type Request struct {
	Client        *Client
	RedirectURI   string
	RedirectGiven bool
	Scopes        []string // asked for, each once; the client may ask for them
	Resources     []string
	State, Nonce  string
	Challenge     string // S256; "" for none
	Prompt        []string
	MaxAge        time.Duration // since the person signed in; negative: any
	LoginHint     string
	IDTokenHint   string // subject of the ID token that the client sent along, "" for none
	Params        Params // as it came, to be asked again after a sign-in; a pushed one stays a reference
	pushed        Hash
}

// Wants reports whether the client asks for a prompt: none, login, consent or
// select_account.
func (r *Request) Wants(prompt string) bool { return slices.Contains(r.Prompt, prompt) }

// Request checks an authorization request. The error is an *Error; it goes to the
// client (Redirect) only where client and redirect URI are known good, and is for
// a page otherwise.
func (p *Provider) Request(ctx context.Context, params Params) (*Request, error) {
	c, err := p.asker(ctx, params.Get("client_id"))
	if err != nil {
		return nil, err
	}
	r := &Request{Client: c, Params: params}
	if reference, ok := strings.CutPrefix(params.Get("request_uri"), requestURI); ok {
		if params, err = p.unpush(ctx, r, reference); err != nil {
			return nil, err
		}
	}
	if err := p.read(ctx, r, params); err != nil {
		return nil, p.tell(r, err)
	}
	return r, nil
}

// asker returns the client of a request. The error is for a page.
func (p *Provider) asker(ctx context.Context, id string) (*Client, error) {
	if id == "" {
		return nil, fail(InvalidRequest, "The parameter client_id is missing.")
	}
	c, err := p.client(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, fail(InvalidRequest, "There is no app with this client_id here, or it is switched off.")
	case err != nil:
		return nil, unavailable(err)
	}
	return c, nil
}

// tell returns an error as it is to be told: to the client once its redirect URI is
// known good, and on a page before. A client that registered itself is trusted with
// nobody's browser until somebody has signed in (RFC 9700, section 4.11.2).
func (p *Provider) tell(r *Request, err error) error {
	if e, ok := errors.AsType[*Error](err); ok && r.RedirectURI != "" && !r.Client.Dynamic {
		e.Redirect = p.Refuse(r, e.Code, e.Description)
	}
	return err
}

// read fills r from parameters. The redirect URI is first, and stays empty where
// it is not good; state is second, so that all other errors can carry it.
func (p *Provider) read(ctx context.Context, r *Request, params Params) error {
	for _, check := range []func(context.Context, *Request, Params) error{
		p.readRedirect, readState, checkSize, p.checkResponse, p.readScopes, readChallenge, readPrompt, p.readHints,
	} {
		if err := check(ctx, r, params); err != nil {
			return err
		}
	}
	return nil
}

// readRedirect accepts one of the client's redirect URIs and nothing else (RFC
// 9700, section 2.1). It may be left out where there is one only, though not of
// OpenID's requests (OpenID Connect Core 3.1.2.1).
func (p *Provider) readRedirect(_ context.Context, r *Request, params Params) error {
	uri, registered := params.Get("redirect_uri"), r.Client.RedirectURIs
	r.RedirectGiven = uri != ""
	switch {
	case r.RedirectGiven && r.Client.Redirects(uri):
		r.RedirectURI = uri
	case r.RedirectGiven:
		return fail(InvalidRequest, "The redirect_uri is not one of those that this app has registered. It has to be the same, byte by byte.")
	case len(registered) != 1 || slices.Contains(strings.Fields(params.Get("scope")), ScopeOpenID):
		return fail(InvalidRequest, "The parameter redirect_uri is missing.")
	default:
		r.RedirectURI = registered[0]
	}
	return nil
}

// readState reads what only the client understands. A state that is refused is not
// sent back.
func readState(_ context.Context, r *Request, params Params) error {
	state, nonce := params.Get("state"), params.Get("nonce")
	if len(state) > maxState || !printable(state) {
		return fail(InvalidRequest, "The state may have "+strconv.Itoa(maxState)+" bytes, and no control characters.")
	}
	r.State = state
	if len(nonce) > maxNonce || !printable(nonce) {
		return fail(InvalidRequest, "The nonce may have "+strconv.Itoa(maxNonce)+" bytes, and no control characters.")
	}
	r.Nonce = nonce
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func checkSize(_ context.Context, r *Request, params Params) error {
	if r.pushed == (Hash{}) && len(params.Encode()) > maxRequest {
		return fail(InvalidRequest, "The request has more than "+strconv.Itoa(maxRequest)+" bytes. Push it first (PAR, RFC 9126).")
	}
	return nil
}

// checkResponse checks that the client asks for a code, and may.
func (p *Provider) checkResponse(_ context.Context, r *Request, params Params) error {
	mode := params.Get("response_mode")
	switch kind := params.Get("response_type"); {
	case params.Get("request") != "":
		return fail(RequestNotSupported, "Request objects are not supported. Send parameters, or push them (PAR, RFC 9126).")
	case params.Get("request_uri") != "":
		return fail(RequestURINotSupported, "The request_uri is not of this server. Push the request first (PAR, RFC 9126).")
	case kind == "":
		return fail(InvalidRequest, "The parameter response_type is missing. It has to be code.")
	case kind != "code": // RFC 9700, section 2.1.2
		return fail(UnsupportedResponse, "The response_type has to be code.")
	case mode != "" && mode != "query":
		return fail(InvalidRequest, "The response_mode has to be query.")
	case !r.Client.MayUse(GrantCode):
		return fail(UnauthorizedClient, "This client may not ask for codes. Add the grant type authorization_code to it.")
	case !p.cfg.Rules().SignIn:
		return fail(UnsupportedResponse, "Nobody can sign in at this server.")
	}
	return nil
}

func (p *Provider) readScopes(_ context.Context, r *Request, params Params) error {
	var err error
	if r.Scopes, err = p.askedScopes(r.Client, params.Get("scope")); err != nil {
		return err
	}
	r.Resources, err = checkResources(p, params.All("resource"))
	return err
}

// readChallenge demands PKCE with S256 (RFC 7636, section 4.3; RFC 9700, section
// 2.1.1), unless the client can keep a secret and was allowed to go without.
func readChallenge(_ context.Context, r *Request, params Params) error {
	challenge, method := params.Get("code_challenge"), params.Get("code_challenge_method")
	optional := r.Client.Type == Confidential && r.Client.PKCEOptional
	switch {
	case challenge == "" && method != "":
		return fail(InvalidRequest, "There is a code_challenge_method and no code_challenge.")
	case challenge == "" && optional:
		return nil
	case challenge == "":
		return fail(InvalidRequest, "The parameter code_challenge is missing: this client has to use PKCE (RFC 7636).")
	case method != "S256":
		return fail(InvalidRequest, "The code_challenge_method has to be S256.")
	case len(challenge) < 43 || len(challenge) > 128 || strings.ContainsFunc(challenge, notChallenge):
		return fail(InvalidRequest, "The code_challenge has to be the base64url of a SHA-256, 43 characters (RFC 7636).")
	}
	r.Challenge = challenge
	return nil
}

// notChallenge reports whether a character may not be in a challenge.
func notChallenge(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return false
	}
	return !strings.ContainsRune("-._~", c)
}

func readPrompt(_ context.Context, r *Request, params Params) error {
	for prompt := range strings.FieldsSeq(params.Get("prompt")) {
		switch prompt {
		case "none", "login", "consent", "select_account":
			r.Prompt = append(r.Prompt, prompt)
		default:
			return fail(InvalidRequest, "A prompt is none, login, consent or select_account.")
		}
	}
	if r.Wants("none") && len(r.Prompt) > 1 {
		return fail(InvalidRequest, "The prompt none stands alone.")
	}
	return nil
}

// readHints reads what the client knows about the person.
func (p *Provider) readHints(ctx context.Context, r *Request, params Params) error {
	r.MaxAge = anyAge
	if text := params.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 64)
		if err != nil || len(text) > maxAgeDigits {
			return fail(InvalidRequest, "The max_age is a number of seconds, of "+strconv.Itoa(maxAgeDigits)+" digits at most.")
		}
		r.MaxAge = time.Duration(seconds) * time.Second
	}
	if r.LoginHint = params.Get("login_hint"); len(r.LoginHint) > maxLoginHint || !printable(r.LoginHint) {
		return fail(InvalidRequest, "The login_hint may have "+strconv.Itoa(maxLoginHint)+" bytes, and no control characters.")
	}
	hint, err := p.hint(ctx, params)
	if hint.Subject != "" { // of a pushed request it is there already
		r.IDTokenHint = hint.Subject
	}
	return err
}

// hint returns the claims of an ID token that came as a hint about who is meant;
// none where there is no hint. It may have expired (OpenID Connect Core 3.1.2.1).
func (p *Provider) hint(ctx context.Context, params Params) (idClaims, error) {
	raw := params.Get("id_token_hint")
	if raw == "" {
		return idClaims{}, nil
	}
	claims, err := p.verifyID(ctx, raw)
	switch {
	case errors.Is(err, ErrInvalid):
		return idClaims{}, fail(InvalidRequest, "The id_token_hint is not an ID token of this server, or a very old one. Leave it out.").because(err)
	case err != nil:
		return idClaims{}, unavailable(err)
	}
	return claims, nil
}

// Refuse returns where the browser goes with a refusal of a checked request.
func (p *Provider) Refuse(r *Request, code, description string) string {
	answer := url.Values{"error": {code}}
	if description != "" {
		answer.Set("error_description", description)
	}
	return p.answer(r, answer)
}

// answer returns the redirect URI with an answer to a request, which also says what
// the client said (state) and who answers (RFC 9207). A query that is there stays
// as it is (RFC 6749, section 3.1.2).
func (p *Provider) answer(r *Request, answer url.Values) string {
	answer.Set("iss", p.cfg.Issuer)
	if r.State != "" {
		answer.Set("state", r.State)
	}
	return withQuery(r.RedirectURI, answer)
}

// withQuery appends a query to a URI that may have one.
func withQuery(uri string, query url.Values) string {
	separator := "?"
	if _, had, ok := strings.Cut(uri, "?"); ok {
		separator = "&"
		if had == "" || strings.HasSuffix(had, "&") {
			separator = ""
		}
	}
	return uri + separator + query.Encode()
}
