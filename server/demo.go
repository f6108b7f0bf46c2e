package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"wavegate/keychain"
	"wavegate/server/demo"
	"wavegate/server/session"
)

// Who may use the demo. Secrets and password are made anew at every start.
const (
	demoKeyID    = "demo"
	demoReaderID = "reader" // an access key that may only read, see the demo's policy
	demoUser     = "demo"   // a local user, who has nothing to do with the access key
)

// demoMember is the user as roles and --admins name it.
const demoMember = session.Local + "|" + demoUser

// demoPortal is where the portal is, below the base URL.
const demoPortal = "_portal/"

// A demoApp is what --demo guards: the sample app on a loopback port of its
// own, the policy for it, and a user, access keys and a store that last as long
// as the process.
type demoApp struct {
	policy         []byte
	password       string // "" where the operator brought a way to sign in
	secret, reader string // "" where the operator brought keys
	curl           string // how the printed commands begin
	base           string // path of the gate's own API
	out            io.Writer
	server         *http.Server
}

// newDemo starts the sample app and points cfg at what was made for it; a dry
// one makes no files. Whatever the operator brought stays theirs.
func newDemo(cfg *Config, dry bool, jwks func() []byte) (*demoApp, error) {
	d := &demoApp{out: cfg.Announce, curl: "curl", base: cfg.BaseURL}
	if cfg.TLS.SelfSigned {
		d.curl = "curl -k"
	}
	if !dry {
		if err := d.makeFiles(cfg); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	}
	app, err := demo.New(demo.Config{
		KeyID: demoKeyID, ReaderID: demoReaderID, Curl: d.curl, BaseURL: d.base,
		JWKSPath: cfg.BaseURL + "oauth/jwks", JWKS: jwks,
		PortalPath: cfg.BaseURL + demoPortal, LogoutPath: cfg.BaseURL + logoutPath[1:],
	})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	d.policy = demo.Policy(d.rules("http://" + ln.Addr().String()))
	d.server = &http.Server{Handler: app, ReadHeaderTimeout: readHeaderTimeout}
	go func() { _ = d.server.Serve(ln) }() // ends with close
	return d, nil
}

// rules say who may do what with the app at upstream.
func (d *demoApp) rules(upstream string) demo.Rules {
	r := demo.Rules{Upstream: upstream, Readers: []string{demoReaderID}}
	if d.password != "" {
		r.Editors = []string{demoMember}
	}
	return r
}

// makeFiles makes what the operator did not bring.
func (d *demoApp) makeFiles(cfg *Config) error {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return err
	}
	if !cfg.Keychain.Required && cfg.Keychain.ID == "" {
		if err := d.makeKeys(cfg); err != nil {
			return err
		}
	}
	if !cfg.Users.Required && cfg.SignIn.Issuer == "" {
		if err := d.makeUser(cfg); err != nil {
			return err
		}
	}
	if cfg.Store == "" {
		return makeDemoStore(cfg)
	}
	return nil
}

// makeKeys writes a keychain for the demo alone.
func (d *demoApp) makeKeys(cfg *Config) error {
	path := filepath.Join(cfg.DataDir, "demo.wave-keychain")
	if err := removeFiles(path); err != nil {
		return err
	}
	d.secret, d.reader = rand.Text(), rand.Text()
	cfg.Keychain.Path, cfg.Keychain.Required = path, true
	return errors.Join(keychain.Set(path, demoKeyID, d.secret), keychain.Set(path, demoReaderID, d.reader))
}

// makeUser writes a users file for the demo alone. The password is half of what
// others get: it is typed by hand, and lockouts and the loopback stand before it.
// The user is an administrator, unless the operator says who is.
func (d *demoApp) makeUser(cfg *Config) error {
	path := filepath.Join(cfg.DataDir, "demo.wave-users")
	if err := removeFiles(path); err != nil {
		return err
	}
	d.password = keychain.NewPassword()[:11] // two groups of five, some 50 bits
	cfg.Users.Kind, cfg.Users.Path, cfg.Users.Required = keychain.LocalUsers, path, true
	if len(cfg.Admins) == 0 {
		cfg.Admins = []string{demoMember}
	}
	return keychain.Users(path).Add(demoUser, d.password)
}

// makeDemoStore gives the demo a store of its own, so that it touches nobody's
// sessions.
func makeDemoStore(cfg *Config) error {
	path := filepath.Join(cfg.DataDir, "demo.db")
	cfg.Store = "sqlite:" + path
	return removeFiles(path, path+"-wal", path+"-shm", path+"-journal")
}

// removeFiles removes those of the files that are there.
func removeFiles(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (d *demoApp) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if d.server.Shutdown(ctx) != nil {
		_ = d.server.Close()
	}
}

// print tells where to click and what to paste. The URL has no final slash.
func (d *demoApp) print(url string) {
	if d.out == nil {
		return
	}
	fmt.Fprintf(d.out, "\nwavegate guards a sample app. Open it in a browser:\n\n  %s/\n\n", url)
	if d.password == "" {
		fmt.Fprint(d.out, "and sign in as you have set it up.\n")
	} else {
		fmt.Fprintf(d.out, "and sign in:\n\n  username  %s\n  password  %s\n", demoUser, d.password)
	}
	d.printPortal(url)
	d.printCommands(url)
	fmt.Fprint(d.out, "\nUsers, keys and sessions of the demo end with it. Stop with Ctrl-C.\n\n")
}

// printPortal tells where keys and apps are managed in the browser.
func (d *demoApp) printPortal(url string) {
	as := "as you have set it up"
	if d.password != "" {
		as = "as " + demoUser + " / " + d.password
	}
	fmt.Fprintf(d.out, "\nPortal  %s%s%s (sign in %s)\n", url, d.base, demoPortal, as)
}

// printCommands prints what to paste into a terminal.
func (d *demoApp) printCommands(url string) {
	if d.secret == "" {
		fmt.Fprint(d.out, "\nOr from a terminal, with the access keys that you brought.\n")
		return
	}
	fmt.Fprint(d.out, "\nOr from a terminal, with access keys:\n\n")
	fmt.Fprintf(d.out, "  export WAVE_KEY=%s:%s WAVE_READER=%s:%s\n", demoKeyID, d.secret, demoReaderID, d.reader)
	caller := demo.Caller{URL: url, API: url + strings.TrimRight(d.base, "/"), Login: "$WAVE_KEY", Reader: "$WAVE_READER", Curl: d.curl}
	for _, c := range demo.Commands(caller) {
		fmt.Fprintf(d.out, "\n  # %s. %s\n  %s\n", c.Title, c.Note, strings.ReplaceAll(c.Line, "\n", "\n  "))
	}
}
