package portal

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var chartStart = time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)

// hours are the beginnings of n hours.
func hours(n int) []time.Time {
	times := make([]time.Time, n)
	for i := range times {
		times[i] = chartStart.Add(time.Duration(i) * time.Hour)
	}
	return times
}

// show renders a page of the portal for somebody who may do anything.
func show(t interface{ Fatal(...any) }, v View) string {
	p, err := New("/", Branding{})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Show(&b, Frame{Title: "Page", Base: "/_portal/", Person: Person{ID: "usr_1", Name: "Ann", Admin: true}}, v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTicksAreRoundEvenAndReachWhatIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most, whole := rapid.Float64Range(1e-3, 1e18).Draw(t, "most"), rapid.Bool().Draw(t, "whole")
		ticks := niceTicks(most, whole)
		step := ticks[1]
		if n := len(ticks); n < 2 || n > 5 || ticks[0] != 0 || ticks[n-1] < most || ticks[n-2] >= most {
			t.Fatalf("%v for %v", ticks, most)
		}
		for i, tick := range ticks {
			if math.Abs(tick-float64(i)*step) > step/1e9 || whole && tick != math.Trunc(tick) {
				t.Fatalf("%v for %v", ticks, most)
			}
		}
		mantissa := step / math.Pow(10, math.Floor(math.Log10(step)+1e-9))
		if !regexp.MustCompile(`^(1|2|2\.5|5)$`).MatchString(strconv.FormatFloat(mantissa, 'g', 6, 64)) {
			t.Fatalf("the step %v is not round", step)
		}
	})
	for _, none := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if diff := cmp.Diff([]float64{0, 1}, niceTicks(none, true)); diff != "" {
			t.Errorf("%v: %s", none, diff)
		}
	}
}

func TestNumbersAreShort(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{compact(0), "0"},
		{compact(999), "999"},
		{compact(1000), "1K"},
		{compact(1234), "1.2K"},
		{compact(250_000), "250K"},
		{compact(999_999), "1M"},
		{compact(3.5e12), "3.5T"},
		{compact(9.2e18), "9,200,000T"},
		{millis(0), "0 ms"},
		{millis(2.5), "2.5 ms"},
		{millis(462.4), "462 ms"},
		{millis(1500), "1.5 s"},
		{millis(10000), "10 s"},
		{octets(0), "0 B"},
		{octets(999), "999 B"},
		{octets(1234), "1.2 KB"},
		{octets(math.MaxInt64), "9,223,372 TB"},
		{share(0, 0), "0 %"},
		{share(1, 100_000), "< 0.1 %"},
		{share(27, 1000), "2.7 %"},
		{share(10, 10), "100 %"},
		{lowerFirst("Rate limit"), "rate limit"},
		{lowerFirst("IP address"), "IP address"},
		{lowerFirst(""), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

// TestPicturesStayInTheirFrame draws whatever there is: each number of each path lies
// within the picture, and the page is well-formed.
func TestPicturesStayInTheirFrame(t *testing.T) {
	number := regexp.MustCompile(`([MLHVh])(-?[0-9.]+)(?: (-?[0-9.]+))?`)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "times")
		value := rapid.OneOf(rapid.Just(math.NaN()), rapid.Just(0.0), rapid.Float64Range(0, 10), rapid.Float64Range(0, 9e18))
		c := Chart{ID: "c", Title: "T", Times: hours(n), Step: time.Hour, Lines: rapid.Bool().Draw(t, "lines")}
		for range rapid.IntRange(1, 5).Draw(t, "series") {
			c.Series = append(c.Series, Series{Name: "S", Values: rapid.SliceOfN(value, 0, n).Draw(t, "values")})
		}
		d := c.Drawing()
		for _, s := range d.Shapes {
			for _, m := range number.FindAllStringSubmatch(s.Path+s.Dots, -1) {
				x, y := m[2], m[3]
				if m[1] == "V" {
					x, y = "0", m[2]
				}
				if !within(x, chartWide) || !within(y, chartHigh) {
					t.Fatalf("%s is outside, in %s", m[0], s.Path)
				}
			}
		}
		if len(d.Along) != n || len(d.Hovers) > n {
			t.Fatalf("%d labels and %d hovers for %d times", len(d.Along), len(d.Hovers), n)
		}
	})
}

// within reports whether a text is no number, or one from 0 to most.
func within(text string, most float64) bool {
	v, err := strconv.ParseFloat(text, 64)
	return text == "" || err == nil && v >= 0 && v <= most
}

func TestLinesHaveGapsAndLonelyNumbersAreDots(t *testing.T) {
	nan := math.NaN()
	c := Chart{Lines: true, Times: hours(6), Step: time.Hour, Series: []Series{{Name: "p50", Values: []float64{10, 20, nan, 5, nan, nan}}}}
	want := []stroke{{Tone: 1, Path: "M83.3 90L250 0", Dots: "M583.3 135h0"}}
	if diff := cmp.Diff(want, c.Drawing().Shapes); diff != "" {
		t.Error(diff)
	}
}

