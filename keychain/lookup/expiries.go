package lookup

import "container/heap"

// Expiries are what expires, the one that is next first. Whoever owns them guards
// them. Make them with NewExpiries.
type Expiries[T any] struct{ queue expiryQueue[T] }

// NewExpiries returns Expiries that hold nothing. at says when one of them expires,
// in milliseconds since the epoch, which must not change while it is among them;
// place is where it keeps its place, -1 while it is not.
func NewExpiries[T any](at func(T) int64, place func(T) *int) *Expiries[T] {
	return &Expiries[T]{expiryQueue[T]{at: at, place: place}}
}

// Add is for one that is not among them.
func (e *Expiries[T]) Add(t T) { heap.Push(&e.queue, t) }

// Remove is for any.
func (e *Expiries[T]) Remove(t T) {
	if i := *e.queue.place(t); i >= 0 {
		heap.Remove(&e.queue, i)
	}
}

// Take removes and returns those that have expired.
func (e *Expiries[T]) Take(now int64) (list []T) {
	for e.queue.Len() > 0 && e.queue.at(e.queue.list[0]) <= now {
		list = append(list, heap.Pop(&e.queue).(T))
	}
	return list
}

// Len returns how many there are.
func (e *Expiries[T]) Len() int { return e.queue.Len() }

// expiryQueue is a heap.Interface.
type expiryQueue[T any] struct {
	list  []T
	at    func(T) int64
	place func(T) *int
}

func (q *expiryQueue[T]) Len() int           { return len(q.list) }
func (q *expiryQueue[T]) Less(i, j int) bool { return q.at(q.list[i]) < q.at(q.list[j]) }

func (q *expiryQueue[T]) Swap(i, j int) {
	q.list[i], q.list[j] = q.list[j], q.list[i]
	*q.place(q.list[i]), *q.place(q.list[j]) = i, j
}

func (q *expiryQueue[T]) Push(x any) {
	t := x.(T)
	*q.place(t) = len(q.list)
	q.list = append(q.list, t)
}

func (q *expiryQueue[T]) Pop() any {
	last := len(q.list) - 1
	t := q.list[last]
	clear(q.list[last:])
	q.list = q.list[:last]
	*q.place(t) = -1
	return t
}
