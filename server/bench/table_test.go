//go:build linux

package bench

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A row is one line of the table.
type row struct {
	what     string
	measured string
	ratio    string // of rates; "" where nothing is compared
	byCost   string // of processor times; "" where it says nothing
	reach    string // "" where the row is there to compare with
	ok       bool
}

// verdict is the last cell.
func (r row) verdict() string {
	switch {
	case r.reach == "":
		return "-"
	case r.ok:
		return "ok"
	}
	return "short"
}

// A table gathers rows, and notes that stand below it.
type table struct {
	rows  []row
	notes []string
}

func (tb *table) add(r row) { tb.rows = append(tb.rows, r) }

// atLeast adds a ratio of rates that should not be lower than reach.
func (tb *table) atLeast(what string, s, base series, reach float64) {
	ratio := s.over(base)
	tb.add(row{
		what: what, measured: perSecond(s.rate()) + " of " + perSecond(base.rate()), ratio: ratio.String(),
		reach: fmt.Sprintf("≥ %.2f", reach), ok: ratio.median >= reach,
	})
}

// compare is atLeast for two servers that do the same; with reach 0 the row is
// there to compare with.
func (tb *table) compare(what string, s, base series, reach float64) {
	tb.atLeast(what, s, base, reach)
	last := &tb.rows[len(tb.rows)-1]
	last.byCost = s.byCost(base).String()
	if reach == 0 {
		last.reach = ""
	}
}

// atMost adds a figure that should not be higher than reach; with reach 0 it is
// there to compare with.
func (tb *table) atMost(what string, value, reach float64, format string) {
	r := row{what: what, measured: fmt.Sprintf(format, value)}
	if reach > 0 {
		r.reach, r.ok = "≤ "+fmt.Sprintf(format, reach), value <= reach
	}
	tb.add(r)
}

// print writes the table as Markdown, aligned for people.
func (tb *table) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s, %d cores, %s/%s, %s\n\n", time.Now().Format(time.DateOnly),
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| what\t| measured\t| ratio\t| by processor time\t| to reach\t| \t|")
	fmt.Fprintln(w, "|"+strings.Repeat("---\t|", 6))
	for _, r := range tb.rows {
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t|\n", r.what, r.measured, r.ratio, r.byCost, r.reach, r.verdict())
	}
	w.Flush()
	for _, note := range tb.notes {
		fmt.Fprintln(out, "\n"+note)
	}
}

// A spread is the median of several rounds, between the lowest and the highest.
type spread struct{ low, median, high float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	v := slices.Sorted(slices.Values(values))
	return spread{v[0], (v[(len(v)-1)/2] + v[len(v)/2]) / 2, v[len(v)-1]}
}

// String returns the median with the range that the rounds had.
func (s spread) String() string { return fmt.Sprintf("%.2f (%.2f–%.2f)", s.median, s.low, s.high) }

// perSecond writes a rate.
func perSecond(rate float64) string { return fmt.Sprintf("%.1fk/s", rate/1000) }
