package store

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"wavegate/server/session"
	"wavegate/server/store/storetest"
)

// A cable carries connections to PostgreSQL, and can be cut or hang.
type cable struct {
	net.Listener
	socket string
	hangs  atomic.Bool // what is carried is held back
	mu     sync.Mutex  // guards conns
	conns  []net.Conn
	all    sync.WaitGroup
}

// lay lays a cable to a database and returns its address at the near end.
func lay(t testing.TB, database string) (*cable, string) {
	t.Helper()
	u, err := url.Parse(database)
	must(t, err)
	near, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cable{Listener: near, socket: filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432")}
	c.all.Go(c.accept)
	t.Cleanup(func() {
		c.Close()
		c.hangs.Store(false)
		c.cut()
		c.all.Wait()
	})
	u.Host, u.RawQuery = near.Addr().String(), "sslmode=disable"
	return c, u.String()
}

func (c *cable) accept() {
	for {
		in, err := c.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("unix", c.socket)
		if err != nil {
			in.Close()
			continue
		}
		c.mu.Lock()
		c.conns = append(c.conns, in, out)
		c.mu.Unlock()
		c.all.Go(func() { c.carry(in, out) })
		c.all.Go(func() { c.carry(out, in) })
	}
}

func (c *cable) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		for c.hangs.Load() {
			if !wait(context.Background(), time.Millisecond) {
				return
			}
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// cut ends all connections that there are.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

// TestHangingDatabaseHangsNobody: a call has an end of its own, and the caller's
// is kept.
func TestHangingDatabaseHangsNobody(t *testing.T) {
	c, address := lay(t, storetest.Postgres(t))
	s := open(t, Config{URL: address})
	r := signIn(t, s, newRecord("ann", start))
	c.hangs.Store(true)
	began := time.Now()
	var all sync.WaitGroup
	all.Go(func() {
		_, err := s.Session(context.Background(), r.Hash)
		if !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Session: %v", err)
		}
	})
	all.Go(func() {
		if _, err := s.End(context.Background(), session.Filter{ID: r.ID}); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("End: %v", err)
		}
	})
	all.Wait()
	if took := time.Since(began); took > callTime+5*time.Second {
		t.Errorf("took %v, want about %v", took, callTime)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.Session(ctx, r.Hash)
	wantErr(t, "the caller's deadline", err, session.ErrUnavailable)
	c.hangs.Store(false)
	until(t, "the store works again", func() bool {
		_, err := s.Session(t.Context(), newHash())
		return err == session.ErrNoSession
	})
}

// TestFollowSurvivesCuts cuts all connections, the listening one too: what
// happened meanwhile is heard of, and NOTIFY works again.
func TestFollowSurvivesCuts(t *testing.T) {
	database := storetest.Postgres(t)
	c, address := lay(t, database)
	a := open(t, Config{URL: database})
	b := open(t, Config{URL: address, Poll: 20 * time.Millisecond})
	l, _ := follow(t, b)
	l.lived(t)
	for range 3 {
		r := signIn(t, a, newRecord("ann", start))
		c.cut()
		_, err := a.End(t.Context(), session.Filter{ID: r.ID})
		must(t, err)
		l.until(t, "heard of it", func() bool { return l.heard(ofSession(r)) == 1 })
		l.lived(t)
	}
	if l.losts != 0 {
		t.Errorf("Lost was called %d times", l.losts)
	}
}

// TestRepeat has a statement end in a serialization failure some times.
func TestRepeat(t *testing.T) {
	conflict := &pgconn.PgError{Code: "40001"}
	for _, tt := range []struct {
		name  string
		fails int
		err   error
		runs  int
		want  error
	}{
		{"none", 0, conflict, 1, nil},
		{"some", 3, conflict, 4, nil},
		{"deadlock", 1, &pgconn.PgError{Code: "40P01"}, 2, nil},
		{"for ever", 99, conflict, retries + 1, conflict},
		{"another error", 1, sql.ErrConnDone, 1, sql.ErrConnDone},
	} {
		runs := 0
		err := repeat(t.Context(), func() error {
			if runs++; runs <= tt.fails {
				return tt.err
			}
			return nil
		})
		if err != tt.want || runs != tt.runs {
			t.Errorf("%s: %d runs, error %v, want %d and %v", tt.name, runs, err, tt.runs, tt.want)
		}
	}
}

// TestSerializableDatabase runs against PostgreSQL as CockroachDB behaves: every
// transaction serializable, no NOTIFY. Conflicts are then usual.
func TestSerializableDatabase(t *testing.T) {
	database := storetest.Postgres(t)
	admin := open(t, Config{URL: database})
	name := database[strings.LastIndex(database, "/")+1 : strings.Index(database, "?")]
	run(t, admin, "ALTER DATABASE "+name+" SET default_transaction_isolation = 'serializable'")
	cfg := Config{URL: database, NoNotify: true, Poll: 5 * time.Millisecond}
	s := open(t, cfg)
	var level string
	must(t, s.reads.QueryRow("SHOW transaction_isolation").Scan(&level))
	wantSame(t, "isolation", level, "serializable")
	l, _ := follow(t, open(t, cfg))
	l.lived(t)
	r := signIn(t, s, newRecord("ann", start))
	var won atomic.Int32
	together(6, func(int) {
		if _, err := s.SignIn(t.Context(), newRecord("ann", start), session.Hash{1}, start); err == nil {
			won.Add(1)
		} else if err != session.ErrAttemptUsed {
			t.Error(err)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d won, want 1", won.Load())
	}
	_, err := s.End(t.Context(), session.Filter{UserID: r.UserID})
	must(t, err)
	l.until(t, "heard of it", func() bool { return l.heard(ofSession(r)) == 1 })
}

// TestFullDiskIsUnavailable lets the file grow no further.
func TestFullDiskIsUnavailable(t *testing.T) {
	s := open(t, Config{URL: storetest.SQLite(t)})
	kept := signIn(t, s, newRecord("ann", start))
	_, err := s.writes.Exec("PRAGMA max_page_count = 1") // no less than there are
	must(t, err)
	for range 100 {
		if _, err = s.SignIn(t.Context(), newRecord("bob", start), session.Hash{}, start); err != nil {
			break
		}
	}
	wantErr(t, "sign in", err, session.ErrUnavailable)
	wantSame(t, "what was there", there(t, s, kept), []bool{true})
	_, err = s.writes.Exec("PRAGMA max_page_count = 1000000")
	must(t, err)
	signIn(t, s, newRecord("bob", start))
}

// TestNoTokenOrCookieInErrors: what is stored never comes back in an error.
func TestNoTokenOrCookieInErrors(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := newRecord("ann", start)
		r.Sealed, r.Username, r.Email = []byte(canary), canary, canary+"@example.com"
		signIn(t, s, r)
		_, err := s.SignIn(t.Context(), r, session.Hash{}, start) // the same session again
		wantErr(t, "sign in", err, session.ErrUnavailable)
		if text := err.Error(); strings.Contains(text, canary) || strings.Contains(text, r.ID) || !strings.Contains(text, "sign in") {
			t.Errorf("error %q", text)
		}
	})
}
