package signintest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	randv2 "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"wavegate/keychain"
	"wavegate/oidc/oidctest"
	"wavegate/server"
	"wavegate/server/portal/browsertest"
	"wavegate/tlsconf"
)

// policyText is realistic: a house of its own, two ways to sign in beside the
// form, one address for which a role is needed.
const policyText = `
branding: {name: Acme Observatory, logo: %q, accent: "#0a7d55"}
providers:
  - {name: partners, label: Partner network, issuer: %q, client_id: gate, client_secret: partner-secret, redirect_url: %q, scopes: [openid, profile, email]}
upstreams:
  - {route: /, url: %q, access: signed-in}
  - {route: /api, url: %[4]q, access: signed-in}
  - {route: /budget, url: %[4]q, access: signed-in, require: {roles: [treasurer]}}
  - {route: /machines, url: %[4]q, access: keys}
scopes: {}
roles:
  observer: {groups: [astronomy]}
  treasurer: {groups: [finance]}
`

const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" width="40" height="40">
<circle cx="20" cy="20" r="18" fill="#0a7d55"/><path d="M7 25a14 14 0 0 1 26 0z" fill="#fff"/><circle cx="26" cy="12" r="3" fill="#ffd34d"/></svg>`

// A stage is what all tests share.
type stage struct {
	browser  *browsertest.Browser
	idp      *oidctest.NodeProvider // "single sign-on", the provider of the flags
	partners *oidctest.Provider     // "Partner network"; it can be made to go wrong
	app      *app
	gate     string // the origin of the wavegate that most tests use
	hasty    string // the same with sessions that end after hastyIdle
	checked  map[string]bool
}

// hastyIdle is how long a session of stage.hasty lasts without a request: long
// enough to sign in on a busy machine.
const hastyIdle = 3 * time.Second

func people() map[string]oidctest.Claims {
	person := func(name, full string, groups ...string) oidctest.Claims {
		return oidctest.Claims{"preferred_username": name, "name": full, "email": name + "@acme.example", "email_verified": true, "groups": groups}
	}
	return map[string]oidctest.Claims{
		"ada":   person("ada", "Ada Lindqvist", "astronomy", "on-call"),
		"boris": person("boris", "Boris Okafor", "finance"),
	}
}

func newStage(t *testing.T) *stage {
	t.Helper()
	pair := newCertificate(t)
	s := &stage{browser: browsertest.Start(t, browsertest.Trusting(pair.cert)), app: startApp(t), checked: map[string]bool{}}
	usual, hasty := "https://gate.localhost:"+freePort(t), "https://gate.localhost:"+freePort(t)
	callbacks := []string{usual + "/_auth/callback", hasty + "/_auth/callback"}
	s.idp = oidctest.StartNode(t, oidctest.NodeConfig{Users: people(), Clients: []oidctest.Client{{
		ID: "wavegate", Secret: "client-secret", RedirectURLs: callbacks,
		PostLogoutRedirectURLs: []string{usual + "/_auth/signed-out", hasty + "/_auth/signed-out"},
	}}})
	s.partners = oidctest.New(t, oidctest.Config{Users: people(), Clients: []oidctest.Client{{ID: "gate", Secret: "partner-secret", RedirectURLs: callbacks}}})
	s.gate = s.startGate(t, usual, pair, 0)
	s.hasty = s.startGate(t, hasty, pair, hastyIdle)
	return s
}

// startGate runs a wavegate at an origin of this machine, and returns it.
func (s *stage) startGate(t *testing.T, origin string, pair certificate, idle time.Duration) string {
	t.Helper()
	dir := t.TempDir()
	_, port, err := net.SplitHostPort(origin[len("https://"):])
	if err != nil {
		t.Fatal(err)
	}
	policy := fmt.Sprintf(policyText, write(t, dir, "logo.svg", logo), s.partners.URL, origin+"/_auth/callback", s.app.url)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	gate, err := server.New(server.Config{
		Listen: "127.0.0.1:" + port, PublicURL: origin, DataDir: filepath.Join(dir, "data"), ForwardHeaders: []string{"*"},
		MaxRequestSize: 5 << 20, ShutdownTimeout: 5 * time.Second,
		TLS:        tlsconf.Config{CertFile: pair.file, KeyFile: pair.file},
		Keychain:   keychain.Config{ID: "program", Secret: "program-secret"},
		Users:      keychain.Config{Path: write(t, dir, "users", userLine(t, "carla")+userLine(t, "dmitri")), Kind: keychain.LocalUsers, Required: true},
		PolicyFile: write(t, dir, "policy.yaml", policy),
		SignIn: server.SignIn{
			Issuer: s.idp.URL, ClientID: "wavegate", ClientSecret: "client-secret", Scopes: []string{"openid", "profile", "email"},
			RedirectURL: origin + "/_auth/callback", PostLogoutRedirectURL: "/_auth/signed-out", Idle: idle,
		},
	}, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := gate.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := gate.Run(ctx); err != nil {
			t.Errorf("wavegate: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if t.Failed() {
			showEnd(t, log)
		}
		log.Close()
	})
	return origin
}

// showEnd shows the last part of a log.
func showEnd(t *testing.T, log *os.File) {
	info, err := log.Stat()
	if err != nil {
		t.Error(err)
		return
	}
	const most = 4 << 10
	text, err := io.ReadAll(io.NewSectionReader(log, max(0, info.Size()-most), most))
	t.Logf("wavegate wrote (%v):\n%s", err, text)
}

// A certificate is one for gate.localhost that no authority has signed.
type certificate struct {
	cert *x509.Certificate
	file string // PEM, the key too
}

func newCertificate(t *testing.T) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"gate.localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	return certificate{cert, write(t, t.TempDir(), "pair.pem", string(text))}
}

// userLine is a line of the users file. The password is "NAME's password".
func userLine(t *testing.T, name string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(passwordOf(name)), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return name + ":" + string(hash) + "\n"
}

func passwordOf(name string) string { return name + "'s password" }

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort returns a loopback port that nobody uses. The provider has to know
// the gate's address before the gate starts; so the port is one below those that
// the kernel gives to whoever asks for port 0.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10000 + randv2.IntN(22000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatal("no free port")
	return ""
}
