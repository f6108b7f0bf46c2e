package portal

import "time"

// A UsageRange is how far back a page looks, and how its charts are divided.
type UsageRange struct {
	Word  string        // in addresses
	Name  string        // for people
	Last  string        // "the last hour"
	Span  string        // of the API's rows: minute, hour or day
	Step  time.Duration // of the charts
	Count int           // steps
	Unit  string        // of a count
}

// UsageRanges are all of them, the shortest first. A page with its charts and tables
// stays small: none has more than sixty steps.
func UsageRanges() []UsageRange {
	return []UsageRange{
		{"1h", "1 hour", "the last hour", "minute", time.Minute, 60, "per minute"},
		{"24h", "24 hours", "the last 24 hours", "hour", time.Hour, 24, "per hour"},
		{"7d", "7 days", "the last 7 days", "hour", 6 * time.Hour, 28, "per 6 hours"},
		{"30d", "30 days", "the last 30 days", "day", day, 30, "per day"},
		{"90d", "90 days", "the last 90 days", "day", 3 * day, 30, "per 3 days"},
		{"1y", "1 year", "the last year", "day", 14 * day, 26, "per 2 weeks"},
		{"2y", "2 years", "the last two years", "day", 28 * day, 26, "per 4 weeks"},
	}
}

// UsageRangeOf finds a range by its word; what is no word is 24 hours.
func UsageRangeOf(word string) UsageRange {
	ranges := UsageRanges()
	for _, r := range ranges {
		if r.Word == word {
			return r
		}
	}
	return ranges[1]
}

// Times are the beginnings of the steps; now lies in the last. Those of less than a
// day begin at multiples of it, others at midnight (UTC).
func (r UsageRange) Times(now time.Time) []time.Time {
	unit := min(r.Step, day)
	end := now.UTC().Truncate(unit).Add(unit)
	times := make([]time.Time, r.Count)
	for i := range times {
		times[i] = end.Add(-time.Duration(r.Count-i) * r.Step)
	}
	return times
}
