package portal

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A Chart is a picture of numbers over time: bars that stand on each other, or lines.
// The zero value is for somebody who may not see the numbers.
type Chart struct {
	ID     string // names it on its page, where no other has the same
	Title  string
	Unit   string // "per hour"; "" for none
	Lines  bool   // lines of milliseconds; otherwise bars of counts
	Times  []time.Time
	Step   time.Duration // from each time to the next
	Series []Series
	None   string // a sentence for when nothing was measured at all
	CSV    string // address of the numbers as a file; "" for none
}

// A Series is one kind of numbers of a chart, one for each of its times. NaN is where
// nothing was measured.
type Series struct {
	Name   string
	Values []float64
	Total  string // beside the name; "" for none
}

// Sizes of the picture in its own units. Its height is that of the page in CSS pixels,
// so that stripes stay as they are; its width is stretched.
const (
	chartWide = 1000.0
	chartHigh = 180.0
	leastHigh = 1.5 // of a bar that is not 0
)

// Blank reports whether nothing was measured.
func (c Chart) Blank() bool {
	for _, s := range c.Series {
		for _, v := range s.Values {
			if v > 0 || c.Lines && v == 0 {
				return false
			}
		}
	}
	return true
}

// Empty is what a chart without numbers says.
func (c Chart) Empty() string {
	switch {
	case c.Title == "":
		return "You have no permission to see usage (usage:read)."
	case c.None == "":
		return "Nothing was measured."
	}
	return c.None
}

// A drawing is a chart in the words of SVG.
type drawing struct {
	Above  []string // labels of the vertical axis, the highest first
	Grid   string   // path
	Shapes []stroke
	Hovers []hover
	Along  []tick
}

// A stroke is the path of one series.
type stroke struct {
	Tone int // 1 to 4, the class
	Path string
	Dots string // path of the numbers that stand alone; "" for none
}

// A hover is the area over one time, and what it says.
type hover struct{ X, Wide, Words string }

// A tick is what stands below one time; most have nothing.
type tick struct {
	At    *moment // nil for nothing
	As    string  // how it is shown: hour, weekday, day or month
	Words string  // in UTC, for those without scripts
	Minor bool    // left out where there is little room
}

// Drawing draws the chart.
func (c Chart) Drawing() drawing {
	ticks := niceTicks(c.most(), !c.Lines)
	d := drawing{Hovers: c.hovers(), Along: c.along()}
	top := ticks[len(ticks)-1]
	var grid strings.Builder
	for i, t := range ticks {
		d.Above = append(d.Above, c.label(ticks[len(ticks)-1-i]))
		fmt.Fprintf(&grid, "M0 %sH%s", short(chartHigh-chartHigh*t/top), short(chartWide))
	}
	d.Grid = grid.String()
	if c.Lines {
		d.Shapes = c.lines(top)
	} else {
		d.Shapes = c.bars(top)
	}
	return d
}

// label writes a number of the vertical axis.
func (c Chart) label(v float64) string {
	if c.Lines {
		return millis(v)
	}
	return compact(v)
}

// most is the highest that is to be drawn.
func (c Chart) most() float64 {
	most := 0.0
	for i := range c.Times {
		sum := 0.0
		for _, s := range c.Series {
			switch v := s.at(i); {
			case math.IsNaN(v):
			case c.Lines:
				sum = max(sum, v)
			default:
				sum += v
			}
		}
		most = max(most, sum)
	}
	return most
}

// at is the number of a time, NaN where there is none.
func (s Series) at(i int) float64 {
	if i >= len(s.Values) || s.Values[i] < 0 {
		return math.NaN()
	}
	return s.Values[i]
}

// bars draws the series on each other, the first at the bottom. What is not 0 can be
// seen, however little it is.
func (c Chart) bars(top float64) []stroke {
	paths := make([]strings.Builder, len(c.Series))
	wide := chartWide / float64(max(len(c.Times), 1))
	for i := range c.Times {
		foot := chartHigh
		for n, s := range c.Series {
			v := s.at(i)
			if !(v > 0) {
				continue
			}
			head := max(foot-max(chartHigh*v/top, leastHigh), 0)
			fmt.Fprintf(&paths[n], "M%s %sV%sh%sV%sz", short((float64(i)+.12)*wide), short(foot), short(head), short(.76*wide), short(foot))
			foot = head
		}
	}
	return strokes(paths, nil)
}

// lines draws each series from time to time, with gaps where nothing was measured. A
// number alone between two gaps is a dot.
func (c Chart) lines(top float64) []stroke {
	paths, dots := make([]strings.Builder, len(c.Series)), make([]strings.Builder, len(c.Series))
	wide := chartWide / float64(max(len(c.Times), 1))
	for n, s := range c.Series {
		for i := range c.Times {
			v := s.at(i)
			if math.IsNaN(v) {
				continue
			}
			x, y := short((float64(i)+.5)*wide), short(chartHigh-chartHigh*v/top)
			switch {
			case i > 0 && !math.IsNaN(s.at(i-1)):
				fmt.Fprintf(&paths[n], "L%s %s", x, y)
			case math.IsNaN(s.at(i + 1)):
				fmt.Fprintf(&dots[n], "M%s %sh0", x, y)
			default:
				fmt.Fprintf(&paths[n], "M%s %s", x, y)
			}
		}
	}
	return strokes(paths, dots)
}

// maxTones is how many series can be told apart; the others look like the last.
const maxTones = 4

func strokes(paths, dots []strings.Builder) []stroke {
	var list []stroke
	for n := range paths {
		one := stroke{Tone: tone(n), Path: paths[n].String()}
		if dots != nil {
			one.Dots = dots[n].String()
		}
		if one.Path+one.Dots != "" {
			list = append(list, one)
		}
	}
	return list
}

// tone is the class of a series.
func tone(n int) int { return min(n+1, maxTones) }

// hovers are the areas that say their numbers.
func (c Chart) hovers() []hover {
	var list []hover
	wide := 100 / float64(max(len(c.Times), 1))
	for i, t := range c.Times {
		if words := c.words(i); words != "" {
			list = append(list, hover{short(float64(i)*wide) + "%", short(wide) + "%", c.when(t) + ": " + words})
		}
	}
	return list
}

// words say the numbers of one time, "" where there are none.
func (c Chart) words(i int) string {
	var parts []string
	for _, s := range c.Series {
		v := s.at(i)
		switch {
		case math.IsNaN(v), !c.Lines && v == 0:
		case c.Lines:
			parts = append(parts, s.Name+" "+millis(v))
		default:
			parts = append(parts, whole(v)+" "+lowerFirst(s.Name))
		}
	}
	return strings.Join(parts, ", ")
}
