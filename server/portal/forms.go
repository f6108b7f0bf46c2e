package portal

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A Form is a form of the portal: where it goes, what stands in it, and what is wrong
// with it. The templates give it the fields Once, As and Version.
type Form struct {
	Action  string
	Once    string              // names this very form, so that it is done once
	As      string              // the user whom it was made for
	Version string              // of what it edits; "" for none
	Values  map[string][]string // by the name of the field
	Errors  map[string]string   // sentences, by the name of the field
	Problem string              // what is wrong with all of it; "" for nothing
	Changed bool                // somebody else changed the thing meanwhile
	Curl    string              // what it does as a line for a shell
}

// Get returns the first value of a field.
func (f Form) Get(name string) string { return url.Values(f.Values).Get(name) }

// Has reports whether a field has a value, as one of several boxes that are ticked.
func (f Form) Has(name, value string) bool { return slices.Contains(f.Values[name], value) }

// Wrong reports whether anything stands in the way.
func (f Form) Wrong() bool { return len(f.Errors) > 0 || f.Problem != "" || f.Changed }

// Stray are the complaints about what is no field of the page, in order.
func (f Form) Stray(fields ...string) []string {
	var list []string
	for name, message := range f.Errors {
		if !slices.Contains(fields, name) {
			list = append(list, name+": "+message)
		}
	}
	slices.Sort(list)
	return list
}

// A field is one field of a form as the pieces show it.
type field struct {
	ID, Name, Label, Value, Error string
	Hint, Placeholder             string
	Type                          string // of the input; "text"
	Rows                          int    // of a text area
	Max                           int    // characters; 0 for no bound
	Required, Focus, Code, Reads  bool
	Min, Most, Step               string // of numbers
	Complete                      string // autocomplete
	List                          string // ID of the datalist with what may be typed; "" for none
	Options                       []Option
	Checked                       bool
}

// An Option is one of several to choose from.
type Option struct {
	Value, Name, Words string // Words say what it means; "" for none
	Chosen, Off        bool
}

// input makes a field of one line. Each of more is "name=value", or a word: required,
// focus, code, readonly.
func input(f Form, name, label string, more ...string) (field, error) {
	v := field{ID: "f-" + strings.ReplaceAll(name, ".", "-"), Name: name, Label: label, Value: f.Get(name), Error: f.Errors[name], Type: "text"}
	for _, m := range more {
		if err := v.set(m); err != nil {
			return v, err
		}
	}
	return v, nil
}

func (v *field) set(setting string) error {
	key, value, _ := strings.Cut(setting, "=")
	switch key {
	case "hint":
		v.Hint = value
	case "placeholder":
		v.Placeholder = value
	case "type":
		v.Type = value
	case "autocomplete":
		v.Complete = value
	case "min":
		v.Min = value
	case "max":
		v.Most = value
	case "step":
		v.Step = value
	case "list":
		v.List = value
	case "length":
		_, err := fmt.Sscan(value, &v.Max)
		return err
	case "rows":
		_, err := fmt.Sscan(value, &v.Rows)
		return err
	case "required":
		v.Required = true
	case "focus":
		v.Focus = true
	case "code":
		v.Code = true
	case "readonly":
		v.Reads = true
	default:
		return fmt.Errorf("a field has no setting %q", key)
	}
	return nil
}

// area makes a field of several lines.
func area(f Form, name, label string, more ...string) (field, error) {
	v, err := input(f, name, label, append([]string{"rows=4"}, more...)...)
	v.Value = strings.Join(f.Values[name], "\n")
	return v, err
}

// choice makes a field that is one of several.
func choice(f Form, name, label string, options []Option, more ...string) (field, error) {
	v, err := input(f, name, label, more...)
	v.Options = slices.Clone(options)
	for i := range v.Options {
		v.Options[i].Chosen = v.Options[i].Value == v.Value
	}
	return v, err
}

// checkbox makes a box to tick, whose value is "true".
func checkbox(f Form, name, label string, more ...string) (field, error) {
	v, err := input(f, name, label, more...)
	v.Checked = f.Get(name) == "true"
	return v, err
}

// A Sort is how a table is ordered, and the parameters of the page's address beside.
type Sort struct {
	By, Order string     // Order is "asc" or "desc"
	Query     url.Values // what else the address says
	Path      string     // of the page, with the portal's base
}

// A column is the head of a column that a table can be ordered by.
type column struct {
	Name, URL, Now string // Now is "ascending", "descending" or "none" (aria-sort)
}

// sortable makes the head of a column. first is the order that a first click gives.
func sortable(s Sort, by, name, first string) column {
	c := column{Name: name, Now: "none"}
	order := first
	if s.By == by {
		c.Now, order = "descending", "asc"
		if s.Order == "asc" {
			c.Now, order = "ascending", "desc"
		}
	}
	q := url.Values{}
	for name, values := range s.Query {
		if name != "cursor" && name != "done" {
			q[name] = values
		}
	}
	q.Set("sort", by)
	q.Set("order", order)
	c.URL = s.Path + "?" + q.Encode()
	return c
}

// count writes a number and what it counts: "1 key", "2,000 keys".
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Thousands(n) + " " + many
}

// Thousands writes a number with commas.
func Thousands(n int64) string {
	s := fmt.Sprint(n)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
