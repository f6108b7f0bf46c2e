//go:build linux

package proxytest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A program is a proxy to be started: an executable of a Debian package.
type program struct {
	binary, pkg string
	args, env   []string
	dir         string // working directory
}

// path finds the executable, in the folders of administrators too. Where there
// is none the test is skipped, and in continuous integration it fails.
func (p program) path(t *testing.T) string {
	t.Helper()
	for _, name := range []string{p.binary, "/usr/sbin/" + p.binary, "/usr/local/sbin/" + p.binary} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing; get it with: apt-get install %s", p.binary, p.pkg)
	}
	t.Skipf("%s is missing; get it with: apt-get install %s", p.binary, p.pkg)
	return ""
}

// A process is a running program.
type process struct {
	cmd    *exec.Cmd
	output *lockedBuffer
	done   chan struct{} // closed when it has ended; then err is set
	err    error
}

// start starts the program in the foreground and waits until addr takes
// connections. It is stopped at the end of the test, and dies with it.
func (p program) start(t *testing.T, addr string) {
	t.Helper()
	cmd := exec.Command(p.path(t), p.args...)
	cmd.Env, cmd.Dir = append(os.Environ(), p.env...), p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	run := &process{cmd: cmd, output: &lockedBuffer{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = run.output, run.output
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the thread that made the process
		// ends: this one lives as long as the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			run.err = cmd.Wait()
		}
		close(run.done)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.stop(t) })
	run.await(t, addr)
}

// await waits until the process listens.
func (r *process) await(t *testing.T, addr string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-r.done:
			t.Fatalf("%s ended at once: %v\n%s", r.cmd.Path, r.err, r.output)
		case <-deadline:
			t.Fatalf("%s does not listen at %s\n%s", r.cmd.Path, addr, r.output)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends the process and shows what it wrote if the test failed.
func (r *process) stop(t *testing.T) {
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("stop %s: %v", r.cmd.Path, err)
	}
	select {
	case <-r.done:
	case <-time.After(10 * time.Second):
		t.Errorf("%s does not stop", r.cmd.Path)
		r.cmd.Process.Kill()
		<-r.done
	}
	if text := r.output.String(); t.Failed() && text != "" {
		t.Logf("%s wrote:\n%s", r.cmd.Path, tail(text, 40))
	}
}

// tail returns the last lines of a text.
func tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}
