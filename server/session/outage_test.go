package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wavegate/server/session"
)

var errTimeout = errors.New("the provider does not answer")

// hangs is an answer that comes after d, or not when the context ends before.
func hangs(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return errTimeout
	}
}

func TestProviderThatHangsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{answer: func(ctx context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
			return session.Renewal{}, errors.Join(hangs(ctx, 10*time.Second), session.ErrRefused)
		}}
		m := newManager(t, newFaulty(), at(p))
		cookie, s := signIn(t, m, due("ann"))
		for i, want := range []time.Duration{2 * time.Second, 0, 0} { // of those that come later nobody waits again
			began := time.Now()
			got, err := m.Get(t.Context(), cookie)
			must(t, err)
			if took := time.Since(began); took != want || got != s {
				t.Errorf("request %d waited %v, want %v", i, took, want)
			}
		}
		began := time.Now()
		_, err := m.Fresh(t.Context(), s) // it waits for the tokens
		wantErr(t, err, session.ErrNoSession)
		if took := time.Since(began); took != 8*time.Second {
			t.Errorf("Fresh waited %v", took)
		}
		if !isEnded(s.Ended()) {
			t.Error("the provider said no and the socket is open")
		}
		_, err = m.Get(t.Context(), cookie)
		wantErr(t, err, session.ErrNoSession)
	})
}

func TestSessionsWaitTogetherForAProviderThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		var now, most atomic.Int64 // questions under way, after the first
		p := new(idp)
		p.answer = func(ctx context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
			if up.Load() || r.Provider != "corp" {
				return renewed(r, t), nil
			}
			n := now.Add(1)
			defer now.Add(-1)
			most.Store(max(most.Load(), n))
			return session.Renewal{}, hangs(ctx, time.Hour)
		}
		m := newManager(t, newFaulty(), at(p))
		defer run(t, m)()
		var all []*session.Session
		add := func(name string) *session.Session {
			_, s := signIn(t, m, due(name))
			context.AfterFunc(s.Ended(), func() {})
			all = append(all, s)
			return s
		}
		for i := range 6 { // they all ask before it is known
			add(fmt.Sprint("first", i))
		}
		time.Sleep(20 * time.Second)
		most.Store(0)
		for i := range 100 {
			add(fmt.Sprint("p", i))
		}
		time.Sleep(40 * time.Second)
		if n := p.calls.Load(); n != 6+1 {
			t.Errorf("%d questions in the first minute", n)
		}
		time.Sleep(30 * time.Minute)
		// Pauses of 30 s, 60 s, 2 min, 4 min, and 5 min from then on.
		if n := p.calls.Load(); most.Load() != 1 || n < 6+7 || n > 6+9 {
			t.Errorf("%d sessions asked %d times, %d at once", len(all), n, most.Load())
		}
		l := due("eve")
		l.Provider, l.Issuer = "other", "https://other.example.com"
		cookie, other := signIn(t, m, l)
		_, err := m.Get(t.Context(), cookie)
		must(t, err)
		if other.Record().Version != 2 {
			t.Error("another provider's session waits too")
		}
		up.Store(true)
		time.Sleep(11 * time.Minute) // a pause of the provider and one of a session's own
		for _, s := range all {
			if s.Record().Version < 2 || isEnded(s.Ended()) {
				t.Fatal("a session was not renewed when the provider was back")
			}
		}
	})
}

func TestRefusalsMakeNobodyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{answer: func(_ context.Context, r session.Record, t session.Tokens) (session.Renewal, error) {
			switch r.Username {
			case "gone":
				return session.Renewal{}, session.ErrRefused
			case "broken":
				return session.Renewal{}, errTimeout
			}
			return renewed(r, t), nil
		}}
		m := newManager(t, newFaulty(), at(p))
		for i, name := range []string{"gone", "gone", "gone", "broken", "broken", "gone", "broken", "broken", "ann", "broken", "broken", "ann"} {
			before := p.calls.Load()
			cookie, _ := signIn(t, m, due(name))
			_, _ = m.Get(t.Context(), cookie)
			if p.calls.Load() != before+1 {
				t.Errorf("the provider was not asked about %s, number %d", name, i)
			}
		}
	})
}

// TestClaimIsGivenBackWhereTheProviderWasNotReached lets another process try at
// once, but not where the provider has spent a token that is not written yet.
func TestClaimIsGivenBackWhereTheProviderWasNotReached(t *testing.T) {
	onStores(t, func(t *testing.T, s session.Store) {
		p := &idp{answer: func(context.Context, session.Record, session.Tokens) (session.Renewal, error) {
			return session.Renewal{}, errTimeout
		}}
		cookie, first := signIn(t, newManager(t, s, nil), due("ann"))
		_, err := newManager(t, s, at(p)).Get(t.Context(), cookie)
		must(t, err)
		if present, err := s.Session(t.Context(), first.Record().Hash); err != nil || present.Version != 1 {
			t.Fatal(present.Version, err)
		}
		_, won, err := s.ClaimRenewal(t.Context(), first.Record().Hash, 1, time.Now(), time.Now().Add(time.Minute))
		if !won || err != nil {
			t.Errorf("the claim is held: %v", err)
		}
	})
}

func TestClaimIsKeptUntilASpentTokenIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFaulty(), new(idp)
		f.before = func(_ context.Context, method string) error {
			if method == "Renew" {
				return errDown
			}
			return nil
		}
		m := newManager(t, f, at(p))
		cookie, _ := signIn(t, m, due("ann"))
		_, err := m.Get(t.Context(), cookie)
		must(t, err)
		time.Sleep(3 * time.Second) // the tries to write
		spendable := func() {
			_, won, err := f.ClaimRenewal(t.Context(), hashOf(cookie), 1, time.Now(), time.Now().Add(time.Minute))
			if won || err != nil {
				t.Errorf("another process may spend the token again: %v, %v", won, err)
			}
		}
		spendable()
		p.answer = func(context.Context, session.Record, session.Tokens) (session.Renewal, error) {
			return session.Renewal{}, errTimeout
		}
		time.Sleep(31 * time.Second)
		_, err = m.Get(t.Context(), cookie)
		must(t, err)
		if p.calls.Load() != 2 {
			t.Fatalf("the provider was asked %d times", p.calls.Load())
		}
		spendable()
	})
}
