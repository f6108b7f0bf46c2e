package session

import "sync"

const (
	negativeFor  = 5000  // milliseconds for which an unknown cookie is remembered, at most
	negativeMost = 10000 // unknown cookies that are remembered, at most
)

// negatives remember for a short time which cookies the store did not know, so
// that a browser that keeps coming with a dead one costs no look-up each time.
// They cannot hide a session: its cookie is random and exists only after the
// store has it, so nobody can have asked for it before; and what has ended does
// not come back.
//
// There are two generations, and half of the time and the number for each.
type negatives struct {
	mu       sync.Mutex // guards the rest
	young    map[key]struct{}
	old      map[key]struct{}
	youngest int64 // when young began, milliseconds since the epoch
}

func newNegatives() negatives {
	return negatives{young: map[key]struct{}{}, old: map[key]struct{}{}}
}

func (n *negatives) has(k key, now int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.age(now)
	_, young := n.young[k]
	_, old := n.old[k]
	return young || old
}

func (n *negatives) add(k key, now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.age(now)
	if len(n.young) >= negativeMost/2 {
		n.turn(now)
	}
	n.young[k] = struct{}{}
}

// age begins a new generation when it is time.
func (n *negatives) age(now int64) {
	switch passed := now - n.youngest; {
	case passed >= negativeFor || passed < 0:
		n.turn(now)
		n.turn(now)
	case passed >= negativeFor/2:
		n.turn(now)
	}
}

func (n *negatives) turn(now int64) {
	n.old, n.young, n.youngest = n.young, n.old, now
	clear(n.young)
}
