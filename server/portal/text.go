package portal

import (
	"strings"
	"time"
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

// A moment is a time as pages show it. Without scripts it is in UTC; with them
// the browser puts it into the reader's own words.
type moment struct{ time.Time }

// Machine is for the datetime attribute (RFC 3339).
func (m moment) Machine() string { return m.UTC().Format(time.RFC3339) }

// Human is for people.
func (m moment) Human() string { return m.UTC().Format("2 Jan 2006, 15:04 UTC") }

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
