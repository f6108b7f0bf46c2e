package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wavegate/keychain"
	"wavegate/keychain/filewatch"
	"wavegate/server/audit"
	"wavegate/server/policy"
	"wavegate/server/portal"
	"wavegate/server/store"
	"wavegate/tlsconf"
)

// Reload reads keychain, certificates, extra headers and policy again. Each
// part that is bad keeps its old value; all problems are logged and returned
// together.
func (s *Server) Reload() error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.keysEndIn = 0
	defer s.lookAgain()
	s.tell(s.notify.reloading())
	defer func() { s.tell(s.notify.send("READY=1")) }()
	parts := []struct {
		name string
		load func() error
	}{
		{"keychain", s.reloadKeychain},
		{"tls", s.reloadTLS},
		{"headers", s.loadHeaders},
		{"users", s.reloadUsers},
		{"policy", s.loadPolicy},
	}
	var failed []error
	var names []string
	for _, part := range parts {
		if err := part.load(); err != nil {
			failed, names = append(failed, err), append(names, part.name)
			s.badReloads.note(part.name, err)
			s.metrics.reloads.WithLabelValues(part.name, "failed").Inc()
			s.log.Error("reload failed, the old one stays", "part", part.name, "error", err)
			continue
		}
		s.badReloads.note(part.name, nil)
		s.metrics.reloads.WithLabelValues(part.name, "ok").Inc()
	}
	s.log.Info("reloaded", "failed", len(failed))
	s.noteReload(names)
	return errors.Join(failed...)
}

// noteReload writes down that settings were read again, and which of them were bad
// and stay as they were.
func (s *Server) noteReload(failed []string) {
	e := audit.Entry{At: time.Now(), Actor: "system", Action: "config.reload", Outcome: "ok"}
	if len(failed) > 0 {
		e.Outcome, e.Details = "failed", map[string]string{"failed": strings.Join(failed, " ")}
	}
	s.noteLater(store.Journal{Audit: []audit.Entry{e}})
}

// readAgain is Reload of one part, whose file this process has just changed.
func (s *Server) readAgain(load func() error) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	return load()
}

func (s *Server) reloadKeychain() error {
	if err := s.readKeys(s.keychain); err != nil {
		return err
	}
	old := s.state.Load()
	next := s.newState(old.policy, old.shared) // forgets principals of keys that are gone
	next.loadedAt = old.loadedAt
	s.state.Store(next)
	return nil
}

// reloadUsers reads the users file again. Sessions of users whose line changed
// end with it, and API keys of those whose line is gone.
func (s *Server) reloadUsers() error {
	if s.signIn == nil {
		return nil
	}
	err := s.readKeys(s.signIn.users)
	s.recheckSessions()
	s.recheckKeys()
	s.recheckTokens()
	return err
}

// readKeys reads a file of keys or users again. Keys whose file is gone for good
// end, which is logged once and is no error: the old ones do not stay.
func (s *Server) readKeys(kc *keychain.Keychain) error {
	err := kc.Reload()
	missing, ok := errors.AsType[*keychain.MissingError](err)
	switch {
	case !ok:
		return err
	case missing.Left == 0:
		s.log.Error(missing.Error())
		return nil
	}
	if s.keysEndIn == 0 || missing.Left < s.keysEndIn {
		s.keysEndIn = missing.Left
	}
	return err
}

// lookAgain tells rereads when keys of a missing file end. Each Reload knows it
// of all files, so that what an earlier one said is void.
func (s *Server) lookAgain() {
	select {
	case <-s.again:
	default:
	}
	s.again <- s.keysEndIn // it has room: nobody else sends
}

// rereads reloads when the keys of a missing file are to end, until ctx ends.
// No watcher would tell: nothing changes then.
func (s *Server) rereads(ctx context.Context) {
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case in := <-s.again:
			due = nil
			if in > 0 {
				due = time.After(in)
			}
		case <-due:
			due = nil
			_ = s.Reload() // errors are logged there
		}
	}
}

func (s *Server) reloadTLS() error {
	if s.tls == nil {
		return nil
	}
	if err := s.tls.Reload(); err != nil {
		return err
	}
	for _, w := range s.tls.Warnings() {
		s.log.Warn(w)
	}
	return nil
}

func (s *Server) loadHeaders() error {
	headers := http.Header{}
	if s.cfg.HeadersFile != "" {
		var err error
		if headers, err = tlsconf.LoadHeaders(s.cfg.HeadersFile); err != nil {
			return err
		}
	}
	s.headers.Store(&headers)
	return nil
}

// loadPolicy compiles the policy with the routes that flags make, gives it to
// the gateway, and only then lets requests see it.
func (s *Server) loadPolicy() error {
	p, err := s.readPolicy()
	if err != nil {
		return err
	}
	swap, err := s.loadProviders(p)
	if err != nil {
		return err
	}
	issuers, err := s.readIssuers(p)
	if err != nil {
		return err
	}
	shared, err := readShared(p)
	if err != nil {
		return err
	}
	pages, err := s.readPages(p)
	if err != nil {
		return err
	}
	if err := s.gateway.Load(p); err != nil {
		return err
	}
	swap()
	s.issuers.Swap(issuers).closeBut(issuers)
	s.pages.Store(pages)
	s.state.Store(s.newState(p, shared))
	s.recheckSessions()
	return nil
}

