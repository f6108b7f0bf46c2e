package limit

import "time"

// A kind is one of the bounds that outlive the process.
type kind int

// The kinds. Those before bytes count operations.
const (
	opsTotal kind = iota
	opsDay
	opsMonth
	bytesMonth
	kinds
)

// keepOver is how long a period is kept after its end, for processes whose clock is
// behind and for what is given back late.
const keepOver = 24 * time.Hour

// A calendar names the periods that one day (UTC) lies in.
type calendar struct {
	start, end int64            // of the day, Unix seconds
	period     [kinds]string    // as the Ledger names them
	over       [kinds]time.Time // when the period ends, zero for never
	forget     [kinds]time.Time // when the Ledger may forget it, zero for never
}

func newCalendar(now time.Time) *calendar {
	now = now.UTC()
	year, month, day := now.Date()
	start := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	nextDay, nextMonth := start.AddDate(0, 0, 1), time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
	c := &calendar{start: start.Unix(), end: nextDay.Unix()}
	c.period = [kinds]string{
		opsTotal:   "ops",
		opsDay:     now.Format("ops 2006-01-02"),
		opsMonth:   now.Format("ops 2006-01"),
		bytesMonth: now.Format("bytes 2006-01"),
	}
	c.over = [kinds]time.Time{opsDay: nextDay, opsMonth: nextMonth, bytesMonth: nextMonth}
	for k, over := range c.over {
		if !over.IsZero() {
			c.forget[k] = over.Add(keepOver)
		}
	}
	return c
}

// covers reports whether now lies in the calendar's day.
func (c *calendar) covers(now time.Time) bool {
	at := now.Unix()
	return c.start <= at && at < c.end
}

// wait returns how long it is until the period ends; 0 for never.
func (c *calendar) wait(k kind, now time.Time) time.Duration {
	if c.over[k].IsZero() {
		return 0
	}
	return c.over[k].Sub(now)
}
