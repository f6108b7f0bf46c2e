package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const (
	attemptFor = 15 * time.Second // from the look-up of the name to the end of the answer
	bodyFor    = 3 * time.Second  // for the body, which changes nothing any more

	maxHeaders = 16 << 10 // bytes of an answer's headers
	maxKept    = 1 << 10  // bytes of an answer that are kept
	maxDrained = 64 << 10 // bytes that are read after them, so that the receiver can finish
)

// An answer is what came of a request: a status, or an error for people.
type answer struct {
	status     int // 0 for none
	problem    string
	body       string        // how it began
	retryAfter time.Duration // that a 429 or 503 asks for; 0 for nothing
}

// send makes one request. The problem names neither the URL, of which some
// receivers make a secret, nor an address behind a name.
func (m *Manager) send(ctx context.Context, due *Due) answer {
	ctx, cancel := context.WithTimeout(ctx, attemptFor)
	defer cancel()
	req, problem := m.request(ctx, due)
	if problem != "" {
		return answer{problem: problem}
	}
	resp, err := m.client.RoundTrip(req)
	if err != nil {
		return answer{problem: problemOf(ctx, err)}
	}
	defer resp.Body.Close()
	defer time.AfterFunc(bodyFor, cancel).Stop()
	a := answer{status: resp.StatusCode, body: keep(resp.Body)}
	if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
		a.retryAfter = retryAfter(resp.Header.Get("Retry-After"), m.cfg.Now())
	}
	if !a.accepted() {
		a.problem = fmt.Sprintf("the server answered %d", a.status)
		if a.status >= 300 && a.status < 400 {
			a.problem += ", and redirects are not followed"
		}
	}
	return a
}

func (a answer) accepted() bool { return a.status >= 200 && a.status < 300 }

// request returns the signed request of a delivery, or why there is none. The URL
// is checked again: the rules may have changed since it was registered.
func (m *Manager) request(ctx context.Context, due *Due) (*http.Request, string) {
	if err := CheckURL(due.Endpoint.URL, m.cfg.Rules()); err != nil {
		return nil, err.Error()
	}
	now := m.cfg.Now()
	secrets, err := m.secretsOf(&due.Endpoint, now)
	if err != nil {
		m.cfg.Log.Error("webhook secret cannot be opened: was a line of the secret file removed?", "webhook", due.Endpoint.ID, "error", err)
		return nil, "the secret of the webhook is lost: give it a new one"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, due.Endpoint.URL, bytes.NewReader(due.Payload))
	if err != nil {
		return nil, "the address is none"
	}
	req.Header = headersOf(&due.Delivery, now, secrets)
	return req, ""
}

// keep returns how an answer begins, as text that any store and page can hold,
// and reads a bounded part of the rest.
func keep(body io.Reader) string {
	begin, err := io.ReadAll(io.LimitReader(body, maxKept))
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(body, maxDrained)) // the status is what counts
	}
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, string(begin))
}

// problemOf says in a few words why there was no answer.
func problemOf(ctx context.Context, err error) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	_, isPlain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, ErrPrivate):
		return ErrPrivate.Error()
	case errors.Is(ctx.Err(), context.DeadlineExceeded) || isTimeout(err):
		return fmt.Sprintf("no answer within %d seconds", int(attemptFor.Seconds()))
	case isDNS && dns.IsNotFound:
		return "the host name is unknown"
	case isDNS:
		return "the host name cannot be looked up"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case isPlain:
		return "the server does not speak TLS there"
	}
	if why := certificateProblem(err); why != "" {
		return why
	}
	switch op, _ := errors.AsType[*net.OpError](err); {
	case op != nil && op.Op == "dial":
		return "the server cannot be reached"
	case op != nil && op.Op == "remote error", strings.HasPrefix(err.Error(), "tls: "):
		return "the TLS handshake failed"
	}
	return "the connection broke off without an answer that can be read"
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func certificateProblem(err error) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		return ""
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate is for another name"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate is by an authority that is not trusted"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "the certificate has expired, or is not valid yet"
	}
	return "the certificate is not valid"
}
