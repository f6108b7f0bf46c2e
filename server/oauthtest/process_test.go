package oauthtest

import (
	"bytes"
	"errors"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long something may take that must happen.
const patience = time.Minute

// A process is a program that runs beside the test.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	log   output        // what it wrote
}

// start runs a program until the end of the test, and waits until it can be used.
// What it wrote is shown if the test failed.
func start(t *testing.T, cmd *exec.Cmd, ready func(*process) bool) {
	t.Helper()
	p := begin(t, cmd)
	t.Cleanup(func() { p.stop(t) })
	if err := p.wait(ready); err != nil {
		t.Fatalf("%s: %v", cmd.Path, err)
	}
}

func begin(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &p.log, &p.log, time.Second // for what is left of its children
	must(t, cmd.Start())
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	return p
}

// wait waits until ready says so. The error is that the process has ended, or that
// it takes too long.
func (p *process) wait(ready func(*process) bool) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if ready(p) {
			return nil
		}
		select {
		case <-p.ended:
			return errors.New("it ended at once")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("it cannot be used")
}

// answers reports whether something listens at an address.
func answers(network, address string) bool {
	conn, err := net.Dial(network, address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// stop ends the process and returns its exit code.
func (p *process) stop(t *testing.T) (code int) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Errorf("%s does not stop", p.cmd.Path)
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	if t.Failed() {
		t.Logf("%s wrote:\n%s", p.cmd.Path, &p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

// An output is written by a process and read by its test.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
