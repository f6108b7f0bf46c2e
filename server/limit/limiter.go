package limit

import (
	"context"
	"time"
)

// A Tier is how much one account may do. 0 is no bound, and a negative number
// lets nothing through.
type Tier struct {
	Name              string
	RequestsPerMinute int64
	BurstPerSecond    int64
	Concurrent        int64
	BandwidthPerMonth int64 // bytes of bodies, both ways, in a calendar month (UTC)
}

// Unlimited reports whether the tier bounds nothing.
func (t Tier) Unlimited() bool {
	return t.RequestsPerMinute == 0 && t.BurstPerSecond == 0 && t.Concurrent == 0 && t.BandwidthPerMonth == 0
}

// An Account is whoever is counted: a key, a person, a client, an address. It is
// made once and used for many requests; it must not be changed.
type Account struct {
	Name string // "key:…", "user:…", "client:…", "ip:…": the same in every process
	Tier Tier

	// Operations bound what may be done at all, whatever the pace. 0 is no bound,
	// and a negative number lets nothing through: an account that has nothing left
	// must not be given 0.
	OpsTotal    int64 // in the account's whole life
	OpsPerDay   int64 // in a calendar day (UTC)
	OpsPerMonth int64 // in a calendar month (UTC)
}

// Bounded reports whether there is anything to count.
func (a *Account) Bounded() bool {
	return !a.Tier.Unlimited() || a.OpsTotal != 0 || a.OpsPerDay != 0 || a.OpsPerMonth != 0
}

// A Reason says which bound refused.
type Reason uint8

// The reasons.
const (
	None        Reason = iota // nothing refused
	Rate                      // requests of the minute, or the burst of a second
	Concurrency               // requests at the same time
	Bandwidth                 // bytes of the month
	Ops                       // operations of the account's life
	OpsBudget                 // operations of the day or the month
)

// A Verdict is the answer to Take. The zero value allows and says nothing.
type Verdict struct {
	Reason     Reason        // None allows
	Account    *Account      // that refused; nil where none did
	RetryAfter time.Duration // when it may be tried again; 0 where time alone does not help

	// What the rate headers say: of the account with the least left in its minute.
	// Limit 0: nobody has a rate.
	Limit     int64 // requests a window
	Window    time.Duration
	Remaining int64
	Reset     time.Time // when the window is whole again
}

// A Limiter counts. A request has a few accounts (its key, its owner, …), and all
// of their bounds pass together or nothing is spent.
type Limiter interface {
	// Take spends one request and one operation of every account, and counts the
	// request as running until Release. Where one refuses, none is charged and
	// Release must not be called. Its error is about what keeps the counts, and
	// means that nothing was decided: refuse with 503.
	Take(ctx context.Context, now time.Time, accounts []*Account) (Verdict, error)

	// Release ends a request that Take let in.
	Release(now time.Time, accounts []*Account)

	// Spend counts bytes. It reports false once an account has none left in its
	// month: what flows is to end.
	Spend(now time.Time, accounts []*Account, bytes int64) bool
}

// A Ledger keeps what must outlive the process: operations and bytes that were
// spent. An account's period is "ops", "ops 2026-11-27", "ops 2026-11" or
// "bytes 2026-11".
type Ledger interface {
	// Draw takes up to want of what limit leaves of the account's period, in one
	// statement, and returns how much it got and how much is left after it. With
	// got 0 nothing is left. ends is when the period can be forgotten, zero for
	// never.
	Draw(ctx context.Context, account, period string, limit, want int64, ends time.Time) (got, left int64, err error)

	// Return gives back what was drawn and not spent.
	Return(ctx context.Context, account, period string, amount int64) error
}
