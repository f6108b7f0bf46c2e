package limit

import (
	"container/list"
	"time"
)

// A table holds the records of at most max names. Strangers choose the names,
// so when it is full something goes: the name whose last failure is longest
// ago, and when all are locked, the one whose lock ends first.
type table[K comparable] struct {
	max    int
	nodes  map[K]*node[K]
	free   *list.List // of *node, not locked, by their last failure, oldest first
	locked *list.List // of *node, by the end of the lock, soonest first
}

type node[K comparable] struct {
	record
	name K
	last instant       // last failure
	in   *list.List    // free or locked
	el   *list.Element // its place there
}

func newTable[K comparable](most int) *table[K] {
	return &table[K]{max: most, nodes: make(map[K]*node[K]), free: list.New(), locked: list.New()}
}

// get returns the record of a name, or nil.
func (t *table[K]) get(name K) *record {
	if n := t.nodes[name]; n != nil {
		return &n.record
	}
	return nil
}

// take removes a name and returns its record, or nil.
func (t *table[K]) take(name K) *record {
	n := t.nodes[name]
	if n == nil {
		return nil
	}
	t.drop(n)
	return &n.record
}

func (t *table[K]) drop(n *node[K]) {
	n.in.Remove(n.el)
	delete(t.nodes, n.name)
}

// lift removes a name that is locked and reports whether it was.
func (t *table[K]) lift(name K) bool { return t.get(name).locked() && t.take(name) != nil }

// fail counts a failure of a name. If that locked it, it returns the record.
func (t *table[K]) fail(name K, at instant, tries int, window, hold time.Duration) *record {
	t.expire(at, window)
	n := t.nodes[name]
	if n == nil {
		n = t.insert(name)
	}
	n.last = at
	locked := n.fail(at, tries, window, hold)
	t.place(n)
	if !locked {
		return nil
	}
	return &n.record
}

// insert makes room for a name.
func (t *table[K]) insert(name K) *node[K] {
	for len(t.nodes) >= t.max {
		el := t.free.Front()
		if el == nil {
			el = t.locked.Front()
		}
		t.drop(el.Value.(*node[K]))
	}
	n := &node[K]{name: name, in: t.free}
	n.el = t.free.PushBack(n)
	t.nodes[name] = n
	return n
}

// place puts a node that has just failed at the end of the list that it belongs
// to. A lock that holds is left where it is: it ends when it would have ended.
func (t *table[K]) place(n *node[K]) {
	to := t.free
	if n.record.locked() {
		to = t.locked
	}
	if n.in == to && to == t.locked {
		return
	}
	n.in.Remove(n.el)
	n.in, n.el = to, to.PushBack(n)
}

// expire drops up to two names of each list that no longer say anything, so
// that the table shrinks as fast as it grew, without ever stopping to sweep.
func (t *table[K]) expire(at instant, window time.Duration) {
	for range 2 {
		if el := t.free.Front(); el != nil {
			if n := el.Value.(*node[K]); at-n.last >= window {
				t.drop(n)
			}
		}
		if el := t.locked.Front(); el != nil {
			if n := el.Value.(*node[K]); n.wait(at) == 0 {
				t.drop(n)
			}
		}
	}
}
