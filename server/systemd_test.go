package server

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// unixgram is a notification socket as the service manager opens it.
func unixgram(t *testing.T) (*net.UnixConn, string) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, path
}

func receive(t *testing.T, conn *net.UnixConn) string {
	buf := make([]byte, 256)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestNotify(t *testing.T) {
	conn, path := unixgram(t)
	n := notifier{path}
	if err := n.send("READY=1"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, conn); got != "READY=1" {
		t.Errorf("got %q", got)
	}
	if err := n.reloading(); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, conn); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") || strings.HasSuffix(got, "=0") {
		t.Errorf("got %q", got)
	}
	if err := (notifier{}).send("READY=1"); err != nil {
		t.Errorf("without a manager: %v", err)
	}
}

func TestWatchdog(t *testing.T) {
	conn, path := unixgram(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		env := map[string]string{"WATCHDOG_USEC": "20000"}
		notifier{path}.watchdog(ctx, func(k string) string { return env[k] }, slog.New(slog.DiscardHandler))
	}()
	if got := receive(t, conn); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
	cancel()
	<-done
}

func TestActivationIsForThisProcessAlone(t *testing.T) {
	env := map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "1"}
	got, err := activatedListeners(func(k string) string { return env[k] })
	if got != nil || err != nil {
		t.Errorf("took sockets meant for another process: %v, %v", got, err)
	}
	env = map[string]string{"LISTEN_PID": strconv.Itoa(os.Getpid()), "LISTEN_FDS": "many"}
	if _, err := activatedListeners(func(k string) string { return env[k] }); err == nil {
		t.Error("a bad LISTEN_FDS was accepted")
	}
}
