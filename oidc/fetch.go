package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"time"
)

// errTooLarge is in the error of reading an answer over maxAnswer.
var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)

// newClient returns the HTTP client for one provider. Its transport is its own,
// so that what it accepts is accepted from nobody else. It follows no redirect:
// where to ask is fixed by the issuer, and credentials go nowhere else. A provider
// that hangs costs so many file descriptors and no more.
func newClient(cfg Config) *http.Client {
	return &http.Client{
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: bounded{&http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: cfg.Timeout}).DialContext,
			ForceAttemptHTTP2:      true,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: cfg.InsecureSkipVerify},
			TLSHandshakeTimeout:    cfg.Timeout,
			MaxConnsPerHost:        64,
			MaxIdleConns:           16,
			MaxIdleConnsPerHost:    8,
			MaxResponseHeaderBytes: 64 << 10,
			IdleConnTimeout:        90 * time.Second,
		}},
	}
}

// bounded cuts off answers over maxAnswer, whoever reads them.
type bounded struct{ *http.Transport }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > maxAnswer {
		resp.Body.Close()
		return nil, errTooLarge
	}
	resp.Body = &boundedBody{resp.Body, maxAnswer}
	return resp, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	// One byte more than is left tells an answer that ends there from a longer one.
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if int64(n) > b.left {
		return int(b.left), errTooLarge
	}
	b.left -= int64(n)
	return n, err
}

// An answer is the body of a 200.
type answer struct {
	mediaType string // without parameters
	body      []byte
}

// A source is where documents of one provider are fetched from.
type source struct{ http *http.Client }

// get asks the provider. bearer is an access token, or "". Its errors name what
// was asked for.
func (s source) get(ctx context.Context, what, address, bearer string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return answer{}, failure(Misconfigured, "%s: %w", what, err)
	}
	req.Header.Set("Accept", "application/json, application/jwt")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return answer{}, unreachable(what, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return answer{}, badStatus(what, resp)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, unreachable(what, err)
	}
	mediaType, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	return answer{mediaType, body}, nil
}

// getJSON asks the provider and decodes the answer.
func (s source) getJSON(ctx context.Context, what, address string, into any) error {
	a, err := s.get(ctx, what, address, "")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return failure(Misconfigured, "%s at %s is not JSON: %w", what, address, err).advise("is that the address of an OpenID Connect provider?")
	}
	return nil
}

// unreachable explains why a request had no answer.
func unreachable(what string, err error) error {
	e := failure(Unreachable, "%s: %w", what, err)
	_, unknownCA := errors.AsType[x509.UnknownAuthorityError](err)
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, errTooLarge):
		e.Kind = Misconfigured
	case unknownCA:
		return e.advise("add the authority of its certificate to those of this machine (or name it in SSL_CERT_FILE); -no-tls-verify is for tests")
	case unverified:
		return e.advise("its certificate must be mended; -no-tls-verify is for tests")
	}
	return e
}

// badStatus explains an answer other than 200.
func badStatus(what string, resp *http.Response) error {
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return failure(Misconfigured, "%s: %s answers with a redirect to %s, which is not followed",
			what, resp.Request.URL, foreign(resp.Header.Get("Location"))).
			advise("set -oidc-provider-url to the final address")
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		return failure(Unreachable, "%s: %s answers %d", what, resp.Request.URL, resp.StatusCode)
	}
	return &statusError{what, resp.Request.URL.String(), resp.StatusCode}
}

// A statusError is an answer of 4xx that each caller explains in its own way.
type statusError struct {
	what, url string
	status    int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: %s answers %d", e.what, e.url, e.status)
}
