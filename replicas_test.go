package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"wavegate/oidc/oidctest"
	"wavegate/server/store/storetest"
)

// TestReplicas has several processes share one database and one secret file.
func TestReplicas(t *testing.T) {
	t.Run("what is signed in at one is signed in at the other", testReplicasShare)
	t.Run("what ends at one ends at the other", testReplicasEnd)
	t.Run("within 100 ms by NOTIFY", func(t *testing.T) {
		s, a, b := pair(t, storetest.Postgres(t))
		untilListening(t, s.store, 2)
		median, most := afterlife(t, a, b, 30)
		if median >= 100*time.Millisecond || most >= time.Second {
			t.Errorf("a session lives on for %v (median) and at most %v, want less than 100 ms and 1 s", median, most)
		}
	})
	t.Run("within the poll without NOTIFY", testReplicasWithoutNotify)
	t.Run("within the poll on one SQLite file", func(t *testing.T) {
		_, a, b := pair(t, storetest.SQLite(t))
		wantWithinPoll(t, a, b)
	})
	t.Run("spend one refresh token", testReplicasRenew)
}

// pair starts two processes of one site.
func pair(t *testing.T, store string) (s *site, a, b *gate) {
	t.Helper()
	s = newSite(t, store)
	return s, s.start("-data-dir", t.TempDir()), s.start("-data-dir", t.TempDir())
}

func testReplicasShare(t *testing.T) {
	_, a, b := pair(t, storetest.Postgres(t))
	ann, dora, erin := newPerson(t), newPerson(t), newPerson(t)
	ann.signIn(a, "ann")
	ann.isIn("ann", a, b)
	dora.signInAtProvider(a, a)
	dora.isIn("dora", a, b)
	erin.signInAtProvider(a, b) // a load balancer knows nothing of logins
	erin.isIn("dora", b, a)
	erin.signIn(b, "ann") // and now somebody else
	erin.isIn("ann", b, a)
	if again := newPerson(t); again.passes(a) || again.passes(b) {
		t.Error("somebody without a session passes")
	}
}

