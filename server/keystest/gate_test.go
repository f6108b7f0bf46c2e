package keystest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long something may take that must happen.
const patience = 30 * time.Second

// program is wavegate as it is shipped, built by TestMain.
var program string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "wavegate-built-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program = filepath.Join(dir, "wavegate")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, "wavegate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// startGate starts wavegate in a folder, on a port that is free, and returns its
// URL. It is stopped at the end of the test, and what it logged is shown if the
// test failed.
func startGate(t *testing.T, dir string, args ...string) (url string) {
	t.Helper()
	for range 3 { // somebody else may be quicker to take the port
		if url, ok := serve(t, dir, freePort(t), args); ok {
			return url
		}
	}
	t.Fatalf("wavegate %s does not start", strings.Join(args, " "))
	return ""
}

// freePort returns a port that nobody listens on. wavegate has to know it before it
// listens, since it names its authorization server by it.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// serve runs wavegate until the end of the test, and reports whether it listens.
func serve(t *testing.T, dir, port string, args []string) (url string, ok bool) {
	t.Helper()
	log := &gateLog{address: make(chan string, 1)}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stderr = dir, log
	cmd.Env = []string{"HOME=" + dir, "WAVEGATE_LISTEN=127.0.0.1:" + port}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(ended)
	}()
	select {
	case address := <-log.address:
		t.Cleanup(func() { stopGate(t, cmd, ended, log) })
		return "http://" + address, true
	case <-ended:
		t.Logf("wavegate %s ended at once:\n%s", strings.Join(args, " "), log)
	case <-time.After(patience):
		t.Errorf("wavegate %s does not listen", strings.Join(args, " "))
		stopGate(t, cmd, ended, log)
	}
	return "", false
}

func stopGate(t *testing.T, cmd *exec.Cmd, ended <-chan struct{}, log *gateLog) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("wavegate does not stop")
		_ = cmd.Process.Kill()
		<-ended
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 || t.Failed() {
		t.Errorf("wavegate ended with %v; it wrote:\n%s", cmd.ProcessState, log)
	}
}

// A gateLog keeps the log of a running wavegate.
type gateLog struct {
	address chan string // gets the address when it listens
	mu      sync.Mutex  // guards the rest
	text    bytes.Buffer
	found   bool
}

// Write implements io.Writer.
func (l *gateLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if l.found {
		return len(p), nil
	}
	for whole := range bytes.Lines(l.text.Bytes()) {
		var line struct{ Msg, Address string }
		if json.Unmarshal(whole, &line) == nil && line.Msg == "listening" {
			l.found = true
			l.address <- line.Address
			break
		}
	}
	return len(p), nil
}

func (l *gateLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// runGate runs wavegate in a folder until it ends by itself, and returns what it
// printed on standard output.
func runGate(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("wavegate %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}
