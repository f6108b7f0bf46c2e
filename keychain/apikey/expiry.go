package apikey

import "container/heap"

// expiries are the remembered keys that will expire, the next one first. The
// memory guards them.
type expiries struct{ queue expiryQueue }

// add is for a key that is not among them.
func (e *expiries) add(k *Key) {
	if at := k.Record().ExpiresAt; !at.IsZero() {
		k.expires = at.UnixMilli()
		heap.Push(&e.queue, k)
	}
}

func (e *expiries) remove(k *Key) {
	if k.due >= 0 {
		heap.Remove(&e.queue, k.due)
	}
}

// take removes and returns those that have expired.
func (e *expiries) take(now int64) (list []*Key) {
	for len(e.queue) > 0 && e.queue[0].expires <= now {
		list = append(list, heap.Pop(&e.queue).(*Key))
	}
	return list
}

// expiryQueue is a heap.Interface; keys know their place.
type expiryQueue []*Key

func (q expiryQueue) Len() int           { return len(q) }
func (q expiryQueue) Less(i, j int) bool { return q[i].expires < q[j].expires }

func (q expiryQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].due, q[j].due = i, j
}

func (q *expiryQueue) Push(x any) {
	k := x.(*Key)
	k.due = len(*q)
	*q = append(*q, k)
}

func (q *expiryQueue) Pop() any {
	last := len(*q) - 1
	k := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	k.due = -1
	return k
}
