package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"wavegate/server/usage"
)

// A dimension is a column by which usage is told apart.
type dimension struct {
	name, column string
	value        func(*usagePlace) any // where it is read into
}

// A usagePlace is what the rows of an answer are told apart by.
type usagePlace struct {
	start int64
	usage.Dims
}

// dimensions are in the order in which answers are sorted.
var dimensions = [...]dimension{
	{"time", "start", func(p *usagePlace) any { return &p.start }},
	{"key", "key_id", func(p *usagePlace) any { return &p.Key }},
	{"owner", "owner", func(p *usagePlace) any { return &p.Owner }},
	{"client", "client", func(p *usagePlace) any { return &p.Client }},
	{"route", "route", func(p *usagePlace) any { return &p.Route }},
}

// Usage answers a query, ordered by time and then by the other dimensions. With
// fewer rows than there are, more is true. Without By the answer is one row, of
// zeros where there is nothing. A zero To is no end.
func (s *Store) Usage(ctx context.Context, q usage.Query) (rows []usage.Bucket, more bool, err error) {
	if q.Limit <= 0 {
		return nil, false, nil
	}
	a, err := newAnswer(q)
	if err != nil {
		return nil, false, fmt.Errorf("read usage: %w", err)
	}
	err = s.read(ctx, "read usage", func(ctx context.Context, c conn) error {
		if rows, err = a.counts(ctx, c, q.Limit+1); err != nil {
			return err
		}
		if more = len(rows) > q.Limit; more {
			rows = rows[:q.Limit]
		}
		return a.refusals(ctx, c, rows)
	})
	if err != nil {
		return nil, false, err
	}
	return rows, more, nil
}

// An answer is made by two statements that choose and group alike.
type answer struct {
	span  usage.Span
	by    []dimension
	group string // columns of by; "" for one total
	index string // the end of the name of the index that serves; "" for the primary key
	where string
	args  []any
}

func newAnswer(q usage.Query) (*answer, error) {
	a := &answer{span: q.Span, where: "span = ? AND start >= ?", args: []any{int64(q.Span), millis(q.From)}}
	if !q.To.IsZero() {
		a.where += " AND start < ?"
		a.args = append(a.args, millis(q.To))
	}
	var columns []string
	for _, d := range dimensions {
		if slices.Contains(q.By, d.name) {
			a.by = append(a.by, d)
			columns = append(columns, d.column)
		}
	}
	for _, name := range q.By {
		if !slices.ContainsFunc(dimensions[:], func(d dimension) bool { return d.name == name }) {
			return nil, fmt.Errorf("it cannot be grouped by %q", name)
		}
	}
	a.group = strings.Join(columns, ", ")
	for _, term := range []struct{ column, value, index string }{
		{"route", q.Route, ""}, {"client", q.Client, ""}, {"owner", q.Owner, "_of_owner"}, {"key_id", q.Key, "_of_key"},
	} {
		if term.value != "" {
			a.where += " AND " + term.column + " = ?"
			a.args = append(a.args, mended(term.value))
			a.index = cmp.Or(term.index, a.index)
		}
	}
	return a, nil
}

// counts are the rows without their refusals.
func (a *answer) counts(ctx context.Context, c conn, limit int) ([]usage.Bucket, error) {
	var sums []string
	for name := range strings.SplitSeq(usageCounts, ", ") {
		sums = append(sums, "CAST(COALESCE(SUM("+name+"), 0) AS BIGINT)")
	}
	query := "SELECT " + a.prefix(a.group) + strings.Join(sums, ", ") + " FROM " + a.from(c, "usage") + " WHERE " + a.where
	if a.group != "" {
		query += " GROUP BY " + a.group + " ORDER BY " + a.group
	}
	return list(ctx, c, func(row scanner) (usage.Bucket, error) {
		b := usage.Bucket{Span: a.span}
		dest := []any{&b.Requests, &b.Errors, &b.BytesIn, &b.BytesOut}
		for i := range b.Latency {
			dest = append(dest, &b.Latency[i])
		}
		p, err := a.scan(row, dest)
		b.Start, b.Dims = timeOf(p.start), p.Dims
		return b, err
	}, query+" LIMIT ?", append(a.args[:len(a.args):len(a.args)], limit)...)
}

// from is a table, with the index that serves where the database must be told.
func (a *answer) from(c conn, table string) string {
	if a.index == "" || c.indexedBy == "" {
		return table
	}
	return table + c.indexedBy + table + a.index
}

// prefix is a list of columns before others.
func (a *answer) prefix(columns string) string {
	if columns == "" {
		return ""
	}
	return columns + ", "
}

// scan reads what a row is told apart by, and then the rest.
func (a *answer) scan(row scanner, rest []any) (usagePlace, error) {
	var p usagePlace
	err := row.Scan(append(a.dest(&p), rest...)...)
	return p, err
}

func (a *answer) dest(p *usagePlace) []any {
	var dest []any
	for _, d := range a.by {
		dest = append(dest, d.value(p))
	}
	return dest
}

// refusals adds the refusals of rows, which are the first of the answer.
func (a *answer) refusals(ctx context.Context, c conn, rows []usage.Bucket) error {
	if len(rows) == 0 {
		return nil
	}
	where, args := a.where, slices.Clone(a.args)
	index := make(map[usagePlace]*usage.Bucket, len(rows))
	for i := range rows {
		index[usagePlace{millis(rows[i].Start), rows[i].Dims}] = &rows[i]
	}
	if a.group != "" {
		last := &rows[len(rows)-1]
		where += " AND (" + a.group + ") <= " + row(len(a.by))
		args = append(args, a.dest(&usagePlace{millis(last.Start), last.Dims})...)
	}
	type found struct {
		usagePlace
		code  string
		count int64
	}
	all, err := list(ctx, c, func(row scanner) (f found, err error) {
		f.usagePlace, err = a.scan(row, []any{&f.code, &f.count})
		return f, err
	}, "SELECT "+a.prefix(a.group)+"code, CAST(SUM(count) AS BIGINT) FROM "+a.from(c, "usage_refusals")+" WHERE "+where+
		" GROUP BY "+a.prefix(a.group)+"code", args...)
	for _, f := range all {
		if b := index[f.usagePlace]; b != nil { // none where it was added since
			if b.Refusals == nil {
				b.Refusals = map[string]int64{}
			}
			b.Refusals[f.code] = f.count
		}
	}
	return err
}
