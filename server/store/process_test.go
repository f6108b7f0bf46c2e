package store

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

// A child is another process of the test binary that plays a role.
type child struct {
	cmd   *exec.Cmd
	out   *bufio.Scanner
	input io.WriteCloser
	ended sync.Once
}

func startChild(t testing.TB, role, url string) *child {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	c := &child{cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), "STORE_TEST_ROLE="+role, "STORE_TEST_URL="+url)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	must(t, err)
	c.input, err = c.cmd.StdinPipe()
	must(t, err)
	must(t, c.cmd.Start())
	t.Cleanup(c.kill)
	c.out = bufio.NewScanner(out)
	return c
}

// kill ends it as kill -9 does.
func (c *child) kill() {
	c.ended.Do(func() {
		_ = c.cmd.Process.Kill()
		_, _ = c.cmd.Process.Wait() // what it wrote can still be read
	})
}

// line returns the next line that it wrote.
func (c *child) line(t testing.TB) string {
	t.Helper()
	if !c.out.Scan() {
		t.Fatalf("the other process wrote nothing more: %v", c.out.Err())
	}
	return c.out.Text()
}

// playRole is the main of a child.
func playRole(role, url string) {
	s, err := Open(context.Background(), Config{URL: url, Poll: 5 * time.Millisecond, Chain: testChain()})
	if err == nil {
		switch role {
		case "work":
			err = work(s)
		case "end":
			err = endByName(s)
		case "follow":
			reportChanges(s)
		case "claim":
			err = claimForever(s)
		case "keys":
			err = workKeys(s)
		case "look":
			err = look(s)
		case "rotate":
			err = rotateForever(s)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// work signs in, renews and ends sessions until it is killed, and writes a line
// for each that the store acknowledged.
func work(s *Store) error {
	ctx := context.Background()
	for i := 0; ; i++ {
		r := newRecord("user "+rand.Text(), start)
		if _, err := s.SignIn(ctx, r, r.Hash, start); err != nil {
			return err
		}
		fmt.Printf("signed-in %x\n", r.Hash)
		switch i % 3 {
		case 0:
			if err := s.Renew(ctx, r); err != nil {
				return err
			}
			fmt.Printf("renewed %x\n", r.Hash)
		case 1:
			if _, err := s.End(ctx, session.Filter{ID: r.ID}); err != nil {
				return err
			}
			fmt.Printf("ended %x\n", r.Hash)
		}
	}
}

// endByName ends the sessions whose IDs come in.
func endByName(s *Store) error {
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		n, err := s.End(context.Background(), session.Filter{ID: in.Text()})
		if err != nil {
			return err
		}
		fmt.Println("ended", n)
	}
	return s.Close()
}

// reportChanges writes what it hears of, until its input ends.
func reportChanges(s *Store) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	first := true
	s.Follow(ctx, Follower{
		Apply: func(changes []session.Change) {
			for _, c := range changes {
				fmt.Println(c.Kind, c.Key)
			}
		},
		Alive: func(time.Time) {
			if first {
				fmt.Println("ready")
			}
			first = false
		},
	})
}

// TestTwoProcesses has another process end sessions that this one follows, and
// follow sessions that this one ends.
func TestTwoProcesses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, Config{URL: url, Poll: 5 * time.Millisecond})
		l, _ := follow(t, s)
		l.lived(t)
		ender, follower := startChild(t, "end", url), startChild(t, "follow", url)
		wantSame(t, "ender", ender.line(t), "ready")
		wantSame(t, "follower", follower.line(t), "ready")
		for range 5 {
			r := signIn(t, s, newRecord("ann", start))
			fmt.Fprintln(ender.input, r.ID)
			wantSame(t, "answer", ender.line(t), "ended 1")
			l.until(t, "heard of it here", func() bool { return l.heard(ofSession(r)) == 1 })
			wantSame(t, "heard of it there", follower.line(t), session.ChangedSession+" "+ofSession(r).Key)
		}
	})
}

// TestKillLosesNothingAcknowledged kills a process at random moments: all that
// it had reported is in the store, and nothing is half done.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, Config{URL: url})
		acts := map[string]int{}
		for round := range 20 {
			c := startChild(t, "work", url)
			last := map[string]string{} // by session, what was acknowledged last
			for range 1 + round*3 {
				act, hash, _ := strings.Cut(c.line(t), " ")
				last[hash] = act
				acts[act]++
			}
			time.AfterFunc(time.Duration(round*137%1000)*10*time.Microsecond, c.kill) // somewhere within a transaction
			for c.out.Scan() {
				act, hash, whole := strings.Cut(c.out.Text(), " ")
				if whole && len(hash) == 64 {
					last[hash] = act
					acts[act]++
				}
			}
			for hash, act := range last {
				checkSurvivor(t, s, hash, act)
			}
		}
		if acts["signed-in"] < 20 || acts["renewed"] < 20 || acts["ended"] < 20 {
			t.Errorf("too little was done to be killed: %v", acts)
		}
		if users, attempts := count(t, s, "users"), count(t, s, "login_attempts"); users != attempts {
			t.Errorf("%d users and %d attempts: a sign-in was half done", users, attempts)
		}
		lost := count(t, s, "changes") - count(t, s, "sessions WHERE version = 2") - (count(t, s, "users") - count(t, s, "sessions"))
		if lost != 0 {
			t.Errorf("changes and what was changed differ by %d", lost)
		}
	})
}

// checkSurvivor compares the store with the last act on a session that was
// acknowledged. The act after it may have happened too, without a word.
func checkSurvivor(t *testing.T, s *Store, hash, act string) {
	t.Helper()
	raw, err := hex.DecodeString(hash)
	must(t, err)
	h, err := parseHash(raw)
	must(t, err)
	r, err := s.Session(t.Context(), h)
	switch {
	case act == "ended" && err != session.ErrNoSession:
		t.Errorf("%s was ended: %v", hash, err)
	case act == "renewed" && (err != nil || r.Version != 2):
		t.Errorf("%s was renewed: version %d, %v", hash, r.Version, err)
	case act == "signed-in" && err != nil && count(t, s, "changes WHERE key = ?", hash) != 1:
		t.Errorf("%s was signed in, and nobody ended it: %v", hash, err)
	}
}
