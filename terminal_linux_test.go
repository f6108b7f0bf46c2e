package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wavegate/keychain"
)

// A terminal is a pseudo terminal with the program behind it, in a folder of
// its own.
type terminal struct {
	t      *testing.T
	master *os.File // what a person sees and types
	tty    *os.File // what the program has; kept open to look at its settings
	cmd    *exec.Cmd
	dir    string
	shown  chan struct{} // closed when everything was read

	mu     sync.Mutex // guards screen
	screen strings.Builder
}

// startInTerminal starts the program with a pseudo terminal for standard input,
// output and errors.
func startInTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	program, err := exec.LookPath("wavegate") // testscript put it on the path
	if err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, dir: t.TempDir(), shown: make(chan struct{})}
	p.master, p.tty = openPTY(t)
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir, p.cmd.Env = p.dir, []string{"HOME=" + p.dir}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = p.tty, p.tty, p.tty
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.watch()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // where it has not ended by itself
		_ = p.cmd.Wait()
		p.tty.Close()
		<-p.shown
		p.master.Close()
	})
	return p
}

// openPTY leaves the master to Go's poller, so that closing it ends a read.
func openPTY(t *testing.T) (master, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	var unlockErr, numberErr error
	err = conn.Control(func(fd uintptr) {
		unlockErr = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		number, numberErr = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
	})
	if err := errors.Join(err, unlockErr, numberErr); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, tty
}

// watch gathers what the terminal shows, until nobody has it open any more.
func (p *terminal) watch() {
	defer close(p.shown)
	buf := make([]byte, 1024)
	for {
		n, err := p.master.Read(buf)
		p.mu.Lock()
		p.screen.Write(buf[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *terminal) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

// echoes reports whether the terminal shows what is typed.
func (p *terminal) echoes() bool {
	settings, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return settings.Lflag&unix.ECHO != 0
}

// await waits until the terminal shows the text and what is typed is hidden,
// and only then types.
func (p *terminal) await(text, typed string) {
	p.t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(p.text(), text) || p.echoes() {
		select {
		case <-tick.C:
		case <-deadline:
			p.t.Fatalf("the terminal never asked %q without echo:\n%s", text, p.text())
		}
	}
	if _, err := p.master.WriteString(typed); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns the exit code once the program has ended.
func (p *terminal) wait() int {
	p.t.Helper()
	err := p.cmd.Wait()
	if p.cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// check looks at how it ended: the exit code, a text, the terminal as it was,
// no password shown, and the users of the file.
func (p *terminal) check(code int, text string, users ...string) {
	p.t.Helper()
	if got := p.wait(); got != code || !p.shows(text) {
		p.t.Errorf("exit code %d, want %d and %q:\n%s", got, code, text, p.text())
	}
	if !p.echoes() {
		p.t.Error("the terminal is left without echo")
	}
	if strings.Contains(p.text(), "horse") {
		p.t.Errorf("the terminal shows the password:\n%s", p.text())
	}
	names, _ := keychain.Users(filepath.Join(p.dir, ".wave-users")).List()
	if strings.Join(names, " ") != strings.Join(users, " ") {
		p.t.Errorf("the users are %q, want %q", names, users)
	}
}

// shows waits until the terminal shows the text. The program has ended, so that
// what it wrote is on its way.
func (p *terminal) shows(text string) bool {
	deadline, tick := time.After(5*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(p.text(), text) {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

func TestPasswordTypedTwiceIsNotShown(t *testing.T) {
	p := startInTerminal(t, "--create-user", "jane")
	p.await("Password for jane: ", "correct horse\r")
	p.await("The same again: ", "correct horse\r")
	p.check(exitOK, "Added the user jane to the users file .wave-users.", "jane")
	users, err := keychain.Open(keychain.Config{Kind: keychain.LocalUsers, Path: filepath.Join(p.dir, ".wave-users")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := users.Verify(t.Context(), "jane", "correct horse", nil); err != nil {
		t.Errorf("the password that was typed: %v", err)
	}
}

func TestPasswordTypedWronglyAddsNobody(t *testing.T) {
	p := startInTerminal(t, "--create-user", "jane")
	p.await("Password for jane: ", "correct horse\r")
	p.await("The same again: ", "correct hoarse\r")
	p.check(exitFail, "the two passwords are not the same: nothing was changed")

	p = startInTerminal(t, "--create-user", "jane")
	p.await("Password for jane: ", "horse\r")
	p.check(exitFail, "the password has fewer than 8 characters: nothing was changed")

	p = startInTerminal(t, "--create-user", "jane")
	p.await("Password for jane: ", "\x04") // the end of the input
	p.check(exitFail, "interrupted: nothing was changed")

	p = startInTerminal(t, "--create-user", "jane")
	p.await("Password for jane: ", "correct horse\x1b[D")
	p.check(exitFail, "a key was pressed that is no letter: nothing was changed")
}

func TestTypingErrorsAreMended(t *testing.T) {
	p := startInTerminal(t, "--create-user", "jane")
	p.await("Password for jane: ", "forget this\x15\x7fcorrect hö\x7forsy\be\r")
	p.await("The same again: ", "correct horse\r")
	p.check(exitOK, "Added the user jane", "jane")
}

// TestClosedTerminalEndsTheQuestion closes the window while the program asks.
func TestClosedTerminalEndsTheQuestion(t *testing.T) {
	p := startInTerminal(t, "--create-user", "jane")
	p.await("Password for jane: ", "correct ho")
	p.master.Close()
	if code := p.wait(); code != exitFail {
		t.Errorf("exit code %d, want %d", code, exitFail)
	}
}

func TestTerminatedProgramLeavesTheTerminalAsItWas(t *testing.T) {
	p := startInTerminal(t, "--create-user", "jane")
	p.await("Password for jane: ", "correct ho")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.check(exitFail, "interrupted: nothing was changed")
}

func TestCtrlCAtThePasswordLeavesTheTerminalAsItWas(t *testing.T) {
	p := startInTerminal(t, "--create-user", "jane")
	p.await("Password for jane: ", "correct ho\x03")
	p.check(exitFail, "interrupted: nothing was changed")

	p = startInTerminal(t, "--create-user", "jane")
	p.await("Password for jane: ", "correct horse\r")
	p.await("The same again: ", "\x03")
	p.check(exitFail, "interrupted: nothing was changed")
}
