package session_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/server/session"
)

// crowd signs many people in, so that the memory must let others go.
func crowd(t testing.TB, m *session.Manager, n int) (cookies []string) {
	t.Helper()
	for i := range n {
		c, _, err := m.SignIn(context.Background(), person(fmt.Sprint("p", i)))
		must(t, err)
		cookies = append(cookies, c)
	}
	return cookies
}

func small(c *session.Config) { c.CacheBytes = 64 << 10 } // some 35 sessions

// socketOf signs somebody in and keeps of the session only what a socket keeps.
func socketOf(t *testing.T, m *session.Manager, name string) (cookie string, ended context.Context) {
	t.Helper()
	cookie, s := signIn(t, m, person(name))
	return cookie, s.Ended()
}

func TestEndReachesASocketWhoseSessionWasLetGo(t *testing.T) {
	f := newFaulty()
	m := newManager(t, f, small)
	cookie, ended := socketOf(t, m, "ann")
	stays, staysEnded := socketOf(t, m, "bob")
	crowd(t, m, 500)
	for range 3 {
		runtime.GC()
	}
	before := f.called("Session")
	s, err := m.Peek(t.Context(), cookie)
	must(t, err)
	if s.Ended() != ended || f.called("Session") != before {
		t.Error("there are two of one session")
	}
	crowd(t, m, 500)
	s = nil
	runtime.GC()
	_, err = m.End(t.Context(), session.Filter{Issuer: "https://idp.example.com", Subject: "sub-ann"})
	must(t, err)
	if !isEnded(ended) {
		t.Error("the session ended and its socket was not told")
	}
	if isEnded(staysEnded) {
		t.Error("a session that was only let go has ended")
	}
	_, err = m.Get(t.Context(), stays)
	must(t, err)
}

// TestTimeReachesASocketWhoseSessionWasLetGo is the same for idle time.
func TestTimeReachesASocketWhoseSessionWasLetGo(t *testing.T) {
	var mu sync.Mutex // guards ahead
	var ahead time.Duration
	m := newManager(t, newFaulty(), func(c *session.Config) {
		small(c)
		c.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(ahead)
		}
	})
	_, ended := socketOf(t, m, "ann")
	crowd(t, m, 500)
	runtime.GC()
	run(t, m)
	mu.Lock()
	ahead = 31 * time.Minute
	mu.Unlock()
	eventually(t, "the socket is told", func() bool { return isEnded(ended) })
}

// TestForgottenSocketIsClosed keeps the bare channel, with which nobody could
// find the session any more.
func TestForgottenSocketIsClosed(t *testing.T) {
	m := newManager(t, newFaulty(), small)
	_, ended := socketOf(t, m, "ann")
	done := ended.Done()
	ended = nil
	crowd(t, m, 500)
	collect(t, "the socket is closed", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	const most = 4 << 20
	m := newManager(t, newFaulty(), func(c *session.Config) { c.CacheBytes = most })
	before := heap()
	var cookies []string
	for i := range 400 {
		l := person(fmt.Sprint("p", i))
		l.Tokens.Access = strings.Repeat("t", 64<<10)
		c, _, err := m.SignIn(t.Context(), l)
		must(t, err)
		cookies = append(cookies, c)
	}
	_ = cookies
	stored := int64(400 * (64 << 10)) // the store in memory shares them; another one is asked below
	if grown := heap() - before; grown > stored+2*most {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if n, bytes := m.Remembered(); bytes > most || n < 30 || n > 64 {
		t.Errorf("%d sessions of %d bytes are remembered, want at most %d bytes", n, bytes, most)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

func TestUsedSessionsAreRememberedLongest(t *testing.T) {
	f := newFaulty()
	m := newManager(t, f, small)
	cookie, s := signIn(t, m, person("ann"))
	id := s.Record().ID
	s = nil
	for range 300 {
		crowd(t, m, 1)
		_, err := m.Get(t.Context(), cookie)
		must(t, err)
	}
	if n := f.called("Session"); n != 0 {
		t.Errorf("%s was looked up %d times, although it was used all the time", id, n)
	}
}

func TestLastUseOfASessionThatWasLetGoIsWritten(t *testing.T) {
	f := newFaulty()
	m := newManager(t, f, small)
	stop := run(t, m)
	cookie, s := signIn(t, m, person("ann"))
	f.edit(hashOf(cookie), func(r *session.Record) { r.SeenAt = r.SeenAt.Add(-time.Minute) })
	signedIn := s.Record().CreatedAt
	s = nil
	eventually(t, "a use that is worth noting", func() bool {
		_, err := m.Get(t.Context(), cookie)
		must(t, err)
		return time.Since(signedIn) > 1100*time.Millisecond
	})
	crowd(t, m, 500)
	runtime.GC()
	must(t, stop())
	if r, _ := f.record(hashOf(cookie)); !r.SeenAt.After(signedIn) {
		t.Error("the last use went with the session that was let go")
	}
}
