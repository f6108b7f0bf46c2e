package provider

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// appStore is a Store of clients and assertions alone.
type appStore struct {
	Store // nil: what else is called panics

	mu      sync.Mutex // guards the rest
	clients map[string]Client
	used    map[string]time.Time // assertions, with when they expire
	asked   int                  // how often for a client
	fault   error
	reading func() // called while a client is read, after it was
}

func (s *appStore) Client(ctx context.Context, id string) (Client, error) {
	s.mu.Lock()
	s.asked++
	c, ok := s.clients[id]
	fault, reading := s.fault, s.reading
	s.mu.Unlock()
	if reading != nil {
		reading()
	}
	switch {
	case ctx.Err() != nil:
		return Client{}, context.Cause(ctx)
	case fault != nil:
		return Client{}, fault
	case !ok:
		return Client{}, ErrNotFound
	}
	return c, nil
}

func (s *appStore) UseAssertion(_ context.Context, clientID, jti string, expires time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return s.fault
	}
	if _, ok := s.used[clientID+" "+jti]; ok {
		return ErrUsed
	}
	s.used[clientID+" "+jti] = expires
	return nil
}

// set changes what is stored.
func (s *appStore) set(change func(*appStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *appStore) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// appProvider returns a Provider with no more than clients need, at noon.
func appProvider(clients ...*Client) (*Provider, *appStore) {
	s := &appStore{clients: map[string]Client{}, used: map[string]time.Time{}}
	for _, c := range clients {
		s.clients[c.ID] = *c
	}
	p := &Provider{
		cfg:   Config{Issuer: "https://id.example.com", Endpoints: Endpoints{Token: "https://id.example.com/oauth/token", PAR: "https://id.example.com/oauth/par"}},
		store: s, now: func() time.Time { return noon }, apps: newClients(),
	}
	return p, s
}

func TestRememberedClientsCostNoStore(t *testing.T) {
	c := goodClient()
	p, s := appProvider(c)
	for range 10 {
		if got, err := p.client(t.Context(), c.ID); err != nil || got.ID != c.ID {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if n := s.times(); n != 1 {
		t.Errorf("the store was asked %d times", n)
	}
}

func TestClientsAreBelievedForHalfAMinute(t *testing.T) {
	c := goodClient()
	p, s := appProvider(c)
	for _, tt := range []struct {
		at   time.Duration
		want int
	}{{0, 1}, {clientBelieved - 1, 1}, {clientBelieved, 2}, {2*clientBelieved - 1, 2}, {0, 3}} {
		p.now = func() time.Time { return noon.Add(tt.at) }
		if _, err := p.client(t.Context(), c.ID); err != nil || s.times() != tt.want {
			t.Errorf("after %v: asked %d times, want %d: %v", tt.at, s.times(), tt.want, err)
		}
	}
}

func TestClientsThatAreNotThereAreAskedForOnce(t *testing.T) {
	p, s := appProvider()
	for range 10 {
		if _, err := p.client(t.Context(), "client_x"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	if n := s.times(); n != 1 {
		t.Errorf("the store was asked %d times", n)
	}
	for _, id := range []string{"", "a b", "client_\x00", "client_\xff", "ä", fmt.Sprintf("%0*d", maxClientID+1, 0)} {
		if _, err := p.client(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if n := s.times(); n != 1 {
		t.Errorf("the store was asked %d times, also for what cannot be an ID", n)
	}
}

func TestChangedClientsAreReadAgain(t *testing.T) {
	c, other := goodClient(), goodClient()
	p, s := appProvider(c, other)
	name := func(id string) string {
		got, err := p.client(t.Context(), id)
		if err != nil {
			return err.Error()
		}
		return got.Name
	}
	name(c.ID)
	name(other.ID)
	s.set(func(s *appStore) {
		c.Name, other.Name = "new", "new"
		s.clients[c.ID], s.clients[other.ID] = *c, *other
	})
	p.apps.changed(c.ID)
	if a, b := name(c.ID), name(other.ID); a != "new" || b != "Äpp one" {
		t.Errorf("after a change: %q, and the other %q", a, b)
	}
	p.apps.forget()
	if got := name(other.ID); got != "new" {
		t.Errorf("after forget: %q", got)
	}
	s.set(func(s *appStore) { c.DisabledAt = noon; s.clients[c.ID] = *c; delete(s.clients, other.ID) })
	p.apps.changed(c.ID)
	p.apps.changed(other.ID)
	for _, id := range []string{c.ID, other.ID} {
		if got := name(id); got != ErrNotFound.Error() {
			t.Errorf("disabled or removed: %q", got)
		}
	}
	s.set(func(s *appStore) { s.clients[other.ID] = *other })
	p.apps.changed(other.ID)
	if got := name(other.ID); got != "new" {
		t.Errorf("that came back: %q", got)
	}
}

func TestClientsChangedWhileTheyAreReadAreNotRemembered(t *testing.T) {
	for what, change := range map[string]func(*clients, string){
		"changed": (*clients).changed, "forget": func(c *clients, _ string) { c.forget() },
	} {
		c := goodClient()
		p, s := appProvider(c)
		s.reading = func() {
			s.set(func(s *appStore) { s.reading = nil; c.Name = "new"; s.clients[c.ID] = *c })
			change(p.apps, c.ID)
		}
		if _, err := p.client(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := p.client(t.Context(), c.ID); err != nil || got.Name != "new" {
			t.Errorf("%s: it is remembered as %q: %v", what, got.Name, err)
		}
	}
}

func TestClientsMadeWhileTheyAreReadAreFound(t *testing.T) {
	c := goodClient()
	p, s := appProvider()
	s.reading = func() {
		s.set(func(s *appStore) { s.reading = nil; s.clients[c.ID] = *c })
		p.apps.changed(c.ID)
	}
	if _, err := p.client(t.Context(), c.ID); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := p.client(t.Context(), c.ID); err != nil {
		t.Errorf("what was not there is believed: %v", err)
	}
}

func TestAStoreThatFailsIsNotRemembered(t *testing.T) {
	c := goodClient()
	p, s := appProvider(c)
	down := errors.New("down")
	s.set(func(s *appStore) { s.fault = down })
	if _, err := p.client(t.Context(), c.ID); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	s.set(func(s *appStore) { s.fault = nil })
	if _, err := p.client(t.Context(), c.ID); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

func TestStrangersPutNoClientOut(t *testing.T) {
	c := goodClient()
	p, s := appProvider(c)
	if _, err := p.client(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxClients {
		if _, err := p.client(t.Context(), fmt.Sprintf("client_%d", i)); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	asked := s.times()
	if _, err := p.client(t.Context(), c.ID); err != nil || s.times() != asked {
		t.Errorf("it had to be read again: %v", err)
	}
	if n := len(p.apps.young) + len(p.apps.old); n != 1 {
		t.Errorf("%d clients are remembered, want 1", n)
	}
}

func TestTheMemoryOfClientsIsBounded(t *testing.T) {
	m := newClients()
	used := goodClient()
	m.put(newApp(used, noon), 0)
	for i := range 3 * maxClients {
		m.put(newApp(&Client{ID: fmt.Sprintf("client_%d", i)}, noon), 0)
		if n := len(m.young) + len(m.old); n > maxClients {
			t.Fatalf("%d clients", n)
		}
		if i%1000 == 0 && m.get(used.ID, noon) == nil {
			t.Fatal("one that is used was let go")
		}
	}
	large := repeated(maxRedirects, "https://a.example/%02000d")
	for i := range 1000 {
		m.put(newApp(&Client{ID: fmt.Sprintf("large_%d", i), RedirectURIs: large}, noon), 0)
		weight := 0
		for _, generation := range []map[string]*app{m.young, m.old} {
			for _, a := range generation {
				weight += a.weight
			}
		}
		if weight > maxClientsText {
			t.Fatalf("%d bytes", weight)
		}
	}
	m.forget()
	if m.weight != 0 || len(m.young)+len(m.old) != 0 {
		t.Error("something is left after forget")
	}
}

func TestTheWeightOfClientsIsThatOfTheYoung(t *testing.T) {
	m := newClients()
	a, b := goodClient(), goodClient()
	for range 3 {
		m.put(newApp(a, noon), m.current())
		m.put(newApp(b, noon), m.current())
		m.changed(b.ID)
	}
	if want := newApp(a, noon).weight; m.weight != want || m.get(b.ID, noon) != nil {
		t.Errorf("weight %d, want %d", m.weight, want)
	}
}

func TestManyWhoWantOneClientAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := goodClient()
		p, s := appProvider(c)
		p.apps.gate = make(chan struct{}, 1)
		s.reading = func() { time.Sleep(time.Millisecond) }
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := p.client(t.Context(), c.ID); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := s.times(); n != 1 {
			t.Errorf("the store was asked %d times", n)
		}
	})
}
