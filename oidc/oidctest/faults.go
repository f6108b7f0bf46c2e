package oidctest

import (
	"bytes"
	"net/http"
)

// faults are the ways in which a Provider's tokens and metadata go wrong. The
// zero value, but for alg, is a provider that does nothing wrong.
type faults struct {
	alg          string
	metadata     func(Claims)
	idToken      func(Claims)
	header       func(Claims)
	raw          func(string) string
	tokenAnswer  func(grant string, answer Claims)
	reuseRefresh bool
}

// Break answers requests for path with h instead, "*" all requests.
func (p *Provider) Break(path string, h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken[path] = h
}

// Mend ends what Break began.
func (p *Provider) Mend(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.broken, path)
}

// set changes the faults.
func (p *Provider) set(change func(*faults)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.faults)
}

// SignWith sets the algorithm of tokens: one of JWA's for RSA, EC and EdDSA,
// HS256 (with the client's secret), or none.
func (p *Provider) SignWith(alg string) { p.set(func(f *faults) { f.alg = alg }) }

// AlterMetadata changes the discovery document before it is sent; nil ends that.
func (p *Provider) AlterMetadata(change func(Claims)) { p.set(func(f *faults) { f.metadata = change }) }

// AlterIDToken changes the claims of ID tokens before they are signed; nil ends that.
func (p *Provider) AlterIDToken(change func(Claims)) { p.set(func(f *faults) { f.idToken = change }) }

// AlterHeader changes the header of tokens before they are signed; nil ends that.
func (p *Provider) AlterHeader(change func(Claims)) { p.set(func(f *faults) { f.header = change }) }

// ReplaceIDToken changes ID tokens after they are signed; nil ends that.
func (p *Provider) ReplaceIDToken(change func(raw string) string) {
	p.set(func(f *faults) { f.raw = change })
}

// AlterTokenAnswer changes what the token endpoint answers to a grant type; nil
// ends that.
func (p *Provider) AlterTokenAnswer(change func(grant string, answer Claims)) {
	p.set(func(f *faults) { f.tokenAnswer = change })
}

// KeepRefreshTokens makes refresh tokens last: they are not rotated, and the
// answer to a refresh has none.
func (p *Provider) KeepRefreshTokens() { p.set(func(f *faults) { f.reuseRefresh = true }) }

// RotateKeys makes new keys. The old ones are gone at once.
func (p *Provider) RotateKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = newKeyring()
}

// Status answers with a status and nothing else.
func Status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// Redirect answers with a redirect.
func Redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

// Huge answers with 8 MB of JSON, and does not say how much there will be.
func Huge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	chunk := append(bytes.Repeat([]byte(" "), 1<<16-1), '\n')
	for range 8 << 20 / len(chunk) {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
	w.Write([]byte("{}"))
}

// Cut ends the connection without an answer.
func Cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Hang answers nothing until the client gives up or the test ends.
func (p *Provider) Hang(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-p.closing:
	}
	panic(http.ErrAbortHandler)
}
