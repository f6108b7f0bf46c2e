package portal

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An AuditEntry is an entry of the audit log, as the API shows it. What strangers sent
// may stand in any text.
type AuditEntry struct {
	Seq       int64             `json:"seq"`
	At        time.Time         `json:"at"`
	Actor     string            `json:"actor"` // "sub:…", "api_key:…", "cli" …; "" is a stranger
	Method    string            `json:"method"`
	IP        string            `json:"ip"`
	RequestID string            `json:"request_id"`
	Action    string            `json:"action"`
	Target    string            `json:"target"`
	Owner     string            `json:"owner"`
	Outcome   string            `json:"outcome"` // "ok", or what was wrong
	Details   map[string]string `json:"details"`
	Count     int64             `json:"count"`
	Hash      string            `json:"hash"`
}

// Who is the actor as people say it; of a lockout it is who was locked out.
func (e AuditEntry) Who() string {
	if e.Action == "lockout.begin" && e.Target != "" {
		return plain(shorten(e.Target, 40))
	}
	return whoDid(e.Actor)
}

// Did is what was done, up to the name of what it was done to.
func (e AuditEntry) Did() string {
	words := deedOf(e.Action).words
	if e.Thing() == "" { // nothing follows
		for _, end := range []string{" at", " of", " the key"} {
			words = strings.TrimSuffix(words, end)
		}
	}
	return words
}

// Thing names what it was done to; "" where there is nothing to name.
func (e AuditEntry) Thing() string {
	switch e.Action {
	case "credential.refused":
		return plain(e.Details["method"] + " " + e.Details["path"])
	case "key.import", "key.suspicious", "grant.suspicious", "signing_key.rotate", "config.reload", "lockout.begin":
		return ""
	case "lockout.lift":
		return plain(shorten(e.Target, 40))
	case "user.disable", "user.enable", "user.password", "user.roles", "session.end":
		return e.person()
	}
	return plain(shorten(cmp.Or(plain(e.Details["name"]), plain(e.Details["url"]), e.Target), 60))
}

// person is whose account or session it is about.
func (e AuditEntry) person() string {
	switch {
	case e.Owner == "":
		return plain(shorten(e.Target, 15))
	case e.Owner == e.Actor:
		return "their own"
	}
	return whoDid(e.Owner)
}

// Coded reports whether the thing is for machines.
func (e AuditEntry) Coded() bool { return e.Action == "credential.refused" }

// Room is the page of what it was done to, below the portal; "" where there is none.
// Users, access keys and lockouts are for administrators alone.
func (e AuditEntry) Room(admin bool) string {
	kind, _, _ := strings.Cut(e.Target, "_")
	room := map[string]string{"key": "keys/", "client": "apps/", "whk": "webhooks/"}[kind]
	switch {
	case e.Action == "client.delete", e.Action == "webhook.remove", e.Coded():
		return ""
	case room != "":
		return room + e.Target
	case !admin:
		return ""
	case kind == "usr":
		return "users/" + e.Target
	case strings.HasPrefix(e.Action, "access_key."):
		return "access-keys"
	case strings.HasPrefix(e.Action, "lockout."):
		return "lockouts"
	}
	return ""
}

// Pill is the class of the mark that shows the outcome.
func (e AuditEntry) Pill() string {
	switch {
	case e.Outcome == "ok":
		return "good"
	case strings.HasSuffix(e.Action, ".suspicious"), strings.HasPrefix(e.Action, "lockout."):
		return "caution"
	}
	return "bad"
}

// Came is the outcome as people say it.
func (e AuditEntry) Came() string {
	if e.Outcome == "ok" {
		return "Done"
	}
	return upper(strings.ReplaceAll(plain(e.Outcome), "_", " "))
}

// Times is how often it happened within a moment; "" for once.
func (e AuditEntry) Times() string {
	if e.Count < 2 {
		return ""
	}
	return "× " + Thousands(e.Count)
}

