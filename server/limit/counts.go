package limit

import (
	"context"
	"sync"
	"time"
)

// A counts is the ledger of one process alone.
type counts struct {
	mu    sync.Mutex // guards spent
	spent map[debtor]*count
	most  int // periods that end; what has no end stays, and only accounts that were given have it
}

type count struct {
	amount int64
	forget time.Time // zero for never
}

func newCounts(most int) *counts {
	return &counts{spent: make(map[debtor]*count), most: most}
}

// Draw implements Ledger.
func (c *counts) Draw(_ context.Context, account, period string, limit, want int64, ends time.Time) (got, left int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := debtor{account, period}
	n := c.spent[key]
	if n == nil {
		c.makeRoom()
		n = &count{forget: ends}
		c.spent[key] = n
	}
	got = min(max(limit-n.amount, 0), want)
	n.amount += got
	return got, max(limit-n.amount, 0), nil
}

// Return implements Ledger.
func (c *counts) Return(_ context.Context, account, period string, amount int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := debtor{account, period}
	if n := c.spent[key]; n != nil {
		if n.amount -= amount; n.amount <= 0 {
			delete(c.spent, key)
		}
	}
	return nil
}

// makeRoom forgets, where there is too much, the one of some periods that ends first, and of
// those that end together the one of which least was spent.
func (c *counts) makeRoom() {
	if len(c.spent) < c.most {
		return
	}
	var victim debtor
	var least *count
	seen := 0
	for key, n := range c.spent {
		if seen++; seen > looks {
			break
		}
		if n.forget.IsZero() {
			continue
		}
		if least == nil || n.forget.Before(least.forget) || n.forget.Equal(least.forget) && n.amount < least.amount {
			victim, least = key, n
		}
	}
	delete(c.spent, victim)
}
