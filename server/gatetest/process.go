package gatetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long something may take that must happen.
const patience = time.Minute

// A Process is a running wavegate.
type Process struct {
	Addr string // where it listens
	Log  *Log   // what it wrote on standard error

	cmd   *exec.Cmd
	ended chan struct{} // closed when it has, and its log is whole
	end   sync.Once
}

// Begin starts a command of the program and waits until it listens. It is stopped
// at the end of the test at the latest. The error says that it ended, or that it
// takes too long, with what it wrote.
func Begin(t *testing.T, cmd *exec.Cmd) (*Process, error) {
	t.Helper()
	p := &Process{Log: &Log{address: make(chan string, 1)}, cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = p.Log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	select {
	case p.Addr = <-p.Log.address:
		t.Cleanup(func() { p.Stop(t) })
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("it ended with %v:\n%s", cmd.ProcessState, p.Log)
	case <-time.After(patience):
		p.Kill()
		return nil, fmt.Errorf("it does not listen:\n%s", p.Log)
	}
}

// Stop ends the process as a service manager does, and fails the test if that is no
// clean end. Where the test failed, it shows what the process wrote. It does nothing
// for a process that is ended already.
func (p *Process) Stop(t *testing.T) {
	t.Helper()
	p.end.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(patience):
			t.Error("wavegate does not stop")
			p.kill()
		}
		switch code := p.cmd.ProcessState.ExitCode(); {
		case code != 0:
			t.Errorf("wavegate ended with %v; it wrote:\n%s", p.cmd.ProcessState, p.Log)
		case t.Failed():
			t.Logf("wavegate wrote at the end:\n%s", p.Log.end())
		}
	})
}

// Kill ends the process as kill -9 does.
func (p *Process) Kill() { p.end.Do(p.kill) }

func (p *Process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// A Log is what a process writes on standard error.
type Log struct {
	address chan string // gets the address when the process listens
	mu      sync.Mutex  // guards the rest
	text    bytes.Buffer
	found   bool
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
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

// end is the last of it: what it is full of are requests.
func (l *Log) end() string {
	const most = 30 // lines
	lines := strings.SplitAfter(l.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "")
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
