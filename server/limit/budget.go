package limit

import (
	"math"
	"time"
)

const (
	// exactUpTo is the limit up to which operations are drawn one at a time, so
	// that no process holds what another is asked for.
	exactUpTo = 32

	maxOps      = 1000 // operations of a draw
	maxFirstOps = 16   // of the first, when it is not known what is left

	minBytes = 1 << 20   // of a draw
	maxBytes = 256 << 20 // what a killed process takes with it at most
	maxDebt  = 64 << 20  // bytes that flow unpaid while the ledger fails

	// What was found spent is asked for again after a while: another process may
	// have given back what it drew.
	askOpsAgain    = 5 * time.Second
	askPeriodAgain = time.Minute
	askBytesFailed = time.Second
)

// unknown stands for how much the ledger has left.
const unknown = -1

// A budget is one bound of an account that outlives the process. What may be spent
// here is drawn from the ledger first, which is its lease; bytes that flowed before
// they could be drawn make it negative. Its state's lock guards it.
type budget struct {
	kind   kind
	limit  int64  // 0: nothing is bounded now
	period string // that lease and left are about
	forget time.Time

	lease  int64   // drawn and not spent
	size   int64   // of a lease of bytes; it grows while they flow
	back   int64   // to be given back: drawn under a limit that was higher
	left   int64   // what the ledger had after the last draw, or unknown
	asked  int64   // microseconds; when left was learnt, or the last draw failed
	failed error   // of the last draw
	flight *flight // a draw under way, or nil

	drew bool // something in this period
	told bool // that the last of it was spent
}

// setLimit makes another limit count at once.
func (b *budget) setLimit(limit int64) {
	if limit == b.limit {
		return
	}
	if limit < b.limit || limit == 0 {
		b.back = add(b.back, max(b.lease, 0))
		b.lease = min(b.lease, 0)
	}
	b.limit, b.left, b.failed, b.told = limit, unknown, nil, false
}

// turn makes the budget one of the calendar's period, if it is of another. It returns
// what remains of that, which is the ledger's to know.
func (b *budget) turn(c *calendar) owed {
	o := b.settle()
	b.period, b.forget = c.period[b.kind], c.forget[b.kind]
	b.left, b.failed, b.drew, b.told = unknown, nil, false, false
	return o
}

// settle empties the lease and returns it for the ledger.
func (b *budget) settle() owed {
	o := owed{period: b.period, limit: b.limit, amount: add(b.lease, b.back), forget: b.forget}
	if o.amount > 0 {
		b.left = unknown
	}
	b.lease, b.back, b.size = 0, 0, 0
	return o
}

// holds reports whether there is something to settle, or soon will be.
func (b *budget) holds() bool { return b.lease != 0 || b.back != 0 || b.flight != nil }

// gone reports whether all is spent, as far as is known.
func (b *budget) gone() bool { return b.limit < 0 || b.lease <= 0 && b.left == 0 }

// stale reports whether what is known is old enough to ask again.
func (b *budget) stale(now int64, after time.Duration) bool {
	age := now - b.asked
	return max(age, -age) >= after.Microseconds()
}

// mayAsk reports whether operations that are gone are asked for again.
func (b *budget) mayAsk(now int64) bool {
	again := askPeriodAgain
	if b.kind == opsTotal {
		again = askOpsAgain
	}
	return b.limit > 0 && b.stale(now, again)
}

// short reports whether bytes are to be drawn: ahead of need.
func (b *budget) short(now int64) bool {
	switch {
	case b.limit < 0 || b.flight != nil || b.lease >= b.chunk()/4:
		return false
	case b.failed != nil:
		return b.stale(now, askBytesFailed)
	case b.left == 0:
		return b.stale(now, askPeriodAgain)
	}
	return true
}

// overdrawn returns why bytes must not flow on although the month may have some: the
// ledger fails, and enough has flowed unpaid.
func (b *budget) overdrawn() error {
	if b.lease > -maxDebt {
		return nil
	}
	return b.failed
}

// want returns how much to draw.
func (b *budget) want() int64 {
	switch {
	case b.kind == bytesMonth:
		return add(b.chunk(), -b.lease)
	case b.limit <= exactUpTo:
		return 1
	case b.left == unknown:
		return min(max(b.limit/16, 1), maxFirstOps)
	}
	return min(max(b.left/16, 1), maxOps)
}

// chunk is how many bytes a lease is filled up to: twice as many each time, as long as
// that is little of what is left.
func (b *budget) chunk() int64 {
	return max(min(b.size, b.left/64, maxBytes), minBytes)
}

// land takes in what a draw brought. What it brought for a limit or a period that
// have changed meanwhile is given back.
func (b *budget) land(f *flight, d drawn) owed {
	b.flight = nil
	late := owed{period: f.period, limit: f.limit, amount: add(d.got, d.notReturned), forget: f.forget}
	if f.period != b.period {
		return late
	}
	b.back = add(b.back, d.notReturned)
	b.failed, b.asked = d.err, f.asked
	if d.err != nil {
		return owed{}
	}
	b.drew = b.drew || d.got > 0
	if f.limit > b.limit || b.limit == 0 {
		b.back = add(b.back, d.got)
	} else {
		b.lease = add(b.lease, d.got)
	}
	b.left, b.size = d.left, 2*b.chunk()
	if f.limit != b.limit {
		b.left = unknown
	}
	return owed{}
}

// spend counts an amount and reports whether that was the last there is.
func (b *budget) spend(amount int64) (last bool) {
	b.lease = add(b.lease, -amount)
	return b.last()
}

// last reports, once, that nothing is left of what was drawn here.
func (b *budget) last() bool {
	if b.told || !b.drew || !b.gone() {
		return false
	}
	b.told = true
	return true
}

// add adds without overflow.
func add(a, b int64) int64 {
	switch sum := a + b; {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64 + 1 // so that it can be negated
	default:
		return sum
	}
}
