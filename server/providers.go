package server

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"wavegate/oidc"
	"wavegate/server/policy"
	"wavegate/server/session"
)

// mainProvider is the name of the provider that the flags describe.
const mainProvider = "main"

// A provider is one OpenID provider with what this server adds to it.
type provider struct {
	*oidc.Provider
	spec policy.Provider // as configured, the secret read
}

// A providerSet are the providers of one policy. It does not change.
type providerSet struct {
	list   []*provider // in the order of the login page
	byName map[string]*provider
}

// all returns the providers; a nil set has none.
func (ps *providerSet) all() []*provider {
	if ps == nil {
		return nil
	}
	return ps.list
}

func (ps *providerSet) get(name string) *provider {
	if ps == nil {
		return nil
	}
	return ps.byName[name]
}

// subject returns the stable name of a person in this server. Those of the
// flags' provider are called as the provider calls them, as with waved; all
// others carry the provider's name, because two providers may call different
// people the same. A subject of the flags' provider that looks like one of
// another is marked too, so that nobody can choose to be somebody else.
func (ps *providerSet) subject(provider, sub string) string {
	return subjectOf(provider, sub, func(name string) bool { return ps.get(name) != nil })
}

// subjectOf is providerSet.subject where all that is known of the providers of the
// policy is their names.
func subjectOf(provider, sub string, known func(name string) bool) string {
	if provider != mainProvider {
		return provider + "|" + sub
	}
	owner, _, marked := strings.Cut(sub, "|")
	if marked && (owner == session.Local || owner == mainProvider || known(owner)) {
		return mainProvider + "|" + sub
	}
	return sub
}

// provider is the provider that the flags describe, if there is one. The error
// names every address that EmailDomains cannot hold.
func (c SignIn) provider() (spec policy.Provider, ok bool, err error) {
	if c.Issuer == "" {
		return policy.Provider{}, false, nil
	}
	domains, err := c.emailDomains()
	if err != nil {
		return policy.Provider{}, false, SettingsError{err}
	}
	spec = policy.Provider{
		Name: mainProvider, Label: "single sign-on", Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret,
		RedirectURL: c.RedirectURL, Scopes: c.Scopes, EndSessionURL: c.EndSessionURL, PostLogoutRedirectURL: c.PostLogoutRedirectURL,
		UsernameClaim: c.UsernameClaim, GroupsClaim: c.GroupsClaim, EmailDomains: domains,
		InsecureSkipVerify: c.NoTLSVerify, Origin: "-oidc-provider-url",
	}
	for _, p := range c.AuthURLParams {
		key, value, _ := strings.Cut(p, ":")
		spec.AuthURLParams = append(spec.AuthURLParams, [2]string{key, value})
	}
	return spec, true, nil
}

// emailDomains are EmailDomains as policy.Provider wants them.
func (c SignIn) emailDomains() ([]string, error) {
	var domains []string
	var problems []error
	for _, d := range c.EmailDomains {
		domain, err := policy.ParseEmailDomain(d)
		if err != nil {
			problems = append(problems, fmt.Errorf("--oidc-email-domains: %w", err))
		}
		domains = append(domains, domain)
	}
	return domains, errors.Join(problems...)
}

// readProviders makes the providers of the flags and of p. Those whose settings
// did not change are the same as in old, with what they learnt.
func (s *Server) readProviders(p *policy.Policy, old *providerSet) (*providerSet, error) {
	specs := p.Providers()
	flags, ok, err := s.cfg.SignIn.provider()
	if err != nil {
		return nil, err
	}
	if ok {
		specs = append([]policy.Provider{flags}, specs...)
	}
	set := &providerSet{byName: map[string]*provider{}}
	var problems []error
	for _, spec := range specs {
		made, err := s.makeProvider(spec, old)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", spec.Origin, err))
			continue
		}
		set.list, set.byName[spec.Name] = append(set.list, made), made
	}
	if len(problems) == 0 {
		return set, nil
	}
	for _, made := range set.list {
		if old.get(made.spec.Name) != made {
			made.Close()
		}
	}
	return nil, SettingsError{errors.Join(problems...)}
}