// testReplicasEnd ends sessions at a in every way; b lets their owners in no
// more, and closes their sockets.
func testReplicasEnd(t *testing.T) {
	s, a, b := pair(t, storetest.Postgres(t))
	s.idp.AddClient(oidctest.Client{
		ID: "wavegate", Secret: "client-secret", RedirectURLs: []string{"http://gate.test/_auth/callback"},
		BackchannelURI: "http://" + a.Addr + "/_auth/backchannel-logout",
	})
	untilListening(t, s.store, 2)
	for _, tt := range []struct {
		name string
		user string // local; "" signs in at the provider
		end  func(t *testing.T, p *person)
	}{
		{"logout", "ann", func(_ *testing.T, p *person) {
			p.send(a, http.StatusSeeOther, "POST", "/_auth/logout", url.Values{})
		}},
		{"logout with a provider", "", func(_ *testing.T, p *person) {
			p.send(a, http.StatusSeeOther, "POST", "/_auth/logout", url.Values{})
		}},
		{"the owner from another browser", "ann", func(t *testing.T, p *person) {
			other := newPerson(t)
			other.signIn(a, "ann")
			id, _ := p.session(a)
			other.send(a, http.StatusSeeOther, "POST", "/_portal/sessions", url.Values{"id": {id}})
			other.isIn("ann", a, b)
		}},
		{"an administrator", "bob", func(_ *testing.T, p *person) {
			id, _ := p.session(a)
			byAdministrator(a, "DELETE", "/v1/auth/sessions/"+id, "")
		}},
		{"a disabled user", "bob", func(t *testing.T, p *person) {
			_, user := p.session(a)
			byAdministrator(a, "PATCH", "/v1/auth/users/"+user, `{"disabled": true}`)
			a := newPerson(t).send(b, http.StatusForbidden, "POST", "/_auth/login", url.Values{"username": {"bob"}, "password": {"bob-password"}})
			if a.Header.Get("Set-Cookie") != "" {
				t.Error("a disabled user got a cookie")
			}
		}},
		{"the provider by the back channel", "", func(t *testing.T, _ *person) {
			status, err := s.idp.SendLogout(t.Context(), "wavegate", "1001", "")
			if status != http.StatusOK || err != nil {
				t.Fatal(status, err)
			}
		}},
		{"another password", "carl", func(_ *testing.T, p *person) {
			other := newPerson(t)
			other.signIn(a, "carl")
			if got, err := other.changePassword(a, "carl-password", "another one"); err != nil || got.StatusCode != http.StatusNoContent {
				p.t.Fatal(got.body, err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPerson(t)
			if tt.user == "" {
				p.signInAtProvider(a, b)
			} else {
				p.signIn(a, tt.user)
			}
			if !p.passes(a) || !p.passes(b) {
				t.Fatal("not signed in at both")
			}
			stays := newPerson(t)
			stays.signIn(b, "ann")
			closed := p.socket(b)
			open := stays.socket(b)
			cookie := p.cookie()
			tt.end(t, p)
			ended := time.Now()
			keep(t, p, cookie)
			out := p.untilOut(b, ended)
			select {
			case <-closed.Done():
			case <-time.After(patience):
				t.Fatal("the socket stays open")
			}
			if shut := time.Since(ended); out >= time.Second || shut >= time.Second {
				t.Errorf("refused after %v, socket closed after %v, want less than 1 s", out, shut)
			}
			if p.passes(a) {
				t.Error("still signed in where it ended")
			}
			stays.isIn("ann", a, b)
			if open.Err() != nil {
				t.Error("somebody else's socket was closed")
			}
		})
	}
}

// keep puts back the cookie that a logout took away: whoever copied it tries.
func keep(t *testing.T, p *person, cookie string) {
	t.Helper()
	p.jar.SetCookies(&url.URL{Scheme: "http", Host: "gate.test", Path: "/"}, []*http.Cookie{{Name: "wavegate", Value: cookie, Path: "/"}})
	if p.cookie() != cookie || cookie == "" {
		t.Fatalf("the cookie is %q, want %q", p.cookie(), cookie)
	}
}

// afterlife ends n sessions at a, one after the other, and returns how long they
// still opened b.
func afterlife(t *testing.T, a, b *gate, n int) (median, most time.Duration) {
	t.Helper()
	var took []time.Duration
	for range n {
		p := newPerson(t)
		p.signIn(a, "ann")
		p.isIn("ann", b)
		cookie := p.cookie()
		p.send(a, http.StatusSeeOther, "POST", "/_auth/logout", url.Values{})
		ended := time.Now()
		keep(t, p, cookie)
		took = append(took, p.untilOut(b, ended))
	}
	slices.Sort(took)
	t.Logf("an ended session opens the other process for %v (median of %d), at most %v", took[n/2], n, took[n-1])
	return took[n/2], took[n-1]
}

// wantWithinPoll allows the half second between two looks, and more at times for
// a machine that does much else.
func wantWithinPoll(t *testing.T, a, b *gate) {
	t.Helper()
	if median, most := afterlife(t, a, b, 7); median >= 700*time.Millisecond || most >= 2*time.Second {
		t.Errorf("a session lives on for %v (median) and at most %v, want less than 700 ms and 2 s", median, most)
	}
}

// testReplicasWithoutNotify has the database swallow every NOTIFY, as a pooler
// of connections between it and the processes does.
func testReplicasWithoutNotify(t *testing.T) {
	db := storetest.Postgres(t)
	execute(t, db, "CREATE SEQUENCE swallowed",
		"CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT nextval(''public.swallowed'')'")
	_, a, b := pair(t, db+"&search_path=public,pg_catalog")
	wantWithinPoll(t, a, b)
	if n := number(t, db, "SELECT last_value FROM swallowed"); n < 7 {
		t.Errorf("%d NOTIFYs were swallowed: the other path was measured", n)
	}
}

// testReplicasRenew asks two processes 20 times each, at once, with a session
// whose renewal is due. The provider ends it when it sees a refresh token twice.
func testReplicasRenew(t *testing.T) {
	s, a, b := pair(t, storetest.Postgres(t))
	first := s.start("-data-dir", t.TempDir()) // a and b have not seen the session before
	second := make(chan struct{})
	var once sync.Once
	asked := 0
	var mu sync.Mutex // guards asked
	dora := newPerson(t)
	dora.signInAtProvider(first, first)
	s.idp.Break("/token", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked++
		if asked > 1 {
			once.Do(func() { close(second) })
		}
		mu.Unlock()
		select { // time enough for another to ask too
		case <-second:
		case <-time.After(300 * time.Millisecond):
		}
		s.idp.Serve(w, r)
	})
	execute(t, s.store, "UPDATE sessions SET renew_at = 1")
	before := len(s.idp.TokenRequests())
	var work sync.WaitGroup
	failed := make(chan string, 40)
	for i := range 40 {
		g := []*gate{a, b}[i%2]
		work.Go(func() {
			if got, err := dora.try(g, "GET", "/app", nil); err != nil || got.body != "dora" {
				failed <- fmt.Sprintf("the app was told %q, %v", got.body, err)
			}
		})
	}
	work.Wait()
	close(failed)
	for what := range failed {
		t.Error(what)
	}
	if n := len(s.idp.TokenRequests()) - before; n != 1 {
		t.Errorf("the provider was asked %d times, want once", n)
	}
	if number(t, s.store, "SELECT renew_at FROM sessions") <= time.Now().UnixMilli() {
		t.Error("the renewal is still due")
	}
	dora.isIn("dora", a, b, first)
}

// untilListening waits until processes listen to NOTIFY.
func untilListening(t *testing.T, db string, processes int64) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for number(t, db, "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN wavegate_changes' AND datname = current_database()") < processes {
		if time.Now().After(deadline) {
			t.Fatal("nobody listens to NOTIFY")
		}
	}
}

// execute runs statements in a PostgreSQL database.
func execute(t *testing.T, db string, statements ...string) {
	t.Helper()
	connected(t, db, func(ctx context.Context, c *pgx.Conn) error {
		for _, statement := range statements {
			if _, err := c.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// number returns the one number that a query gives.
func number(t *testing.T, db, query string) (n int64) {
	t.Helper()
	connected(t, db, func(ctx context.Context, c *pgx.Conn) error { return c.QueryRow(ctx, query).Scan(&n) })
	return n
}

func connected(t *testing.T, db string, do func(context.Context, *pgx.Conn) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, db)
	must(t, err)
	defer c.Close(ctx)
	must(t, do(ctx, c))
}
