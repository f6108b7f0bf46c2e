package portal

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const day = 24 * time.Hour

// niceTicks are round numbers from 0 to the first that is not below most, evenly
// apart: two at least, five at most. With whole they are whole.
func niceTicks(most float64, whole bool) []float64 {
	if !(most > 0) || math.IsInf(most, 0) {
		return []float64{0, 1}
	}
	step := niceStep(most / 4)
	if whole {
		step = max(step, 1)
	}
	ticks := []float64{0}
	for n := 1.0; ticks[len(ticks)-1] < most; n++ {
		ticks = append(ticks, n*step)
	}
	return ticks
}

// niceStep is the least of 1, 2, 2.5 and 5 times a power of ten that is not below raw,
// but that there is no 2.5.
func niceStep(raw float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, factor := range []float64{1, 2, 2.5, 5} {
		if step := factor * power; step >= raw && !(factor == 2.5 && power == 1) {
			return step
		}
	}
	return 10 * power
}

// maxLabels is how many labels the horizontal axis has at most.
const maxLabels = 8

// along puts labels below the times: below round ones for times of a day, and
// otherwise evenly apart.
func (c Chart) along() []tick {
	ticks := make([]tick, len(c.Times))
	edge := len(c.Times) / 20 // nothing is cut off at the ends
	as, every := c.rhythm()
	apart := 2 // where there is little room
	if as == "weekday" {
		apart = 3
	}
	for i, n := edge, 0; i < len(c.Times)-edge; i++ {
		if c.ByDay() && (len(c.Times)-1-edge-i)%every != 0 || !c.ByDay() && c.Times[i].Unix()%int64(every) != 0 {
			continue
		}
		ticks[i] = tick{At: momentOf(c.Times[i]), As: as, Words: c.Times[i].UTC().Format(layouts[as]), Minor: n%apart != 0}
		n++
	}
	return ticks
}

// layouts are how labels are written without scripts.
var layouts = map[string]string{"hour": "15:04", "weekday": "Mon 15:04", "day": "2 Jan", "month": "Jan 2006"}

// rhythm is how labels are written, and how far they are apart: in seconds below a
// day, in times of the chart otherwise.
func (c Chart) rhythm() (as string, every int) {
	long := c.Step * time.Duration(len(c.Times))
	if c.ByDay() {
		as = "day"
		if long > 200*day {
			as = "month"
		}
		return as, max((len(c.Times)+maxLabels-2)/(maxLabels-1), 1)
	}
	as, step := "hour", 2*day
	if long > day {
		as = "weekday"
	}
	for _, s := range []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day} {
		if s >= c.Step && long <= maxLabels*s {
			step = s
			break
		}
	}
	return as, int(step / time.Second)
}

// short writes a number of a picture: a tenth is fine enough.
func short(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// whole writes a count in full.
func whole(v float64) string {
	if v >= math.MaxInt64 {
		return compact(v)
	}
	return Thousands(int64(v))
}

// compact writes a count in few characters: "950", "1.2K", "35M".
func compact(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "K"}} {
		if v < unit.size*(1-.0005) && !(unit.size == 1e3 && v >= 1e3) {
			continue
		}
		v /= unit.size
		if v >= 100 {
			return Thousands(int64(math.Round(v))) + unit.name
		}
		return short(v) + unit.name
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// millis writes a number of milliseconds.
func millis(v float64) string {
	switch {
	case v >= 1000:
		return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v/1000, 'f', 2, 64), "0"), ".") + " s"
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 0, 64) + " ms"
	}
	return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".") + " ms"
}

// octets writes a number of bytes.
func octets(n int64) string {
	v := float64(n)
	for _, unit := range []string{"B", "KB", "MB", "GB", "TB"} {
		if v < 999.5 || unit == "TB" {
			if unit == "B" || v >= 100 {
				return Thousands(int64(math.Round(v))) + " " + unit
			}
			return short(v) + " " + unit
		}
		v /= 1000
	}
	return ""
}

// share writes a part of a whole.
func share(part, of int64) string {
	if part <= 0 || of <= 0 {
		return "0 %"
	}
	p := 100 * float64(part) / float64(of)
	switch {
	case p < .1:
		return "< 0.1 %"
	case p < 10:
		return short(p) + " %"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + " %"
}

// lowerFirst writes a name within a sentence.
func lowerFirst(name string) string {
	runes := []rune(name)
	if len(runes) > 1 && unicode.IsUpper(runes[0]) && unicode.IsLower(runes[1]) {
		runes[0] = unicode.ToLower(runes[0])
	}
	return string(runes)
}