// Facts are all that the log says of it.
func (e AuditEntry) Facts() []Fact {
	facts := []Fact{code("Entry", Thousands(e.Seq)), at("Time", e.At, "")}
	add := func(name, value string) {
		if value = plain(value); value != "" {
			facts = append(facts, code(name, value))
		}
	}
	add("Action", e.Action)
	add("Actor", e.Actor)
	add("Proved by", e.Method)
	add("Target", e.Target)
	add("Owner", e.Owner)
	add("Outcome", e.Outcome)
	for _, name := range slices.Sorted(maps.Keys(e.Details)) {
		add(upper(strings.ReplaceAll(plain(name), "_", " ")), e.Details[name])
	}
	add("Address", e.IP)
	add("Request ID", e.RequestID)
	add("Hash", e.Hash)
	return facts
}

// AuditFilters are the parameters that narrow the audit log.
var AuditFilters = []string{"actor", "action", "target", "outcome", "ip", "from", "to"}

// An AuditPage lists what was done, the newest first.
type AuditPage struct {
	Form    Form // what the list is narrowed to
	Entries []AuditEntry
	Export  url.Values // the same filter as the API takes it
	Check   Form       // verifies the log
	Paging  Paging
	None    Empty
}

func (AuditPage) page() string { return "audit" }

func (v AuditPage) form() Form { return v.Form }

// File is the call that answers with the entries as a file.
func (v AuditPage) File(format string) string {
	q := maps.Clone(v.Export)
	if q == nil {
		q = url.Values{}
	}
	q.Set("format", format)
	return "/v1/auth/audit/export?" + q.Encode()
}

// An OptionGroup are options under one heading.
type OptionGroup struct {
	Name    string
	Options []Option
}

// Actions are the actions to choose from.
func (v AuditPage) Actions() []OptionGroup {
	var groups []OptionGroup
	for _, g := range deedGroups {
		group := OptionGroup{Name: g.name}
		for _, d := range g.deeds {
			group.Options = append(group.Options, named(d.action, d.name))
		}
		group.Options = pick(v.Form.Get("action"), group.Options...)
		groups = append(groups, group)
	}
	return groups
}

// OtherAction is what the list is narrowed to where that is none of the actions, such
// as "key." for all that begin so.
func (v AuditPage) OtherAction() string {
	action := v.Form.Get("action")
	if deedOf(action).name != action {
		return ""
	}
	return action
}

// Narrow reports whether one of the filters that are folded away is in use.
func (v AuditPage) Narrow() bool {
	for _, name := range []string{"outcome", "ip", "target"} {
		if v.Form.Get(name) != "" || v.Form.Errors[name] != "" {
			return true
		}
	}
	return false
}

// An AuditReport is what a walk along the log found, as the API says it.
type AuditReport struct {
	OK       bool   `json:"ok"`
	Complete bool   `json:"complete"`
	Checked  int64  `json:"checked"`
	Last     int64  `json:"last"`
	Bad      int64  `json:"bad"` // the first entry that is not as it was written; 0 for none
	Problem  string `json:"problem"`
}

// An AuditVerifyPage verifies the log.
type AuditVerifyPage struct {
	Form   Form
	Report *AuditReport // nil before
}

func (AuditVerifyPage) page() string { return "audit-verify" }

func (v AuditVerifyPage) form() Form { return v.Form }

// Pill is the class of the mark that shows what was found.
func (r AuditReport) Pill() string {
	switch {
	case !r.OK:
		return "bad"
	case !r.Complete:
		return "caution"
	}
	return "good"
}

// Found is it in a few words.
func (r AuditReport) Found() string {
	switch {
	case !r.OK:
		return "Changed"
	case !r.Complete:
		return "Not all checked"
	}
	return "As it was written"
}

// Facts are what was found.
func (r AuditReport) Facts() []Fact {
	facts := []Fact{text("Entries checked", Thousands(r.Checked)), text("Last of them", Thousands(r.Last))}
	if r.Bad != 0 {
		facts = append(facts, text("First bad entry", Thousands(r.Bad)))
	}
	return facts
}
