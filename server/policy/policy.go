// Package policy owns the policy file: it parses it strictly, checks it,
// compiles it, and answers the three questions that the server asks of it:
// which route serves a request (Match), what a caller holds (Grant), and
// whether a request may pass (Decide). Routes that come from flags are checked
// and matched together with the file's. It also says at which providers people
// sign in, whom of them it admits, and who administers the server.
//
// It serves nothing, opens no network, and reads no file but the policy: the
// directories, certificates and secrets that it names are opened by whoever
// uses them (see Policy.Files).
package policy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"wavegate/server/limit"
)

// maxFileSize bounds the policy file, in bytes. A policy of a thousand routes
// has about a tenth of it.
const maxFileSize = 1 << 20

// A Policy is a compiled policy. It does not change once it was made, so any
// number of goroutines may use it. The zero value has no routes and no scopes:
// every valid credential passes.
type Policy struct {
	routes        []*Route
	table         routeTable
	scopes        []Scope
	endpoints     endpointTable
	listed        []listedEndpoint // the same as written, for Explain
	roles         []role
	keys          map[string]keyRule
	required      map[string]bool // roles that a route requires
	allAsked      bool            // a route requires the scope "*"
	tiers         []limit.Tier    // of the file
	defaults      Defaults        // as written: "" where a name is left out
	trial         Trial
	issuers       []Issuer
	providers     []Provider
	branding      Branding
	webhooks      Webhooks
	retention     Retention
	oauth         *OAuth // nil where the file does not speak of it
	sessionTokens SessionTokens
	mayAll        bool     // no key has a register rule, so every key may register
	needAll       []string // {"*"}, kept so that Decide allocates nothing
}

// Load reads and compiles the policy file together with the routes from flags.
// With path "" there is no file, and the policy is the routes alone. The error
// names every problem, one a line, each with the file's line.
func Load(path string, extra []Route) (*Policy, error) {
	if path == "" {
		c := newCompiler("")
		return c.finish(extra)
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, extra)
}

// readFile reads a policy file of at most maxFileSize bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, readError(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, readError(path, err)
	}
	return data, nil
}

// readError says what to do about a policy file that cannot be read.
func readError(path string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err // the path is said once
	}
	advice := "check the path given with --policy"
	if errors.Is(err, fs.ErrPermission) {
		advice = "let the user that runs wavegate read it"
	}
	return fmt.Errorf("policy %s: %w: %s", path, err, advice)
}

// Parse compiles a policy file's text together with the routes from flags. The
// name stands for the file in errors and in Route.Origin. The error is as
// Load's.
func Parse(name string, data []byte, extra []Route) (*Policy, error) {
	c := newCompiler(name)
	c.parse(data)
	return c.finish(extra)
}

// Routes returns every route, the file's first, in the order in which they
// were written. The caller must not change them.
func (p *Policy) Routes() []*Route { return p.routes }

// Scopes returns the declared scopes, sorted by name. The caller must not
// change them.
func (p *Policy) Scopes() []Scope { return p.scopes }

// Providers returns the OpenID providers of the file in its order, which is that
// of the login page. The caller must not change them.
func (p *Policy) Providers() []Provider { return p.providers }

// Branding returns how the server's own pages present themselves.
func (p *Policy) Branding() Branding { return p.branding }

// Files returns the files that the policy names, each once, so that their change
// can be followed: certificates and keys of upstreams, secrets of providers, the
// logo, the secret of session tokens. Paths are as written, relative to where the server was started.
func (p *Policy) Files() []string {
	var files []string
	add := func(names ...string) {
		for _, name := range names {
			if name != "" && !slices.Contains(files, name) {
				files = append(files, name)
			}
		}
	}
	for _, r := range p.routes {
		add(r.TLS.CAFile, r.TLS.CertFile, r.TLS.KeyFile)
	}
	for i := range p.providers {
		add(p.providers[i].ClientSecretFile)
	}
	add(p.branding.Logo, p.sessionTokens.SecretFile)
	return files
}

// A Scope is one entry of the catalogue of scopes.
type Scope struct {
	Name        string
	Description string   // for consent pages; may be empty
	Risk        string   // "low", "medium", "high", or empty
	Endpoints   []string // as written in the file
}
