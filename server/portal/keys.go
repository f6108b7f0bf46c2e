package portal

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"
)

// A Key is an API key as the API shows it.
type Key struct {
	ID          string          `json:"id"`
	Secret      string          `json:"key"` // in the one answer that reveals it
	Prefix      string          `json:"prefix"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Environment string          `json:"environment"`
	Role        string          `json:"role"`
	Scopes      []string        `json:"scopes"`
	AllowedIPs  []string        `json:"allowed_ips"`
	Metadata    json.RawMessage `json:"metadata"`
	Tier        string          `json:"rate_limit_tier"`
	OpsLimit    int64           `json:"ops_limit"`
	Budget      *Budget         `json:"budget"`
	Owner       string          `json:"owner"`
	Status      string          `json:"status"` // active, deprecated, expired or revoked
	Version     int64           `json:"version"`
	CreatedAt   time.Time       `json:"created_at"`
	ExpiresAt   time.Time       `json:"expires_at"`
	LastUsedAt  time.Time       `json:"last_used_at"`
	Deprecated  time.Time       `json:"deprecated_at"`
	RevokedAt   time.Time       `json:"revoked_at"`
	ReplacedBy  string          `json:"replaced_by"`
	Left        *Left           `json:"left"`
}

// A Budget is how much a key may do.
type Budget struct {
	PerDay   int64 `json:"operations_per_day"`
	PerMonth int64 `json:"operations_per_month"`
}

// Left is what a key has left of what bounds it; nil is no such bound.
type Left struct {
	Operations *OpsLeft `json:"operations"`
	PerDay     *OpsLeft `json:"operations_per_day"`
	PerMonth   *OpsLeft `json:"operations_per_month"`
}

// OpsLeft is what is left of a number of operations.
type OpsLeft struct {
	Limit     int64 `json:"limit"`
	Remaining int64 `json:"remaining"`
}

// Working reports whether the key opens anything.
func (k Key) Working() bool { return k.Status == "active" || k.Status == "deprecated" }

// Pill is the class of the mark that shows the status.
func (k Key) Pill() string {
	switch k.Status {
	case "active":
		return "good"
	case "deprecated":
		return "caution"
	case "revoked":
		return "bad"
	}
	return "off"
}

// StatusName is the status as people say it.
func (k Key) StatusName() string {
	switch k.Status {
	case "active":
		return "Active"
	case "deprecated":
		return "In grace"
	case "expired":
		return "Expired"
	case "revoked":
		return "Revoked"
	}
	return k.Status
}

// Gives is what the key opens, in a few words.
func (k Key) Gives() string {
	var parts []string
	if k.Role != "" {
		parts = append(parts, "role "+k.Role)
	}
	switch n := len(k.Scopes); {
	case n > 3:
		parts = append(parts, strings.Join(k.Scopes[:2], ", ")+" and "+count(int64(n-2), "more scope", "more scopes"))
	case n > 0:
		parts = append(parts, strings.Join(k.Scopes, ", "))
	}
	return cmp.Or(strings.Join(parts, " · "), "public routes alone")
}

// Shown is the beginning of the key as lists show it.
func (k Key) Shown() string { return k.Prefix + "…" }

// A KeysPage lists API keys.
type KeysPage struct {
	Keys   []Key
	Search string
	Filter KeyFilter
	Sort   Sort
	Paging Paging
	Sparks map[string]Spark // requests of the last day by the key's ID
	Owners bool             // says whose each key is
	None   Empty            // where nothing was found
}

// A KeyFilter is what a list of keys is narrowed to.
type KeyFilter struct{ Environment, Status, Owner string }

// Narrowed reports whether anything is left out by choice.
func (v KeysPage) Narrowed() bool { return v.Search != "" || v.Filter != KeyFilter{} }

func (KeysPage) page() string { return "keys" }

// Environments are the choices of a list of keys.
func (v KeysPage) Environments() []Option {
	return pick(v.Filter.Environment, Option{"", "All environments", "", false, false}, named("live", "Live"), named("test", "Test"), named("dev", "Dev"), named("trial", "Trial"))
}

// Statuses are the choices of a list of keys.
func (v KeysPage) Statuses() []Option {
	return pick(v.Filter.Status, named("", "Any status"), named("active", "Active"), named("deprecated", "In grace"), named("expired", "Expired"), named("revoked", "Revoked"))
}

func named(value, name string) Option { return Option{Value: value, Name: name} }

// pick marks the option that is chosen.
func pick(value string, options ...Option) []Option {
	for i := range options {
		options[i].Chosen = options[i].Value == value
	}
	return options
}

// A KeyPage shows one key.
type KeyPage struct {
	Key      Key
	Refusals []Refusal
	Usage    Chart
	Locked   bool
}

func (KeyPage) page() string { return "key" }

// Facts are what is said of a key.
func (v KeyPage) Facts() []Fact {
	k := v.Key
	facts := []Fact{
		code("Begins with", k.Shown()), code("ID", k.ID), text("Environment", k.Environment),
		text("Role", cmp.Or(k.Role, "none")), tags("Scopes", k.Scopes, "none"), tags("Works from", k.AllowedIPs, "everywhere"),
		text("Tier", k.Tier), at("Made", k.CreatedAt, ""), at("Expires", k.ExpiresAt, "never"), at("Last used", k.LastUsedAt, "never"),
	}
	if !k.Deprecated.IsZero() {
		facts = append(facts, at("Rotated", k.Deprecated, ""))
	}
	if !k.RevokedAt.IsZero() {
		facts = append(facts, at("Revoked", k.RevokedAt, ""))
	}
	if len(k.Metadata) > len("{}") {
		facts = append(facts, code("Metadata", string(k.Metadata)))
	}
	return append(facts, text("Owner", k.Owner))
}

// Meters are how much of its bounds the key used.
func (v KeyPage) Meters() []Meter {
	if v.Key.Left == nil {
		return nil
	}
	var list []Meter
	for _, m := range []struct {
		name string
		left *OpsLeft
	}{{"Operations in all", v.Key.Left.Operations}, {"Today", v.Key.Left.PerDay}, {"This month", v.Key.Left.PerMonth}} {
		if m.left != nil {
			list = append(list, Meter{Name: m.name, Used: m.left.Limit - m.left.Remaining, Most: m.left.Limit})
		}
	}
	return list
}

// A Meter is how much of a bound is used.
type Meter struct {
	Name       string
	Used, Most int64
}

// Words say it in numbers.
func (m Meter) Words() string { return Thousands(m.Used) + " of " + Thousands(m.Most) }

// State is the class of the meter: "", near or full.
func (m Meter) State() string {
	switch {
	case m.Used >= m.Most:
		return "full"
	case m.Used*5 >= m.Most*4:
		return "near"
	}
	return ""
}

// A Refusal is a request with a key that was refused.
type Refusal struct {
	Time    time.Time `json:"time"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Route   string    `json:"route"`
	Status  int       `json:"status"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Need    []string  `json:"need"`
	IP      string    `json:"ip"`
}

// A KeyFormPage makes a key, or changes one.
type KeyFormPage struct {
	Form    Form
	Catalog Catalog
	Key     *Key // that is changed; nil for a new one
	Now     *Key // as it is by now, where somebody else changed it meanwhile
}

func (KeyFormPage) page() string { return "key-form" }

func (v KeyFormPage) form() Form { return v.Form }

// Lifetimes are the choices of when a key ends.
func (v KeyFormPage) Lifetimes() []Option {
	options := []Option{named("7", "7 days"), named("30", "30 days"), named("90", "90 days"), named("365", "1 year"), named("", "As usual here"), named("at", "On a date …")}
	if v.Key != nil {
		options = []Option{named("", "As it is"), named("7", "In 7 days"), named("30", "In 30 days"), named("90", "In 90 days"), named("365", "In 1 year"), named("never", "Never"), named("at", "On a date …")}
	}
	return pick(v.Form.Get("lifetime"), options...)
}

// A KeyMadePage shows a new key, once.
type KeyMadePage struct {
	Key    Key
	Secret Secret
	Before *Key // that it replaces; nil for none
}

func (KeyMadePage) page() string { return "key-made" }

// A KeyRotatePage replaces a key by a new one.
type KeyRotatePage struct {
	Form Form
	Key  Key
}

func (KeyRotatePage) page() string { return "key-rotate" }

func (v KeyRotatePage) form() Form { return v.Form }

// Grace is how long the old key works on.
func (v KeyRotatePage) Grace() Grace {
	return Grace{v.Form, "The old key works on", "Choose as long as you need to put the new key everywhere."}
}

// A ConfirmPage asks before something is done that cannot be taken back. Whoever
// wants it types its name.
type ConfirmPage struct {
	Form    Form
	Words   []string // what happens
	Confirm string   // to be typed; "" for a button alone
	Button  string
	Cancel  string // path below the portal
}

func (ConfirmPage) page() string { return "confirm" }

func (v ConfirmPage) form() Form { return v.Form }

// EnvironmentOptions are the environments to choose from.
func (v KeyFormPage) EnvironmentOptions() []Option {
	words := map[string]string{"live": "for the real thing", "test": "for tests", "dev": "for your own machine"}
	var options []Option
	for _, name := range v.Catalog.Environments {
		options = append(options, Option{Value: name, Name: strings.ToUpper(name[:1]) + name[1:], Words: words[name]})
	}
	return options
}

// RoleOptions are the roles to choose from.
func (v KeyFormPage) RoleOptions() []Option {
	return v.Catalog.RoleOptions("No role: its scopes alone")
}

// TierOptions are the tiers to choose from.
func (v KeyFormPage) TierOptions() []Option { return v.Catalog.TierOptions("As usual") }

// MoreOpen reports whether one of the fields that are folded away has something in it.
func (v KeyFormPage) MoreOpen() bool {
	for _, name := range []string{"allowed_ips", "rate_limit_tier", "ops_limit", "operations_per_day", "operations_per_month", "description", "metadata"} {
		if v.Form.Get(name) != "" || v.Form.Errors[name] != "" {
			return true
		}
	}
	return false
}
