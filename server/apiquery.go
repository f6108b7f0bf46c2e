package server

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A query reads the parameters of a call, and notes what is wrong with any of
// them, so that all of it is said at once.
type query struct {
	values url.Values
	known  []string
	problems
}

func newQuery(r *http.Request) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.add("query", "cannot be read: write special characters as %%XX")
	}
	return q
}

// text returns a parameter, "" where it is not given.
func (q *query) text(name string) string {
	q.known = append(q.known, name)
	values := q.values[name]
	if len(values) > 1 {
		q.add(name, "is given twice")
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// one returns a parameter that is one of a few words; the first is what counts
// where it is not given.
func (q *query) one(name string, words ...string) string {
	text := q.text(name)
	if text == "" {
		return words[0]
	}
	if !slices.Contains(words, text) {
		q.add(name, "must be %s", strings.TrimPrefix(strings.Join(words, " or "), " or "))
		return words[0]
	}
	return text
}

// flag returns a parameter that is true or false.
func (q *query) flag(name string) bool { return q.one(name, "false", "true") == "true" }

// number returns a whole number from 1 to most, or usual where it is not given.
func (q *query) number(name string, usual, most int) int {
	text := q.text(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		q.add(name, "must be a number from 1 to %d", most)
		return usual
	}
	return n
}

// time returns an instant, zero where it is not given. A date is its midnight, UTC.
func (q *query) time(name string) time.Time {
	text := q.text(name)
	if text == "" {
		return time.Time{}
	}
	// A plus sign that was not written as %2B arrives as a space.
	at, err := time.Parse(time.RFC3339, strings.ReplaceAll(text, " ", "+"))
	if err != nil {
		at, err = time.Parse(time.DateOnly, text)
	}
	if err != nil || at.Year() < 1970 || at.Year() > 9999 {
		q.add(name, "must be a time, such as 2026-11-27T08:00:00Z, or a date, such as 2026-11-27")
		return time.Time{}
	}
	return at.UTC()
}

// end is the answer that names every problem, nil where there is none. A
// parameter that nobody asked for is one: a misspelt filter would choose
// everything.
func (q *query) end() error {
	unknown := make([]string, 0, len(q.values))
	for name := range q.values {
		if !slices.Contains(q.known, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		q.add(shown(name), "is not a parameter of this call; it has %s", strings.Join(q.known, ", "))
	}
	return q.err()
}
