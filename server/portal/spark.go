package portal

import (
	"fmt"
	"strings"
)

// A Spark is a small picture of numbers over time. The zero value has none.
type Spark struct{ Values []int64 }

// Sizes of a Spark in CSS pixels.
const (
	sparkWide = 88.0
	sparkHigh = 22.0
)

// Sum is all of it.
func (s Spark) Sum() int64 {
	var sum int64
	for _, v := range s.Values {
		sum += max(v, 0)
	}
	return sum
}

// Short is the sum in few characters.
func (s Spark) Short() string { return compact(float64(s.Sum())) }

// Says is the picture in words.
func (s Spark) Says() string { return count(s.Sum(), "request", "requests") }

// Line is the path of the line.
func (s Spark) Line() string {
	most := int64(1)
	for _, v := range s.Values {
		most = max(most, v)
	}
	var b strings.Builder
	for i, v := range s.Values {
		x, y := 1+(sparkWide-2)*float64(i)/float64(max(len(s.Values)-1, 1)), sparkHigh-1.5-(sparkHigh-3)*float64(max(v, 0))/float64(most)
		fmt.Fprintf(&b, "%c%s %s", "ML"[min(i, 1)], short(x), short(y))
	}
	return b.String()
}

// Area is the path of what is below the line.
func (s Spark) Area() string {
	if len(s.Values) < 2 {
		return ""
	}
	return s.Line() + fmt.Sprintf("V%sH1z", short(sparkHigh))
}
