package portal

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A colour is red, green and blue in sRGB, each from 0 to 1.
type colour [3]float64

var errColour = errors.New("a colour is written #rrggbb, for example #0a7d55")

func parseColour(s string) (colour, error) {
	digits, ok := strings.CutPrefix(s, "#")
	if !ok || len(digits) != 6 {
		return colour{}, errColour
	}
	v, err := strconv.ParseUint(digits, 16, 32)
	if err != nil {
		return colour{}, errColour
	}
	return colour{float64(v>>16) / 255, float64(v>>8&255) / 255, float64(v&255) / 255}, nil
}

func (c colour) String() string {
	b := func(v float64) int { return int(math.Round(v * 255)) }
	return fmt.Sprintf("#%02x%02x%02x", b(c[0]), b(c[1]), b(c[2]))
}

// mix returns c with a share of d, from 0 to 1, as it is shown: in 8 bits each.
func (c colour) mix(d colour, share float64) colour {
	for i := range c {
		c[i] = math.Round((c[i]+(d[i]-c[i])*share)*255) / 255
	}
	return c
}

// luminance is the relative luminance of WCAG 2.2.
func (c colour) luminance() float64 {
	linear := func(v float64) float64 {
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b colour) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// away moves c towards an end, black or white, until it stands out from each
// ground with at least the ratio.
func (c colour) away(end colour, ratio float64, grounds ...colour) colour {
	for step := range 101 {
		moved := c.mix(end, float64(step)/100)
		enough := true
		for _, ground := range grounds {
			enough = enough && contrast(moved, ground) >= ratio
		}
		if enough {
			return moved
		}
	}
	return end
}

var (
	black = colour{0, 0, 0}
	white = colour{1, 1, 1}
)

// readable is the ratio that WCAG 2.2 asks of text (AA).
const readable = 4.5

// A ground is what one theme of assets/style.css shows colours on.
type ground struct {
	paper, surface, sunken string  // as in the stylesheet
	end                    colour  // where colours go to stand out from it
	tint                   float64 // share of the accent in what it tints
	least                  float64 // contrast below which a button would vanish
}

var (
	lightGround = ground{paper: "#f5f8f9", surface: "#ffffff", sunken: "#eef3f5", end: black, tint: 0.1, least: 1.4}
	darkGround  = ground{paper: "#0b1318", surface: "#121c23", sunken: "#0e171d", end: white, tint: 0.2, least: 2.2}
)

// style returns the custom properties for an accent: text in it can be read on
// every ground, a button keeps the very colour unless it would vanish, and its
// label can be read.
func (g ground) style(accent colour) string {
	var grounds []colour
	for _, s := range []string{g.paper, g.surface, g.sunken} {
		c, _ := parseColour(s)
		grounds = append(grounds, c)
	}
	tint := grounds[1].mix(accent, g.tint)
	text := accent.away(g.end, readable, append(grounds, tint)...)
	fill := accent.away(g.end, g.least, grounds...)
	label, hover := white, black
	if contrast(fill, white) < readable {
		label, hover = black, white
	}
	return fmt.Sprintf("--accent: %v; --accent-strong: %v; --tint: %v; --fill: %v; --fill-strong: %v; --on-fill: %v;",
		text, text.mix(g.end, 0.25), tint, fill, fill.mix(hover, 0.18), label)
}

// brandStyle is the stylesheet that puts an accent in the place of wavegate's.
func brandStyle(accent colour) string {
	return ":root { " + lightGround.style(accent) + " }\n" +
		"@media (prefers-color-scheme: dark) { :root { " + darkGround.style(accent) + " } }\n"
}
