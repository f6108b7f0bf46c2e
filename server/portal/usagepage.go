package portal

import "slices"

// A UsagePage shows what was done, with what.
type UsagePage struct {
	Range   UsageRange
	Ranges  []Choice
	Filters []Filter
	Kept    []Kept
	Tiles   []Tile
	Charts  []Chart
	Shares  []Shares
	Clear   string // address without filters; "" where there are none
	None    *Empty // in place of the numbers, where there are none
}

func (UsagePage) page() string { return "usage" }

// A Choice is a link that chooses one of several.
type Choice struct {
	Name, URL string
	Here      bool
}

// A Filter is a field that narrows a page down.
type Filter struct {
	Name, Label string
	Options     []Option
}

// Kept is a parameter of the address that a form of filters keeps.
type Kept struct{ Name, Value string }

// Shares is a table of who or what made the requests.
type Shares struct {
	ID, Title, Head string
	Rows            []Share
	Left            string // says how many rows are left out; "" for none
}

// A Share is one row of Shares.
type Share struct {
	Name     string
	Sub      string // below it: an ID; "" for none
	URL      string // the page for it alone; "" where there is none
	Requests int64
	Refused  int64
	Errors   int64
	Of       int64 // requests of all rows
	Spark    Spark
	ID       string // as the API names it
}

// Made is how many requests it made.
func (s Share) Made() string { return Thousands(s.Requests) }

// Broke is how many of them failed.
func (s Share) Broke() string { return Thousands(s.Errors) }

// Percent is its share.
func (s Share) Percent() string { return share(s.Requests, s.Of) }

// Bar is the width of its share, of a hundred.
func (s Share) Bar() string {
	if s.Requests <= 0 || s.Of <= 0 {
		return "0"
	}
	return short(max(100*float64(s.Requests)/float64(s.Of), 1))
}

// RefusedPart is how much of it was refused.
func (s Share) RefusedPart() string { return share(s.Refused, s.Requests) }

// Has reports whether any row has a spark.
func (t Shares) Has() bool {
	return slices.ContainsFunc(t.Rows, func(s Share) bool { return len(s.Spark.Values) > 0 })
}