func TestBarsStandOnEachOtherAndNoneIsInvisible(t *testing.T) {
	c := Chart{Times: hours(2), Step: time.Hour, Series: []Series{{Name: "A", Values: []float64{1000, 0}}, {Name: "B", Values: []float64{1, 0}}}}
	want := []stroke{
		{Tone: 1, Path: "M60 180V60h380V180z"},
		{Tone: 2, Path: "M60 60V58.5h380V60z"},
	}
	if diff := cmp.Diff(want, c.Drawing().Shapes); diff != "" {
		t.Error(diff)
	}
	if got := len(c.Drawing().Hovers); got != 1 {
		t.Errorf("%d hovers, want 1", got)
	}
}

// TestLabelsAreFewAndEvenlyApart looks at all ranges, at whatever time.
func TestLabelsAreFewAndEvenlyApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.SampledFrom(UsageRanges()).Draw(t, "range")
		now := chartStart.Add(time.Duration(rapid.Int64Range(0, int64(3*365*day)).Draw(t, "now")))
		c := Chart{Times: r.Times(now), Step: r.Step}
		last := c.Times[len(c.Times)-1]
		if now.Before(last) || now.Sub(last) >= r.Step || len(c.Times) != r.Count || c.Times[1].Sub(c.Times[0]) != r.Step {
			t.Fatalf("%s: from %v to %v at %v", r.Word, c.Times[0], last, now)
		}
		var at []int
		for i, tick := range c.Drawing().Along {
			if tick.At != nil {
				at = append(at, i)
			}
		}
		if len(at) < 3 || len(at) > maxLabels {
			t.Fatalf("%s: %d labels", r.Word, len(at))
		}
		for i := 2; i < len(at); i++ {
			if at[i]-at[i-1] != at[1]-at[0] {
				t.Fatalf("%s: labels at %v", r.Word, at)
			}
		}
	})
}

func TestChartsSayEverythingWithoutThePicture(t *testing.T) {
	c := Chart{
		ID: "requests", Title: "Requests", Unit: "per hour", CSV: "/v1/auth/usage?format=csv", Times: hours(3), Step: time.Hour,
		Series: []Series{{"Answered", []float64{5, 1200, 0}, "1,205"}, {"Refused", []float64{0, 3, 0}, "3"}},
	}
	page := show(t, KeyPage{Usage: c})
	for _, want := range []string{
		`aria-label="Requests per hour, from 9 Mar 2026, 00:00 UTC to 9 Mar 2026, 02:00 UTC. Answered: 1,205 in all, at most 1,200, on 9 Mar 2026, 01:00 UTC. Refused: 3 in all, at most 3, on 9 Mar 2026, 01:00 UTC."`,
		`<title>9 Mar 2026, 01:00 UTC: 1,200 answered, 3 refused</title>`,
		`<tr><th scope="row"><time datetime="2026-03-09T01:00:00Z">9 Mar 2026, 01:00 UTC</time></th><td>1,200</td><td>3</td></tr>`,
		`<summary>As a table</summary>`, `<a href="/v1/auth/usage?format=csv" download data-plain>CSV</a>`,
		`Refused <strong>3</strong>`, `fill="url(#requests-stripes)"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page, "02:00 UTC</time></th>") {
		t.Error("a time of which there is nothing to say is in the table")
	}
	if regexp.MustCompile(`\sstyle=|<style|\son[a-z]+=`).MatchString(page) {
		t.Error("something is inline")
	}
	svg := regexp.MustCompile(`(?s)<svg viewBox="0 0 1000 180".*?</svg>`).FindString(page)
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
	}
}

func TestChartsWithoutNumbersSayWhy(t *testing.T) {
	for name, tt := range map[string]struct {
		c    Chart
		want string
	}{
		"no permission": {Chart{}, "You have no permission to see usage (usage:read)."},
		"nothing":       {Chart{Title: "T", None: "No requests.", Times: hours(1), Series: []Series{{Values: []float64{0}}}}, "No requests."},
		"no words":      {Chart{Title: "T", Lines: true, Times: hours(1), Series: []Series{{Values: []float64{math.NaN()}}}}, "Nothing was measured."},
	} {
		if page := show(t, KeyPage{Usage: tt.c}); !strings.Contains(page, tt.want) || strings.Contains(page, "<figure") {
			t.Errorf("%s: the page does not say %q", name, tt.want)
		}
	}
}

func TestSparks(t *testing.T) {
	for _, tt := range []struct {
		s                 Spark
		line, area, short string
	}{
		{Spark{}, "", "", "0"},
		{Spark{[]int64{5}}, "M1 1.5", "", "5"},
		{Spark{[]int64{0, 1500, 750}}, "M1 20.5L44 1.5L87 11", "M1 20.5L44 1.5L87 11V22H1z", "2.2K"},
		{Spark{[]int64{0, 0}}, "M1 20.5L87 20.5", "M1 20.5L87 20.5V22H1z", "0"},
	} {
		if tt.s.Line() != tt.line || tt.s.Area() != tt.area || tt.s.Short() != tt.short {
			t.Errorf("%v: %q %q %q", tt.s, tt.s.Line(), tt.s.Area(), tt.s.Short())
		}
	}
	page := show(t, KeysPage{Keys: []Key{{ID: "key_1", Name: "busy"}, {ID: "key_2", Name: "idle"}}, Sparks: map[string]Spark{"key_1": {[]int64{1, 2}}}})
	for _, want := range []string{`aria-label="3 requests"`, `<span class="spark none">none</span>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}
