package server

import (
	"context"
	"sync"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/audit"
	"wavegate/server/store"
)

const (
	refusalsEvery = time.Second // how often refusals are written
	refusalRows   = 20          // lines of the audit log in that time; the rest share one
)

// refusals gathers refused credentials for the audit log: whoever guesses must not
// be able to fill the disk. Equal ones share a line with a count, and what is more
// than refusalRows different ones a second shares the last.
type refusals struct {
	write func(context.Context, store.Journal) error

	mu      sync.Mutex // guards the rest
	entries map[refusedBy]*audit.Entry
}

// A refusedBy is what makes two refusals the same.
type refusedBy struct{ code, ip, target string }

func newRefusals(write func(context.Context, store.Journal) error) *refusals {
	return &refusals{write: write, entries: map[refusedBy]*audit.Entry{}}
}

// add notes a refused credential. The target names the key where it is known, by
// what may be shown of it; never the credential.
func (r *refusals) add(e audit.Entry) {
	at := refusedBy{e.Outcome, e.IP, e.Target}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.entries[at]; !known && len(r.entries) >= refusalRows {
		at = refusedBy{}
		e = audit.Entry{At: e.At, Action: e.Action, Outcome: "many", Details: map[string]string{"from": "many addresses or with many credentials"}}
	}
	if old := r.entries[at]; old != nil {
		old.Count++
		return
	}
	e.Count = 1
	r.entries[at] = &e
}

// run writes what was gathered until ctx ends, and once more then.
func (r *refusals) run(ctx context.Context) error {
	tick := time.NewTicker(refusalsEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = r.flush(ctx) // kept, and tried again
		case <-ctx.Done():
			return r.flush(context.WithoutCancel(ctx))
		}
	}
}

// flush writes what was gathered. What cannot be written is kept; it stays
// bounded, since add goes on to gather into the same lines.
func (r *refusals) flush(ctx context.Context) error {
	r.mu.Lock()
	taken := r.entries
	if len(taken) == 0 {
		r.mu.Unlock()
		return nil
	}
	r.entries = map[refusedBy]*audit.Entry{}
	r.mu.Unlock()
	var j store.Journal
	for _, e := range taken {
		j.Audit = append(j.Audit, *e)
	}
	err := r.write(ctx, j)
	if err != nil {
		r.restore(taken)
	}
	return err
}

func (r *refusals) restore(taken map[refusedBy]*audit.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at, e := range taken {
		if newer := r.entries[at]; newer != nil {
			newer.Count += e.Count
		} else {
			r.entries[at] = e
		}
	}
}

// auditRefusal writes a refused request down where it is about the credential.
// What is refused without one, or by a rule of the policy, is in the request log.
func (s *Server) auditRefusal(ex *exchange) {
	if s.refusals == nil || ex.fault == nil || !ex.offered {
		return
	}
	switch ex.fault.Code {
	case "invalid_access_key", "invalid_api_key", "invalid_token", "expired_token", "ip_not_allowed", "locked_out",
		"insufficient_scope", "insufficient_role", errWrongPassword.Code, authz.InvalidClient, authz.InvalidGrant:
	default:
		return
	}
	e := audit.Entry{
		At: ex.start, IP: addrString(ex), RequestID: ex.ID, Action: "credential.refused", Outcome: ex.fault.Code,
		Details: map[string]string{"path": clip(ex.Path), "method": clip(ex.method)},
	}
	if p := ex.Principal; p != nil {
		e.Actor, e.Method, e.Owner, e.Target = p.Owner, string(p.Method), p.Owner, p.KeyID
	}
	if ex.key != nil {
		rec := ex.key.Record()
		e.Actor, e.Owner, e.Target = "api_key:"+rec.ID, rec.Owner, rec.ID
	}
	if ex.client != "" {
		e.Target = ex.client
	}
	s.refusals.add(e)
}
