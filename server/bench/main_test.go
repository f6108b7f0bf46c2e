//go:build linux

package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"testing"

	"wavegate/keychain"
	"wavegate/server"
)

// What a child process is told in its environment.
const (
	envRole    = "BENCH_ROLE"     // which of the roles it plays
	envDir     = "BENCH_DIR"      // wavegate: the folder with keychain and policy
	envStore   = "BENCH_STORE"    // wavegate: URL of its store; "" for no sign-in
	envKeys    = "BENCH_KEYS"     // wavegate: URL of its store, with the secret of its folder; "" for none
	envPublic  = "BENCH_PUBLIC"   // wavegate: its public URL; "" for no authorization server
	envTarget  = "BENCH_UPSTREAM" // proxy: where to
	envProfile = "BENCH_PROFILE"  // folder for its profiles; "" for none
)

// TestMain is also the main of the child processes: each side of a comparison
// has a process, a heap and a scheduler of its own, as it has in real life.
func TestMain(m *testing.M) {
	role := os.Getenv(envRole)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(role); err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		os.Exit(1)
	}
}

// play serves as a role until standard input ends. The first line on standard
// output is the address.
func play(role string) error {
	serve, ok := map[string]func(net.Listener) error{
		"upstream": serveUpstream,
		"proxy":    serveBareProxy,
		"ok":       serveOK,
		"signer":   serveSigner,
	}[role]
	stop, err := startProfile(role)
	if err != nil {
		return err
	}
	defer stop()
	if !ok {
		return playWavegate()
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- serve(ln) }()
	fmt.Println(ln.Addr())
	select {
	case err := <-failed:
		return err
	case <-standardInputEnd():
		return nil
	}
}

func standardInputEnd() <-chan struct{} {
	end := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(end)
	}()
	return end
}

// startProfile writes a CPU profile until stop, and then one of allocations.
func startProfile(role string) (stop func(), err error) {
	dir := os.Getenv(envProfile)
	if dir == "" {
		return func() {}, nil
	}
	runtime.MemProfileRate = 16 << 10
	cpu, err := os.Create(filepath.Join(dir, role+".cpu"))
	if err != nil {
		return nil, err
	}
	allocs, err := os.Create(filepath.Join(dir, role+".allocs"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = pprof.Lookup("allocs").WriteTo(allocs, 0)
		_, _ = cpu.Close(), allocs.Close()
	}, nil
}

// What the app behind the proxies says.
const (
	upstreamBody   = `{"streams":[{"id":"str_1","state":"live","viewers":1024}]}`
	upstreamAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 58\r\n\r\n" + upstreamBody
)

// serveUpstream answers every request without a body with the same bytes. It
// does as little as it can, so that the proxies are what is measured.
func serveUpstream(ln net.Listener) error {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			buf, have := make([]byte, 16<<10), 0
			for {
				n, err := conn.Read(buf[have:])
				if err != nil {
					return
				}
				if have += n; string(buf[max(0, have-4):have]) != "\r\n\r\n" {
					continue
				}
				have = 0
				if _, err := io.WriteString(conn, upstreamAnswer); err != nil {
					return
				}
			}
		}()
	}
}

// serveBareProxy is what the proxied rows are measured against: the standard
// library's proxy, with nothing but connections enough.
func serveBareProxy(ln net.Listener) error {
	target, err := url.Parse(os.Getenv(envTarget))
	if err != nil {
		return err
	}
	return http.Serve(ln, &httputil.ReverseProxy{
		Rewrite:   func(pr *httputil.ProxyRequest) { pr.SetURL(target) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
	})
}

// serveOK is what the forward-auth row is measured against.
func serveOK(ln net.Listener) error {
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
	}))
}

// playWavegate runs the server as startDaemon runs the binary. It stands in for
// it where that is not built, and where profiles are wanted.
func playWavegate() error {
	dir := os.Getenv(envDir)
	log, err := os.Create(filepath.Join(dir, "access.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cfg := server.Config{
		Listen:         "127.0.0.1:0",
		PublicURL:      os.Getenv(envPublic),
		DataDir:        dir,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		ForwardHeaders: []string{"*"},
		MaxRequestSize: 5 << 20,
		PolicyFile:     filepath.Join(dir, policyFile),
		Keychain:       keychain.Config{Path: filepath.Join(dir, keychainFile), Required: true},
	}
	if cfg.Store = os.Getenv(envStore); cfg.Store != "" {
		cfg.Users = keychain.Config{Kind: keychain.LocalUsers, Path: filepath.Join(dir, usersFile), Required: true}
	}
	if keys := os.Getenv(envKeys); keys != "" {
		cfg.Store, cfg.SecretFile = keys, filepath.Join(dir, "secret")
	}
	s, err := server.New(cfg, log)
	if err != nil {
		return err
	}
	if err := s.Listen(); err != nil {
		return err
	}
	fmt.Println(s.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-standardInputEnd()
		cancel()
	}()
	return s.Run(ctx)
}
