package portal

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A legendItem is what a series looks like, and its name.
type legendItem struct {
	Tone        int
	Name, Total string
}

// Legend names the series.
func (c Chart) Legend() []legendItem {
	list := make([]legendItem, len(c.Series))
	for n, s := range c.Series {
		list[n] = legendItem{tone(n), s.Name, s.Total}
	}
	return list
}

// A numberRow is what the table behind a chart says of one time.
type numberRow struct {
	Time  *moment
	Cells []string
}

// Rows are the numbers as a table, the newest first. Times of which there is nothing to
// say are left out.
func (c Chart) Rows() []numberRow {
	var rows []numberRow
	for i := len(c.Times) - 1; i >= 0; i-- {
		if c.words(i) == "" {
			continue
		}
		row := numberRow{Time: momentOf(c.Times[i])}
		for _, s := range c.Series {
			row.Cells = append(row.Cells, c.cell(s.at(i)))
		}
		rows = append(rows, row)
	}
	return rows
}

func (c Chart) cell(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case c.Lines:
		return millis(v)
	}
	return whole(v)
}

// ByDay reports whether its times are days of UTC.
func (c Chart) ByDay() bool { return c.Step >= day }

// Says is the chart in words, for those who do not see it.
func (c Chart) Says() string {
	var b strings.Builder
	b.WriteString(c.Title)
	if c.Unit != "" {
		b.WriteString(" " + c.Unit)
	}
	if n := len(c.Times); n > 0 {
		fmt.Fprintf(&b, ", from %s to %s", c.when(c.Times[0]), c.when(c.Times[n-1]))
	}
	b.WriteString(".")
	for _, s := range c.Series {
		least, most, at := math.NaN(), math.NaN(), 0
		for i := range c.Times {
			if v := s.at(i); !math.IsNaN(v) {
				if !(v <= most) {
					most, at = v, i
				}
				if !(v >= least) {
					least = v
				}
			}
		}
		switch {
		case math.IsNaN(most):
			continue
		case c.Lines:
			fmt.Fprintf(&b, " %s: between %s and %s.", s.Name, millis(least), millis(most))
		case most == 0:
			fmt.Fprintf(&b, " %s: none.", s.Name)
		default:
			fmt.Fprintf(&b, " %s: %s in all, at most %s, on %s.", s.Name, s.Total, whole(most), c.when(c.Times[at]))
		}
	}
	return b.String()
}

// when writes one of its times in UTC.
func (c Chart) when(t time.Time) string {
	if c.ByDay() {
		return moment{t}.HumanDay()
	}
	return moment{t}.Human()
}
