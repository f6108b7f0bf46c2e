package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"wavegate/keychain"
	"wavegate/server"
)

// settings is what the options add up to.
type settings struct {
	server server.Config
	debug  bool

	createKey    bool
	listKeys     bool
	removeKey    string // ID, or ""
	createUser   string // name, or ""
	generate     bool   // with createUser: a password is made
	listUsers    bool
	removeUser   string // name, or ""
	createAPIKey bool
	listAPIKeys  bool
	revokeAPIKey string // ID, or ""
	order        server.KeyOrder
	output       string // "table" or "json"
	explain      string // "METHOD PATH", or ""
	as           string // with explain: who asks; "" is nobody
	verifyAudit  bool
	check        bool
	printConfig  bool

	webDirGiven bool     // the folder was asked for, so it must exist
	warnings    []string // what the operator should know before the server starts
}

// settings makes the settings of the resolution, with everything that is wrong
// with them.
func (r *resolution) settings() (*settings, []error) {
	s := &settings{warnings: r.warnings}
	r.apply(s)
	r.complete(s)
	commands := r.commands()
	if len(commands) > 1 {
		r.problem("%s: one command at a time", strings.Join(commands, " and "))
	}
	r.checkCompanions(s)
	switch {
	case s.isFileCommand():
	case s.isStoreCommand():
		r.problems = append(r.problems, flatten(s.server.ValidateStore())...)
	default:
		r.checkServer(s)
	}
	return s, r.problems
}

// checkCompanions refuses what only goes with a command that was not asked for.
func (r *resolution) checkCompanions(s *settings) {
	if generate := r.get("generate"); s.generate && !r.given("create-user") {
		r.problem("%s goes with --create-user alone", generate.where)
	}
	for _, name := range []string{"name", "scopes", "role", "env", "expires-in", "allowed-ips", "tier"} {
		if r.given(name) && !s.createAPIKey {
			r.problem("--%s goes with --create-api-key alone", name)
		}
	}
	if r.given("output") && !s.createAPIKey && !s.listAPIKeys && s.revokeAPIKey == "" {
		r.problem("--output goes with --create-api-key, --list-api-keys and --revoke-api-key alone")
	}
	if r.given("as") && s.explain == "" && !r.given("explain") {
		r.problem("--as goes with --explain alone")
	}
	if s.server.Demo && s.isStoreCommand() {
		r.problem("--demo has a store of its own, which ends with it: leave it out")
	}
}

// commands returns the flags of the commands that were asked for.
func (r *resolution) commands() []string {
	var names []string
	for _, v := range r.values {
		on := v.given() && (v.option.kind != toggle || isOn(last(v.texts)))
		if v.option.command && on {
			names = append(names, "--"+v.option.name)
		}
	}
	return names
}

func isOn(text string) bool {
	on, err := parseBool(text)
	return err == nil && on
}

// isFileCommand reports whether the command needs keychain or users file alone,
// so that what a server would need is no matter.
func (s *settings) isFileCommand() bool {
	return s.createKey || s.listKeys || s.removeKey != "" || s.createUser != "" || s.listUsers || s.removeUser != ""
}

// isStoreCommand reports whether the command needs the store, the secret and the
// policy, so that what a server needs to listen and to let people sign in is no
// matter.
func (s *settings) isStoreCommand() bool {
	return s.createAPIKey || s.listAPIKeys || s.revokeAPIKey != "" || s.explain != "" || s.verifyAudit
}

// complete fills in what follows from whether and where something was set.
func (r *resolution) complete(s *settings) {
	c := &s.server
	c.Version = version
	c.Keychain.Required = r.given("access-keychain")
	c.Users.Kind, c.Users.Required = keychain.LocalUsers, r.given("users-file")
	if !r.given("access-key-id") && !r.given("access-key-secret") {
		c.Keychain.ID, c.Keychain.Secret = "", "" // the published pair is the keychain's business
	}
	if !r.given("session-inactivity-timeout") {
		c.SignIn.Idle = min(c.SignIn.Idle, c.SignIn.Lifetime) // the default follows
	}
	s.webDirGiven = r.given("web-dir")
	c.WebDirGives = !s.webDirGiven
	if s.debug && !r.given("log-level") {
		c.LogLevel = "debug"
	}
	if c.Demo && !r.given("listen") {
		c.Listen = "127.0.0.1:10101"
	}
}

// checkServer looks at what a server needs: the pairs of options that go
// together, then whatever the server's own check finds.
func (r *resolution) checkServer(s *settings) {
	r.checkPair(s)
	r.checkSignIn(s)
	r.nameRetired(s)
	r.problems = append(r.problems, flatten(s.server.Validate())...)
}

// checkPair refuses half an access key, and forgets it so that nobody else
// complains.
func (r *resolution) checkPair(s *settings) {
	id, secret := r.get("access-key-id"), r.get("access-key-secret")
	if id.given() == secret.given() {
		return
	}
	there, missing := id, secret
	if secret.given() {
		there, missing = secret, id
	}
	r.problem("%s needs --%s too: an access key is a pair", there.where, missing.option.name)
	s.server.Keychain.ID, s.server.Keychain.Secret = "", ""
}

// nameRetired puts the flags that are taken but mean nothing into one remark.
func (r *resolution) nameRetired(s *settings) {
	var names []string
	for _, v := range r.values {
		if v.option.retired && v.given() {
			names = append(names, strings.TrimPrefix(v.where, "-"))
		}
	}
	if len(names) > 0 {
		s.warnings = append(s.warnings, "these settings belong to waved's page store, which wavegate does not have, and do nothing: "+strings.Join(names, ", "))
	}
}

// findWebDir forgets the default folder where it does not exist. One that was
// asked for must exist.
func (s *settings) findWebDir() error {
	if s.server.WebDir == "" {
		return nil
	}
	info, err := os.Stat(s.server.WebDir)
	switch {
	case err == nil && info.IsDir():
		return nil
	case !s.webDirGiven:
		s.server.WebDir = ""
		return nil
	case err == nil:
		return fmt.Errorf("-web-dir %s is not a folder: name one, or leave the flag out", s.server.WebDir)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("-web-dir %s does not exist: make it, or leave the flag out", s.server.WebDir)
	}
	return fmt.Errorf("-web-dir: %w", err)
}

// warn writes the warnings as lines of the server's log.
func (s *settings) warn(w io.Writer) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.server.LogLevel)) // it is one of the choices
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewJSONHandler(w, options)
	if s.server.LogFormat == "text" {
		h = slog.NewTextHandler(w, options)
	}
	for _, text := range s.warnings {
		slog.New(h).Warn(text)
	}
}
