package server

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A deadlineConn keeps the write deadline that was set last.
type deadlineConn struct {
	net.Conn
	deadline time.Time
	set      int
}

func (c *deadlineConn) Write(p []byte) (int, error) { return len(p), nil }

func (c *deadlineConn) SetWriteDeadline(t time.Time) error {
	c.deadline, c.set = t, c.set+1
	return nil
}

// Whatever is written, also by net/http itself after a long idle time, finds a
// deadline that leaves the client stallTimeout; and few of them are set.
func TestEveryWriteHasItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := &deadlineConn{}
		c := newStrictConn(raw)
		for _, idle := range []time.Duration{0, 0, time.Second, deadlineSlack, 2 * time.Minute, 0, time.Hour} {
			time.Sleep(idle)
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := c.SetWriteDeadline(time.Time{}); err != nil { // as net/http does after an answer
				t.Fatal(err)
			}
			if left := time.Until(raw.deadline); left < stallTimeout || left > stallTimeout+deadlineSlack {
				t.Errorf("after %v idle a write has %v, want %v at least", idle, left, stallTimeout)
			}
		}
		if raw.set != 4 {
			t.Errorf("%d deadlines were set, want 4", raw.set)
		}
		c.relax()
		time.Sleep(time.Hour)
		if _, err := c.Write([]byte("x")); err != nil || raw.set != 4 {
			t.Errorf("a hijacked connection had its deadline set (%v)", err)
		}
	})
}
