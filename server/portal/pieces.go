package portal

import (
	"strings"
	"time"
)

// What follows are the pieces that several pages are made of; each has a template of
// the same name in templates/shell.

// A Fact is a line of a list of facts: a name, and a text, a time or tags.
type Fact struct {
	Name   string
	Text   string
	Code   bool // the text is for machines
	Time   *moment
	Tags   []string
	Lines  []string // for machines, each on a line of its own
	Detail string
	Copy   string // what the text is, for a button that copies it; "" for none
}

// Mark is the ID of the text on the page, for its copy button.
func (f Fact) Mark() string { return "fact-" + strings.ReplaceAll(strings.ToLower(f.Name), " ", "-") }

// text makes a fact of a text, "–" where there is none.
func text(name, value string) Fact {
	if value = plain(value); value == "" {
		value = "–"
	}
	return Fact{Name: name, Text: value}
}

// code makes a fact of a text for machines.
func code(name, value string) Fact { return Fact{Name: name, Text: value, Code: true} }

// at makes a fact of a time; otherwise stands where there is none.
func at(name string, t time.Time, otherwise string) Fact {
	return Fact{Name: name, Time: momentOf(t), Text: otherwise}
}

// tags makes a fact of a list; otherwise stands where it is empty.
func tags(name string, list []string, otherwise string) Fact {
	if len(list) > 0 {
		otherwise = ""
	}
	return Fact{Name: name, Tags: list, Text: otherwise}
}

// A Paging leads through the pages of a list; "" is no such page.
type Paging struct{ First, Next string }

// An Empty is what stands where a list has nothing yet: what would be there, and how
// to make the first.
type Empty struct {
	Icon, Title, Words string
	Link               *Button
}

// A Button leads to another page. URL is a path of this server.
type Button struct{ Name, URL string }

// A Secret is shown once, to copy.
type Secret struct {
	Title, Words, Secret string
	Label                string // what it is, for the copy button: "the key"
	Try                  string // a command that uses it; "" for none
}

// A Command is a line for a shell, to copy.
type Command struct {
	Mark         string // its ID on the page
	Title, Words string
	Text         string
}

// A Grace is the slider that says how long what is replaced works on, in hours.
type Grace struct {
	Form        Form
	Label, Hint string // the label ends before "for 1 day"
}

// Wrong is what is wrong with it; "" for nothing.
func (v Grace) Wrong() string { return v.Form.Errors["grace_period_hours"] }

// Hours are the hours that were chosen.
func (v Grace) Hours() string { return v.Form.Get("grace_period_hours") }