// readPages makes the pages as the policy wants them to look.
func (s *Server) readPages(p *policy.Policy) (*portal.Pages, error) {
	brand := p.Branding()
	look := portal.Branding{Name: brand.Name, Accent: brand.Accent}
	if brand.Logo != "" {
		logo, err := readSmallFile(brand.Logo, maxLogo)
		if err != nil {
			return nil, fmt.Errorf("branding: logo: %w", err)
		}
		look.Logo, look.LogoType = logo, logoTypes[strings.ToLower(filepath.Ext(brand.Logo))]
	}
	pages, err := portal.New(s.cfg.BaseURL, look)
	if err != nil {
		return nil, SettingsError{err}
	}
	return pages, nil
}

// maxLogo bounds the file of a logo, in bytes.
const maxLogo = 256 << 10

// logoTypes are the kinds of pictures that a logo can be.
var logoTypes = map[string]string{
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
}

// look returns the pages as they look now.
func (s *Server) look() *portal.Pages { return s.pages.Load() }

func (s *Server) readPolicy() (*policy.Policy, error) {
	extra, err := s.flagRoutes()
	if err != nil {
		return nil, err
	}
	p, err := s.compilePolicy(extra)
	if err != nil || s.cfg.WebDir == "" || s.cfg.WebDirGives && p.Match("", s.cfg.BaseURL) != nil {
		return p, err
	}
	web, err := policy.ParseDir("/@"+s.cfg.WebDir, policy.Authenticated, s.cfg.BaseURL)
	if err != nil {
		return nil, SettingsError{err}
	}
	web.Origin = "-web-dir " + s.cfg.WebDir
	web.GivesWay = true
	return s.compilePolicy(append(extra, web))
}

func (s *Server) compilePolicy(extra []policy.Route) (p *policy.Policy, err error) {
	if s.demo != nil && s.cfg.PolicyFile == "" {
		p, err = policy.Parse("demo policy", s.demo.policy, extra)
	} else {
		p, err = policy.Load(s.cfg.PolicyFile, extra)
	}
	if _, unreadable := errors.AsType[*fs.PathError](err); err != nil && !unreadable {
		return nil, SettingsError{err}
	}
	return p, err
}

// flagRoutes are the routes of --upstream and of the folder flags.
func (s *Server) flagRoutes() ([]policy.Route, error) {
	var routes []policy.Route
	var problems []error
	add := func(r policy.Route, err error) {
		if err != nil {
			problems = append(problems, err)
			return
		}
		routes = append(routes, r)
	}
	for _, u := range s.cfg.Upstreams {
		add(policy.ParseUpstream(u))
	}
	for _, d := range s.cfg.PublicDirs {
		add(policy.ParseDir(d, policy.Public, s.cfg.BaseURL))
	}
	for _, d := range s.cfg.PrivateDirs {
		add(policy.ParseDir(d, policy.Authenticated, s.cfg.BaseURL))
	}
	if len(problems) > 0 {
		return nil, SettingsError{errors.Join(problems...)}
	}
	return routes, nil
}

// watch follows the files until ctx ends. A policy names files of its own, so a
// reload can change which ones they are.
func (s *Server) watch(ctx context.Context) {
	watcher, files := s.watcher, s.cfg.watched()
	for ctx.Err() == nil {
		if want := s.watched(); !slices.Equal(want, files) {
			var err error
			if watcher, err = filewatch.New(want); err != nil {
				s.log.Error("files are no longer watched: send SIGHUP after changes", "error", err)
				return
			}
			files = want
			_ = s.Reload() // what changed before the watcher looked; errors are logged there
			continue
		}
		run, stop := context.WithCancel(ctx)
		_ = watcher.Run(run, func() { // it only ends with its context
			_ = s.Reload()
			if !slices.Equal(s.watched(), files) {
				stop()
			}
		})
		stop()
	}
}

// watched are the files of the settings whose change is followed.
func (c Config) watched() []string {
	return append(c.TLS.Files(), c.Keychain.Path, c.HeadersFile, c.PolicyFile, c.Users.Path)
}

// watched are the files whose change is followed now, those that the policy
// names among them.
func (s *Server) watched() []string {
	files := s.cfg.watched()
	for _, f := range s.state.Load().policy.Files() {
		if !slices.Contains(files, f) {
			files = append(files, f)
		}
	}
	return files
}

// certificateEnd is when the certificate in use ends; zero without one.
func (s *Server) certificateEnd() time.Time {
	if s.tls == nil {
		return time.Time{}
	}
	return s.tls.NotAfter()
}