func (s *Server) makeProvider(spec policy.Provider, old *providerSet) (*provider, error) {
	if spec.ClientSecretFile != "" {
		secret, err := readSmallFile(spec.ClientSecretFile, 4<<10)
		if err != nil {
			return nil, fmt.Errorf("client_secret_file: %w", err)
		}
		if spec.ClientSecret = strings.TrimSpace(string(secret)); spec.ClientSecret == "" {
			return nil, fmt.Errorf("client_secret_file %s is empty", spec.ClientSecretFile)
		}
	}
	if spec.RedirectURL == "" {
		if s.cfg.PublicURL == "" {
			return nil, errors.New("a provider needs a redirect_url, or --public-url from which it follows")
		}
		spec.RedirectURL = strings.TrimRight(s.cfg.PublicURL, "/") + s.cfg.BaseURL + callbackPath[1:]
	}
	if err := s.checkRedirectURL(spec.RedirectURL); err != nil {
		return nil, err
	}
	if before := old.get(spec.Name); before != nil && before.isFor(spec) {
		return before, nil
	}
	made, err := oidc.New(clientConfig(spec))
	if err != nil {
		return nil, err
	}
	return &provider{Provider: made, spec: spec}, nil
}

// clientConfig is what the client of a provider is made of.
func clientConfig(spec policy.Provider) oidc.Config {
	cfg := oidc.Config{
		Name: spec.Name, Issuer: spec.Issuer, ClientID: spec.ClientID, ClientSecret: spec.ClientSecret, Scopes: spec.Scopes,
		EndSessionURL: spec.EndSessionURL, UsernameClaim: spec.UsernameClaim, GroupsClaim: spec.GroupsClaim,
		InsecureSkipVerify: spec.InsecureSkipVerify,
	}
	for _, kv := range spec.AuthURLParams {
		cfg.AuthURLParams = append(cfg.AuthURLParams, oidc.Param{Key: kv[0], Value: kv[1]})
	}
	return cfg
}

// isFor reports whether p was made of these settings, wherever they stand now.
func (p *provider) isFor(spec policy.Provider) bool {
	made := p.spec
	made.Origin = spec.Origin
	return reflect.DeepEqual(made, spec)
}

// checkRedirectURL refuses an address to which no provider could send browsers
// back: this server would not know it.
func (s *Server) checkRedirectURL(raw string) error {
	want := s.cfg.BaseURL + callbackPath[1:]
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("the redirect URL must be absolute and end in %s, such as https://gate.example.com%s", want, want)
	case u.Path != want:
		return fmt.Errorf("the redirect URL must end in %s, not in %s", want, cmp.Or(u.Path, "/"))
	}
	return nil
}

// loadProviders swaps the providers for those of p. Sign-in that was off at the
// start stays off: the store is opened at the start alone.
func (s *Server) loadProviders(p *policy.Policy) (swap func(), err error) {
	if s.signIn == nil {
		if len(p.Providers()) > 0 {
			return nil, errors.New("the policy names providers, but sign-in was off at the start: restart to turn it on")
		}
		return func() {}, nil
	}
	old := s.signIn.providers.Load()
	set, err := s.readProviders(p, old)
	if err != nil {
		return nil, err
	}
	return func() {
		s.signIn.providers.Store(set)
		for _, before := range old.all() {
			if !slices.Contains(set.list, before) {
				before.Close()
			}
		}
	}, nil
}

// readSmallFile reads a file of at most limit bytes.
func readSmallFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > limit:
		return nil, fmt.Errorf("%s is larger than %d KB", path, limit>>10)
	}
	return os.ReadFile(path)
}
