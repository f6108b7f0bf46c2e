package portal

import (
	"strings"
	"time"
)

// An OverviewPage is the first page of the portal. What somebody may not see is left
// out.
type OverviewPage struct {
	Asked     bool // what needs attention is known
	Attention []Attention
	More      bool // there is more that needs attention
	Tiles     []Tile
	Chart     *Chart // the last day; nil without the permission
	Newest    []Key
	Sparks    map[string]Spark
	Steps     *FirstSteps  // nil for who has made them
	Server    *ServerState // for administrators
}

func (OverviewPage) page() string { return "overview" }

// pressing is how many things that need attention are shown at once.
const pressing = 5

// Pressing are the most urgent of what needs attention.
func (v OverviewPage) Pressing() []Attention { return v.Attention[:min(len(v.Attention), pressing)] }

// Rest is what needs attention beside.
func (v OverviewPage) Rest() []Attention { return v.Attention[min(len(v.Attention), pressing):] }

// An Attention is something that somebody should look at, as the API shows it.
type Attention struct {
	Kind     string    `json:"kind"`
	Severity string    `json:"severity"` // serious or warning
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Owner    string    `json:"owner"`
	Until    time.Time `json:"until"`
	Message  string    `json:"message"`
	URL      string    `json:"-"` // of its page; "" for none
}

// Path is the page of the thing below the portal, "" where there is none.
func (a Attention) Path() string {
	switch {
	case strings.HasPrefix(a.Kind, "key_") && strings.HasPrefix(a.ID, "key_"):
		return "keys/" + a.ID
	case strings.HasPrefix(a.Kind, "client_"):
		return "apps/" + a.ID
	case strings.HasPrefix(a.Kind, "webhook_"):
		return "webhooks/" + a.ID
	}
	return ""
}

// Serious reports whether something is refused or lost, or soon will be.
func (a Attention) Serious() bool { return a.Severity == "serious" }

// FirstSteps are for somebody who has done nothing yet.
type FirstSteps struct {
	Key *Key   // that was made already, the newest; nil for none
	Try string // a command that uses it; "" where none is known
}

// A ServerState is how the server is.
type ServerState struct {
	Parts []Part // those that need a look
	Tiles []Tile
	Chart Chart
}

// A Part is a part of the server, as the API shows it.
type Part struct {
	Name    string `json:"name"`
	Status  string `json:"status"` // ok, warning, failed or off
	Message string `json:"message"`
}

// Failed reports whether it does not work at all.
func (p Part) Failed() bool { return p.Status == "failed" }

// NeedsALook reports whether something is wrong with it.
func (p Part) NeedsALook() bool { return p.Status == "failed" || p.Status == "warning" }
