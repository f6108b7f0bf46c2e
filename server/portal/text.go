package portal

import (
	"cmp"
	"strings"
	"time"
	"unicode"
)

// shorten returns s with at most n characters, and a sign where some are left
// out.
func shorten(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}

// shortenLeft is shorten for what counts from its end, as names of hosts do.
func shortenLeft(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return "…" + string(runes[len(runes)-n+1:])
}

// maxAppName bounds the name of an app in characters.
const maxAppName = 60

// appName returns the name that somebody gave to an app so that it can stand in
// a sentence of ours: it cannot turn the direction of what follows, hide parts of
// itself, be invisible, or paint over its neighbours.
func appName(s string) string {
	return shorten(cmp.Or(plain(s), "An app without a name"), maxAppName)
}

// maxMarks is how many marks may stand on one letter: enough for every living
// script, and too few to reach the next line.
const maxMarks = 3

// plain returns s in one line, without what cannot be seen and without controls
// of direction; joiners stay where they join. A text of nothing else is "".
func plain(s string) string {
	marks, seen := 0, false
	s = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c), unicode.In(c, unicode.Zl, unicode.Zp):
			marks = 0
			return ' '
		case c == '\u200c', c == '\u200d':
			return c
		case unicode.In(c, unicode.C, unicode.Other_Default_Ignorable_Code_Point):
			return -1
		case unicode.Is(unicode.M, c):
			if marks++; marks > maxMarks {
				return -1
			}
			return c
		}
		marks, seen = 0, true
		return c
	}, s)
	if !seen {
		return ""
	}
	return strings.Join(strings.Fields(s), " ")
}

// A moment is a time as pages show it. Without scripts it is in UTC; with them
// the browser puts it into the reader's own words.
type moment struct{ time.Time }

// momentOf returns a time as pages show it, nil for the zero time.
func momentOf(t time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	return &moment{t}
}

// Machine is for the datetime attribute (RFC 3339).
func (m moment) Machine() string { return m.UTC().Format(time.RFC3339) }

// Human is for people.
func (m moment) Human() string { return m.UTC().Format("2 Jan 2006, 15:04 UTC") }

// Day is for the datetime attribute where the day is enough.
func (m moment) Day() string { return m.UTC().Format(time.DateOnly) }

// HumanDay is the day for people.
func (m moment) HumanDay() string { return m.UTC().Format("2 January 2006") }

// browsers and systems are what tells a User-Agent's browser and system, the
// more special first: most browsers claim to be others too.
var (
	browsers = [][2]string{
		{"Edg/", "Edge"},
		{"EdgA/", "Edge"},
		{"EdgiOS/", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
		{"curl/", "curl"},
	}
	systems = [][2]string{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"Windows", "Windows"},
		{"Mac OS X", "macOS"},
		{"CrOS", "ChromeOS"},
		{"Linux", "Linux"},
	}
)

// browserName returns a User-Agent as people would say it: "Firefox on Linux".
// One that it does not know is returned as it is, shortened. Whoever sends a
// User-Agent writes into it what they like, so this is for recognising one's
// own browser and nothing else.
func browserName(agent string) string {
	browser, system := find(browsers, agent), find(systems, agent)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case strings.TrimSpace(agent) == "":
		return "Unknown browser"
	}
	return shorten(agent, 60)
}

func find(signs [][2]string, agent string) string {
	for _, sign := range signs {
		if strings.Contains(agent, sign[0]) {
			return sign[1]
		}
	}
	return ""
}
