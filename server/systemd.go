package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// firstActivatedFD is the first descriptor that systemd passes on
// (sd_listen_fds(3)).
const firstActivatedFD = 3

// activatedListeners returns the sockets that systemd opened for this process,
// by the names of their FileDescriptorName= settings; an unnamed one is "http".
// It returns nothing when the process was not started by socket activation.
func activatedListeners(getenv func(string) string) (map[string]net.Listener, error) {
	if pid, err := strconv.Atoi(getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 1 || n > 16 {
		return nil, fmt.Errorf("socket activation: LISTEN_FDS=%q is not a number from 1 to 16", getenv("LISTEN_FDS"))
	}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	listeners := make(map[string]net.Listener, n)
	for i := range n {
		name := "http"
		if i < len(names) && (names[i] == "metrics" || names[i] == "redirect") {
			name = names[i]
		}
		if listeners[name] != nil {
			return nil, fmt.Errorf("socket activation: more than one socket for %q: name them http, redirect and metrics with FileDescriptorName=", name)
		}
		ln, err := listenerFromFD(firstActivatedFD+i, name)
		if err != nil {
			return nil, err
		}
		listeners[name] = ln
	}
	return listeners, nil
}

func listenerFromFD(fd int, name string) (net.Listener, error) {
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("socket activation: descriptor %d is not a listening stream socket: %w", fd, err)
	}
	return ln, nil
}

// A notifier tells the service manager about the server's state
// (sd_notify(3)). The zero value tells nobody.
type notifier struct{ socket string }

func (n notifier) send(state string) error {
	if n.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}

// reloading is what Type=notify-reload units wait for: RELOADING=1 with the
// monotonic clock, later READY=1.
func (n notifier) reloading() error {
	if n.socket == "" {
		return nil
	}
	return n.send("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(monotonicMicroseconds(), 10))
}

// watchdog sends WATCHDOG=1 at half the interval that the unit asks for, until
// ctx ends. It returns at once where there is no watchdog.
func (n notifier) watchdog(ctx context.Context, getenv func(string) string, log *slog.Logger) {
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if n.socket == "" || err != nil || usec <= 0 {
		return
	}
	tick := time.NewTicker(time.Duration(usec) * time.Microsecond / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := n.send("WATCHDOG=1"); err != nil {
				log.Warn("watchdog", "error", err)
			}
		}
	}
}
