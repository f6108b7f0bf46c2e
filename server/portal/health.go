package portal

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A System is the server as administrators see it.
type System struct {
	Version   string       `json:"version"`
	Go        string       `json:"go"`
	StartedAt time.Time    `json:"started_at"`
	Time      time.Time    `json:"time"`
	Address   string       `json:"address"` // "": it follows from each request
	Store     string       `json:"store"`
	Parts     []SystemPart `json:"parts"`
}

// A SystemPart is something that the server works with.
type SystemPart struct {
	Name    string         `json:"name"`
	Status  string         `json:"status"` // ok, warning, failed or off
	Message string         `json:"message"`
	Details map[string]any `json:"details"`
}

// rank is the order of the states: what is worse comes first.
func (p SystemPart) rank() int {
	return slices.Index([]string{"failed", "warning", "ok", "off"}, p.Status)
}

// Pill is the class of the mark that shows the state.
func (p SystemPart) Pill() string {
	switch p.Status {
	case "ok":
		return "good"
	case "warning":
		return "caution"
	case "failed":
		return "bad"
	}
	return "off"
}

// State is the state as people say it.
func (p SystemPart) State() string {
	switch p.Status {
	case "ok":
		return "Works"
	case "warning":
		return "Look at it"
	case "failed":
		return "Failed"
	case "off":
		return "Not in use"
	}
	return upper(p.Status)
}

// Title is the name as people write it.
func (p SystemPart) Title() string {
	switch p.Name {
	case "api keys":
		return "API keys"
	case "oauth":
		return "OAuth"
	case "audit":
		return "Audit log"
	}
	return upper(plain(p.Name))
}

// Room is the page of the portal about the part; "" where there is none.
func (p SystemPart) Room() string {
	return map[string]string{
		"policy": "policy", "keychain": "access-keys", "api keys": "keys?all=true", "users": "users", "webhooks": "webhooks?all=true", "audit": "audit", "oauth": "signing-keys",
	}[p.Name]
}

// Mark is the ID of its details on the page.
func (p SystemPart) Mark() string { return "part-" + strings.ReplaceAll(p.Name, " ", "-") }

// Facts are the details.
func (p SystemPart) Facts() []Fact {
	var facts []Fact
	for _, name := range slices.Sorted(maps.Keys(p.Details)) {
		title := upper(strings.ReplaceAll(strings.TrimSuffix(plain(name), "_at"), "_", " "))
		facts = append(facts, factOf(title, name, p.Details[name]))
	}
	return facts
}

// factOf makes a fact of a detail, whatever it is.
func factOf(title, name string, value any) Fact {
	switch value := value.(type) {
	case nil:
		return text(title, "")
	case string:
		if when, err := time.Parse(time.RFC3339, value); err == nil && strings.HasSuffix(name, "_at") {
			return at(title, when, "")
		}
		return text(title, value)
	case bool:
		return text(title, strconv.FormatBool(value))
	case float64:
		if name == "bytes" {
			return text("Memory", binarySize(int64(value)))
		}
		return text(title, Thousands(int64(value)))
	}
	written, err := json.Marshal(value)
	if err != nil {
		return text(title, "")
	}
	return code(title, plain(string(written)))
}

// A HealthPage shows how each part of the server is.
type HealthPage struct{ System System }

func (HealthPage) page() string { return "health" }

// Parts are the parts, those that are not well first.
func (v HealthPage) Parts() []SystemPart {
	parts := slices.Clone(v.System.Parts)
	slices.SortStableFunc(parts, func(a, b SystemPart) int { return a.rank() - b.rank() })
	return parts
}

// All is how the server is as a whole.
func (v HealthPage) All() SystemPart {
	bad, odd := int64(0), int64(0)
	for _, p := range v.System.Parts {
		switch p.Status {
		case "failed":
			bad++
		case "warning":
			odd++
		}
	}
	switch {
	case bad > 0:
		return SystemPart{Status: "failed", Message: count(bad, "part does not work.", "parts do not work.")}
	case odd > 0:
		return SystemPart{Status: "warning", Message: count(odd, "part needs a look.", "parts need a look.")}
	}
	return SystemPart{Status: "ok", Message: "All parts that are in use are well."}
}

// Facts are what is said of the server.
func (v HealthPage) Facts() []Fact {
	s := v.System
	address := Fact{Name: "Address", Text: "as each browser knows it", Detail: "--public-url names one"}
	if s.Address != "" {
		address = code("Address", s.Address)
	}
	return []Fact{
		{Name: "Up for", Text: uptime(s.Time.Sub(s.StartedAt))}, at("Started", s.StartedAt, ""), address, text("Store", s.Store),
	}
}

// uptime is how long the server runs, in its greatest unit.
func uptime(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return count(int64(d/(24*time.Hour)), "day", "days")
	case d >= 2*time.Hour:
		return count(int64(d/time.Hour), "hour", "hours")
	case d >= time.Minute:
		return count(int64(d/time.Minute), "minute", "minutes")
	}
	return "less than a minute"
}
