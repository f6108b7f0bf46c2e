// Package gatetest builds wavegate as it is shipped, and runs it for tests in
// processes of its own. Only tests may import it; it is not part of the program.
package gatetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A Program is the path of a wavegate that was built as it is shipped.
type Program string

// Build builds the program in a folder of its own, which remove removes.
func Build() (p Program, remove func() error, err error) {
	dir, err := os.MkdirTemp("", "wavegate-built-")
	if err != nil {
		return "", nil, err
	}
	path := filepath.Join(dir, "wavegate")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", path, "wavegate") //nolint:gosec // a folder made just now
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", nil, errors.Join(fmt.Errorf("build: %w\n%s", err, out), os.RemoveAll(dir))
	}
	return Program(path), func() error { return os.RemoveAll(dir) }, nil
}

// Main is for TestMain: it builds the program before the tests run, and removes it
// when they are over. TestMain returns after it.
func Main(m *testing.M, p *Program) {
	built, remove, err := Build()
	if err == nil {
		*p = built
		m.Run()
		err = remove()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Command returns a command that runs the program in a folder, which is its home
// too. Nothing of the test's own environment is in its way.
func (p Program) Command(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(string(p), args...) //nolint:gosec // what the test says
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir}
	return cmd
}

// Run runs the program in a folder until it ends by itself, and returns what it
// printed on standard output.
func (p Program) Run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := p.Command(dir, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("wavegate %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}

// Serve runs the program in a folder until the end of the test, with the arguments
// for a port that is free. It is for gates that have to know their address before
// they listen; others listen on port 0, with Begin.
func (p Program) Serve(t *testing.T, dir string, args func(port string) []string) *Process {
	t.Helper()
	for range 3 { // somebody else may be quicker to take the port
		line := args(FreePort(t))
		running, err := Begin(t, p.Command(dir, line...))
		if err == nil {
			return running
		}
		t.Logf("wavegate %s: %v", strings.Join(line, " "), err)
	}
	t.Fatal("wavegate does not start")
	return nil
}

// FreePort returns a loopback port that nobody listens on. It is one below those
// that the kernel gives to whoever asks for port 0.
func FreePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10000 + rand.IntN(22000)) //nolint:gosec // to be free, not to be secret
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
