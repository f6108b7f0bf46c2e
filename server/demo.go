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
)

// The access keys of the demo. Their secrets are made anew at every start.
const (
	demoKeyID    = "demo"
	demoReaderID = "reader" // may only read, see the demo's policy
)

// A demoApp is what --demo guards: the sample app on a loopback port of its
// own, the policy for it, and access keys that last as long as the process.
type demoApp struct {
	policy         []byte
	secret, reader string // "" where the operator brought keys of their own
	curl           string // how the printed commands begin
	out            io.Writer
	server         *http.Server
}

// newDemo starts the sample app and points cfg at its keys; a dry one makes none.
func newDemo(cfg *Config, dry bool, jwks func() []byte) (*demoApp, error) {
	d := &demoApp{out: cfg.Announce}
	if !dry && !cfg.Keychain.Required && cfg.Keychain.ID == "" {
		if err := d.makeKeys(cfg); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	}
	d.curl = "curl"
	if cfg.TLS.SelfSigned {
		d.curl = "curl -k"
	}
	app, err := demo.New(demo.Config{KeyID: demoKeyID, ReaderID: demoReaderID, JWKSPath: cfg.BaseURL + "oauth/jwks", JWKS: jwks, Curl: d.curl})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	d.policy = demo.Policy("http://"+ln.Addr().String(), demoReaderID)
	d.server = &http.Server{Handler: app, ReadHeaderTimeout: readHeaderTimeout}
	go func() { _ = d.server.Serve(ln) }() // ends with close
	return d, nil
}

// makeKeys writes a keychain for the demo alone.
func (d *demoApp) makeKeys(cfg *Config) error {
	path := filepath.Join(cfg.DataDir, "demo.wave-keychain")
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.secret, d.reader = rand.Text(), rand.Text()
	cfg.Keychain.Path, cfg.Keychain.Required = path, true
	return errors.Join(keychain.Set(path, demoKeyID, d.secret), keychain.Set(path, demoReaderID, d.reader))
}

func (d *demoApp) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if d.server.Shutdown(ctx) != nil {
		_ = d.server.Close()
	}
}

// print tells where to click and what to paste.
func (d *demoApp) print(url string) {
	if d.out == nil {
		return
	}
	fmt.Fprintf(d.out, "\nwavegate guards a sample app. Open it in a browser:\n\n  %s/\n", url)
	if d.secret == "" {
		fmt.Fprintf(d.out, "\nIt takes the access keys that you brought. Stop with Ctrl-C.\n\n")
		return
	}
	fmt.Fprintf(d.out, "\n  user      %s\n  password  %s\n\nOr from a terminal:\n\n", demoKeyID, d.secret)
	fmt.Fprintf(d.out, "  export WAVE_KEY=%s:%s WAVE_READER=%s:%s\n", demoKeyID, d.secret, demoReaderID, d.reader)
	caller := demo.Caller{URL: url, Login: "$WAVE_KEY", Reader: "$WAVE_READER", Curl: d.curl}
	for _, c := range demo.Commands(caller) {
		fmt.Fprintf(d.out, "\n  # %s. %s\n  %s\n", c.Title, c.Note, strings.ReplaceAll(c.Line, "\n", "\n  "))
	}
	fmt.Fprintf(d.out, "\nThe keys are for the demo alone and end with it. Stop with Ctrl-C.\n\n")
}
