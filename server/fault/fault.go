// Package fault holds the errors that callers see: status, type, code and a
// message that is safe to show, with the cause kept apart for the log. It
// renders nothing; package server has the one renderer.
package fault

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// An Error is an answer to a request that could not be served.
type Error struct {
	Status  int         // HTTP status
	Code    string      // stable, for programs: "insufficient_scope"
	Message string      // for people, safe to show: says what is wrong and what to do
	Header  http.Header // extra headers of the answer, or nil
	Need    []string    // what would have done, in words: "role editor"; or nil
	Fields  []Field     // what is wrong with each field of a request; or nil
	Cause   error       // for the log alone, never shown; or nil
}

// A Field is one field of a request and what is wrong with it.
type Field struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// New returns an Error. The message is shown to the caller.
func New(status int, code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}

// NotFound is for what is not there, and for what must look as if it were not.
func NotFound() *Error {
	return New(http.StatusNotFound, "not_found", "There is nothing at this address.")
}

// MethodNotAllowed refuses a method and says which ones would do (RFC 9110,
// section 15.5.6).
func MethodNotAllowed(allow string) *Error {
	return New(http.StatusMethodNotAllowed, "method_not_allowed", "This method is not allowed here.").WithHeader("Allow", allow)
}

// Because returns a copy of e with the cause that the log will show.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// WithHeader returns a copy of e whose answer carries the header as well. The
// name goes out in the spelling that is given here.
func (e *Error) WithHeader(name, value string) *Error {
	c := *e
	c.Header = e.Header.Clone()
	if c.Header == nil {
		c.Header = http.Header{}
	}
	c.Header[name] = append(c.Header[name], value)
	return &c
}

// RetryAfter returns a copy of e that tells the caller to come back after d,
// rounded up to whole seconds and never less than one.
func (e *Error) RetryAfter(d time.Duration) *Error {
	s := max(1, int64((d+time.Second-1)/time.Second))
	return e.WithHeader("Retry-After", strconv.FormatInt(s, 10))
}

// Error returns code, message and cause. It is for logs.
func (e *Error) Error() string {
	s := e.Code + ": " + e.Message
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Type returns the class of the error that the JSON body names.
func (e *Error) Type() string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return "authentication_error"
	case e.Status == http.StatusPaymentRequired:
		return "quota_error"
	case e.Status == http.StatusForbidden:
		return "permission_error"
	case e.Status == http.StatusNotFound:
		return "not_found_error"
	case e.Status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case e.Status >= 500:
		return "api_error"
	default:
		return "invalid_request_error"
	}
}

// From returns err as an *Error. Whatever is not one already becomes a plain
// 500 that says nothing about its cause.
func From(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return New(http.StatusInternalServerError, "internal", "The server could not answer this request.").Because(err)
}
