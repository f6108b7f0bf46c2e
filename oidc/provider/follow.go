package provider

import (
	"context"
	"sync"
	"sync/atomic"
)

// A news is what a batch of changes says, by kind: whose tokens have ended for
// sure, and whose are in doubt.
type news struct {
	tokens, grants map[string]bool // ended
	clients, users map[string]bool // in doubt
}

func newsOf(changes []Change) (n news) {
	add := func(set *map[string]bool, key string) {
		if *set == nil {
			*set = map[string]bool{}
		}
		if key != "" {
			(*set)[key] = true
		}
	}
	for _, c := range changes {
		switch c.Kind {
		case ChangedToken:
			add(&n.tokens, c.Key)
		case ChangedGrant:
			add(&n.grants, c.Key)
		case ChangedClient:
			add(&n.clients, c.Key)
		case ChangedUser:
			add(&n.users, c.Key)
		}
	}
	return n
}

func (n news) empty() bool { return len(n.tokens)+len(n.grants)+len(n.clients)+len(n.users) == 0 }

func (n news) ends(a about) bool { return n.tokens[a.jti] || n.grants[a.grantID] }

func (n news) doubts(a about) bool { return n.clients[a.clientID] || n.users[a.userID] }

func (n news) concerns(a about) bool { return n.ends(a) || n.doubts(a) }

// apply stops believing what changed. What ended has ended; about the rest that
// somebody holds the store is asked, and others ask themselves.
func (p *Provider) apply(n news) {
	if n.empty() {
		return
	}
	m := p.tokens
	m.revoked.Clear()
	m.loads.changing(n.concerns)
	for _, t := range m.all() {
		switch a := (about{t.ID, t.GrantID, t.ClientID, t.UserID}); {
		case n.ends(a):
			m.finish(t)
		case n.doubts(a):
			t.changes.Add(1)
			t.epoch.Store(-1)
			if t.held() {
				p.recheck(t)
			}
		}
	}
}

// lost stops believing everything.
func (p *Provider) lost() {
	m := p.tokens
	m.epoch.Add(1)
	m.revoked.Clear()
	for _, t := range m.all() {
		t.changes.Add(1)
		if t.held() {
			p.recheck(t)
		}
	}
}

// recheckers bounds how many tokens are asked about at once without a request that
// waits for it.
const recheckers = 4

// doubts are the tokens that somebody holds and that are not believed, so that the
// store has to be asked. What fails is tried again by watch.
type doubts struct {
	mu      sync.Mutex             // guards the rest
	open    map[*AccessToken]int64 // since when, milliseconds since the epoch
	running int
}

// recheck lets the store be asked about a token soon.
func (p *Provider) recheck(t *AccessToken) {
	if !t.over.Load() {
		p.tokens.doubts.note(t, p.ms())
		p.workOff()
	}
}

// note adds a token that has been in doubt for a while.
func (d *doubts) note(t *AccessToken, since int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if before, ok := d.open[t]; !ok || since < before {
		d.open[t] = since
	}
}

// next takes any token off the list. With the last one the worker is gone.
func (d *doubts) next() (t *AccessToken, since int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for t, since = range d.open {
		delete(d.open, t)
		return t, since
	}
	d.running--
	return nil, 0
}

func (d *doubts) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
}

// workOff starts a worker if there is something to do.
func (p *Provider) workOff() {
	d := &p.tokens.doubts
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.open) > 0 && d.running < recheckers && p.tokens.tasks.Start(p.work) {
		d.running++
	}
}

// work asks the store about tokens until none is left or it does not answer.
func (p *Provider) work() {
	m := p.tokens
	for t, since := m.doubts.next(); t != nil; t, since = m.doubts.next() {
		if m.tasks.Ending() || !m.isDoubted(t) {
			continue
		}
		_, err := p.ask(context.Background(), t) // what it says is in the memory
		if err != nil && m.isDoubted(t) {
			m.doubts.note(t, since)
			m.doubts.leave()
			return
		}
	}
}

// isDoubted reports whether somebody holds the token and it is not believed.
func (m *memory) isDoubted(t *AccessToken) bool {
	return t.held() && !t.over.Load() && t.epoch.Load() != m.epoch.Load()
}

// watch ends what has expired, asks again about what is in doubt, and ends what the
// store said nothing about for too long: it might have been revoked.
func (p *Provider) watch() {
	m, now := p.tokens, p.ms()
	m.expire(now)
	for _, t := range m.unanswered(now) {
		p.log.Warn("an access token in use may have been revoked and the store cannot be asked; its requests are ended", "client_id", t.ClientID, "grant_id", t.GrantID)
		m.finish(t)
	}
	p.workOff()
}

func (m *memory) unanswered(now int64) (late []*AccessToken) {
	d := &m.doubts
	d.mu.Lock()
	defer d.mu.Unlock()
	for t, since := range d.open {
		switch {
		case !m.isDoubted(t):
			delete(d.open, t)
		case now-since > staleAfter.Milliseconds():
			delete(d.open, t)
			late = append(late, t)
		}
	}
	return late
}

// raise moves a value forward, never back.
func raise(a *atomic.Int64, to int64) {
	for {
		old := a.Load()
		if to <= old || a.CompareAndSwap(old, to) {
			return
		}
	}
}
