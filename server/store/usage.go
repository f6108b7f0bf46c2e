package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"wavegate/server/usage"
)

var _ usage.Store = (*Store)(nil)

// sweptAtOnce is how many counts, or deliveries, one transaction removes.
const sweptAtOnce = 1000

// What tells the rows of usage apart, and what they hold. Whoever changes
// usage.Bounds changes the columns l0 to l13 with a migration.
const (
	usageKey     = "span, start, key_id, owner, client, route"
	usageCounts  = "requests, errors, bytes_in, bytes_out, l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11, l12, l13"
	refusalsInto = "usage_refusals (" + usageKey + ", code, count)"
)

// spans are all there are, the shortest first.
var spans = [...]usage.Span{usage.Minute, usage.Hour, usage.Day}

// A place is a row of usage.
type place struct {
	span  usage.Span
	start int64
	usage.Dims
}

func (p place) args() []any {
	return []any{int64(p.span), p.start, p.Key, p.Owner, p.Client, p.Route}
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.span, b.span), cmp.Compare(a.start, b.start), strings.Compare(a.Key, b.Key),
		strings.Compare(a.Owner, b.Owner), strings.Compare(a.Client, b.Client), strings.Compare(a.Route, b.Route))
}

// places adds up counts by minute, hour and day. Names are mended, since counts
// that cannot be stored would be tried for ever, with all that come with them.
func places(buckets []usage.Bucket) map[place]*usage.Counts {
	all := make(map[place]*usage.Counts, 2*len(buckets))
	for i := range buckets {
		b := &buckets[i]
		dims := usage.Dims{Key: mended(b.Key), Owner: mended(b.Owner), Client: mended(b.Client), Route: mended(b.Route)}
		for _, span := range spans {
			at := place{span, millis(span.Of(b.Start)), dims}
			if all[at] == nil {
				all[at] = &usage.Counts{}
			}
			all[at].Add(&b.Counts)
		}
	}
	return all
}

// AddUsage implements usage.Store. It is one transaction, so that what was
// refused can be added again: a few thousand buckets at once are right. Rows are
// touched in one order by all processes, so that none waits crosswise.
func (s *Store) AddUsage(ctx context.Context, buckets []usage.Bucket) error {
	if len(buckets) == 0 {
		return nil
	}
	counts := places(buckets)
	order := slices.SortedFunc(maps.Keys(counts), comparePlaces)
	refused := refusals(order, counts)
	return s.write(ctx, "add usage", func(ctx context.Context, c conn) error {
		err := insert(ctx, c, "usage ("+usageKey+", "+usageCounts+")", row(6+columns(usageCounts)),
			" ON CONFLICT ("+usageKey+") DO UPDATE SET "+adding("usage", usageCounts), order,
			func(p place) []any { return append(p.args(), countValues(counts[p])...) })
		if err != nil {
			return err
		}
		return insert(ctx, c, refusalsInto, row(8),
			" ON CONFLICT ("+usageKey+", code) DO UPDATE SET "+adding("usage_refusals", "count"), refused, refusal.args)
	})
}

// columns counts the names in a list.
func columns(list string) int { return strings.Count(list, ",") + 1 }

// row is the parameters of a row of n columns.
func row(n int) string { return "(?" + strings.Repeat(", ?", n-1) + ")" }

// adding adds what is inserted to what is there.
func adding(table, columns string) string {
	var terms []string
	for name := range strings.SplitSeq(columns, ", ") {
		terms = append(terms, fmt.Sprintf("%[2]s = %[1]s.%[2]s + excluded.%[2]s", table, name))
	}
	return strings.Join(terms, ", ")
}

// countValues are the columns usageCounts.
func countValues(c *usage.Counts) []any {
	values := []any{c.Requests, c.Errors, c.BytesIn, c.BytesOut}
	for _, n := range c.Latency {
		values = append(values, n)
	}
	return values
}

// A refusal is a row of usage_refusals.
type refusal struct {
	place
	code  string
	count int64
}

func (r refusal) args() []any { return append(r.place.args(), r.code, r.count) }

// refusals are those of the counts, in the order of their primary key.
func refusals(order []place, counts map[place]*usage.Counts) []refusal {
	var all []refusal
	for _, p := range order {
		byCode := map[string]int64{}
		for code, n := range counts[p].Refusals {
			byCode[mended(code)] += n
		}
		for _, code := range slices.Sorted(maps.Keys(byCode)) {
			all = append(all, refusal{p, code, byCode[code]})
		}
	}
	return all
}

// SweepUsage implements usage.Store. The limit is of rows.
func (s *Store) SweepUsage(ctx context.Context, before map[usage.Span]time.Time, limit int) (int, error) {
	total := 0
	for _, span := range spans {
		until, ok := before[span]
		if !ok {
			continue
		}
		for _, table := range []struct{ name, key string }{{"usage", usageKey}, {"usage_refusals", usageKey + ", code"}} {
			n, err := s.sweepCounts(ctx, table.name, table.key, span, until, limit-total)
			if total += n; err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

// sweepCounts removes at most limit rows of one span, a part in each
// transaction.
func (s *Store) sweepCounts(ctx context.Context, table, key string, span usage.Span, before time.Time, limit int) (int, error) {
	total := 0
	for total < limit {
		n, want := 0, min(sweptAtOnce, limit-total)
		err := s.write(ctx, "sweep usage", func(ctx context.Context, c conn) (err error) {
			n, err = c.exec(ctx, fmt.Sprintf("DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE span = ? AND start < ? ORDER BY %[2]s LIMIT ?%[3]s)",
				table, key, c.skipLocked), int64(span), millis(before), want)
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; n < want {
			break
		}
		wait(ctx, breath)
	}
	return total, nil
}
