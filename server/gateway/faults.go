package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"wavegate/server/fault"
)

// StatusClientGone is the status of the fault of a request whose client went
// away. It is for the log; nobody is there to read an answer.
const StatusClientGone = 499

// faultOf turns the error of a request that got no answer into what the caller
// may see. Addresses and the upstream's own words go into the cause.
func (p *proxy) faultOf(x *exchange, err error) error {
	if f := bodyFault(x); f != nil {
		return f
	}
	switch cause := context.Cause(x); {
	case cause == nil:
	case errors.Is(cause, errEnded):
		return fault.New(http.StatusUnauthorized, "expired_token", "The credential of this request has ended.")
	case errors.Is(cause, errIdle), errors.Is(cause, context.DeadlineExceeded):
		return p.lateFault().Because(err)
	case errors.Is(cause, errClosing):
		return closing()
	default:
		return fault.New(StatusClientGone, "client_gone", "The client went away.").Because(err)
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return p.lateFault().Because(err)
	}
	if isExhausted(err) {
		return overloaded().Because(err)
	}
	return fault.New(http.StatusBadGateway, "bad_gateway",
		"The app behind "+p.route.Name+" could not be reached or gave no proper answer.").Because(err)
}

// lateFault is for an upstream that takes too long.
func (p *proxy) lateFault() *fault.Error {
	return fault.New(http.StatusGatewayTimeout, "gateway_timeout", "The app behind "+p.route.Name+" did not answer in time.")
}

// bodyFault says what was wrong with the client's body, or nil. A client that
// goes away breaks its body too; that is no fault of the body.
func bodyFault(x *exchange) error {
	err := x.body.failure()
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge()
	}
	if x.Err() != nil && !x.body.malformed(err) {
		return nil
	}
	return fault.New(http.StatusBadRequest, "invalid_request", "The body of the request is broken or incomplete.").Because(err)
}

// malformed reports whether a failure of the body is what the client sent and
// not the end of its connection. net/http cancels the request's context once a
// read fails after it, so the context does not tell the two apart.
func (b *requestBody) malformed(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return b.chunked && !network && !errors.Is(err, io.ErrUnexpectedEOF) &&
		!errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled)
}

// overloaded refuses what this machine has no means left for.
func overloaded() *fault.Error {
	return fault.New(http.StatusServiceUnavailable, "overloaded", "The server is overloaded.").RetryAfter(time.Second)
}

// closing refuses what comes while the server stops.
func closing() *fault.Error {
	return fault.New(http.StatusServiceUnavailable, "shutting_down", "The server is stopping.").RetryAfter(time.Second)
}

// tooLarge refuses a body.
func tooLarge() *fault.Error {
	return fault.New(http.StatusRequestEntityTooLarge, "too_large", "The body of the request is larger than this route allows.")
}

// isExhausted reports whether this machine, not the upstream, had no means
// left to make a connection.
func isExhausted(err error) bool {
	for _, e := range exhaustion() {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isUnreachable reports whether nothing listens where an upstream should be.
func isUnreachable(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial" && !e.Timeout() && !isExhausted(err)
}

// exhaustion lists the errors of a machine at its limits.
func exhaustion() []syscall.Errno {
	return []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOMEM, syscall.ENOBUFS}
}
