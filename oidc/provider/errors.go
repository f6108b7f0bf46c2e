package provider

import (
	"net/http"
	"time"
)

// The error codes of RFC 6749 and its kin.
const (
	InvalidRequest      = "invalid_request"
	InvalidClient       = "invalid_client"
	InvalidGrant        = "invalid_grant"
	InvalidScope        = "invalid_scope"
	InvalidTarget       = "invalid_target" // RFC 8707
	UnauthorizedClient  = "unauthorized_client"
	UnsupportedGrant    = "unsupported_grant_type"
	UnsupportedResponse = "unsupported_response_type"
	AccessDenied        = "access_denied"
	ServerError         = "server_error"
	Unavailable         = "temporarily_unavailable"

	AuthorizationPending = "authorization_pending" // RFC 8628
	SlowDown             = "slow_down"
	ExpiredToken         = "expired_token"

	LoginRequired          = "login_required" // OpenID Connect Core 3.1.2.6
	ConsentRequired        = "consent_required"
	RequestNotSupported    = "request_not_supported"
	RequestURINotSupported = "request_uri_not_supported"
	InvalidRequestURI      = "invalid_request_uri"
	InvalidRedirectURI     = "invalid_redirect_uri"    // RFC 7591
	InvalidClientMetadata  = "invalid_client_metadata" // RFC 7591
	InvalidToken           = "invalid_token"           // RFC 6750
	InsufficientScope      = "insufficient_scope"
)

// An Error is a refusal in the words of OAuth (RFC 6749, section 5.2).
type Error struct {
	Code        string
	Description string // safe to show: ASCII without quotes and backslash (RFC 6749, section 5.2)
	Status      int    // 0 is 400
	RetryAfter  time.Duration
	Basic       bool   // the client tried HTTP Basic: a 401 carries a challenge
	Redirect    string // of the authorization endpoint: where the error goes; "" shows a page
	Cause       error  // for the log alone
}

// fail returns an Error.
func fail(code, description string) *Error { return &Error{Code: code, Description: description} }

// because returns a copy of e with the cause that the log will show.
func (e *Error) because(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// unavailable is the answer where the store cannot be asked: nothing is concluded.
func unavailable(cause error) *Error {
	return &Error{
		Code: Unavailable, Description: "This cannot be answered right now. Try again in a moment.",
		Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Cause: cause,
	}
}

// Error returns code, description and cause. It is for logs.
func (e *Error) Error() string {
	s := e.Code + ": " + e.Description
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }
