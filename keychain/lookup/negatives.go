package lookup

import "sync"

const (
	negativeFor  = 5000  // milliseconds for which an unknown name is remembered, at most
	negativeMost = 10000 // unknown names that are remembered, at most
)

// Negatives remember for a short time which names the store did not know, so that
// whoever keeps coming with a dead one costs no look-up each time. They cannot hide
// what is named at random and exists only after the store has it: nobody can have
// asked for it before. Where others are named in advance, Clear has to be called
// when one comes.
//
// There are two generations, and half of the time and the number for each. Times
// are milliseconds since the epoch.
type Negatives[K comparable] struct {
	mu       sync.Mutex // guards the rest
	young    map[K]struct{}
	old      map[K]struct{}
	youngest int64 // when young began
	era      int64 // raised by Clear: what was asked in an earlier one is not kept
}

// NewNegatives returns Negatives that know of nothing.
func NewNegatives[K comparable]() *Negatives[K] {
	return &Negatives[K]{young: map[K]struct{}{}, old: map[K]struct{}{}}
}

// Era is to be asked before the store, and to be given to Add after it.
func (n *Negatives[K]) Era() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.era
}

// Has reports whether the store did not know the name a moment ago.
func (n *Negatives[K]) Has(name K, now int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.age(now)
	_, young := n.young[name]
	_, old := n.old[name]
	return young || old
}

// Add notes that the store, asked in an era, did not know the name.
func (n *Negatives[K]) Add(name K, era, now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.age(now)
	if era != n.era {
		return
	}
	if len(n.young) >= negativeMost/2 {
		n.turn(now)
	}
	n.young[name] = struct{}{}
}

// Clear forgets everything, and what is being asked right now.
func (n *Negatives[K]) Clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.era++
	clear(n.young)
	clear(n.old)
}

// age begins a new generation when it is time.
func (n *Negatives[K]) age(now int64) {
	switch passed := now - n.youngest; {
	case passed >= negativeFor || passed < 0:
		n.turn(now)
		n.turn(now)
	case passed >= negativeFor/2:
		n.turn(now)
	}
}

func (n *Negatives[K]) turn(now int64) {
	n.old, n.young, n.youngest = n.young, n.old, now
	clear(n.young)
}
