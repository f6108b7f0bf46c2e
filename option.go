package main

import (
	"slices"
	"strings"
)

// A kind says how many values an option takes, how they are written where there
// is one text for all of them, and what a shell completes.
type kind int

const (
	toggle kind = iota // on or off; no value needed
	single             // one value; the last one given counts
	file               // single, a path of a file
	dir                // single, a path of a folder
	choice             // single, one of option.choices
	list               // values between commas; several flags add up
	lines              // one value a flag; in the environment separated by blanks or line ends
	paths              // one value a flag; in the environment separated like $PATH
)

// An option is one setting of the program. The table of options drives the
// flags, the environment, the file, the help, the manual, the completions and
// the list of effective values, so that nothing is said twice.
type option struct {
	name    string
	short   string // one letter, or ""
	kind    kind
	arg     string   // what the help calls the value
	def     string   // default, as a user would write it
	choices []string // of a choice
	group   group
	usage   string // one short line: help, manual and completions
	more    string // further sentences: help and manual
	aka     string // other words that people try, for the hint at an unknown flag

	waved       bool // a flag of waved: answers to H2O_WAVE_… too
	retired     bool // a flag of waved's page store: accepted, and that is all
	hidden      bool // in no help, manual or completion
	secret      bool // the value is never shown
	lineOnly    bool // goes with a command: command line only
	ask         bool // a question about the program itself: command line only
	command     bool // does something else than serve: one at a time
	mayBeEmpty  bool // an empty value means something
	emptyIsNone bool // an empty flag counts as not given, as with waved

	hides string // said instead of showing the word behind the value, which may be a secret

	set func(*settings, []string) error // takes over the values; nil where there is nothing to take
}

// A group is a heading of the help.
type group int

const (
	commands group = iota
	listening
	guarding
	accessKeys
	apiKeys
	transport
	traffic
	signIn
	running
)

// groupTitles are the headings in the order in which the help shows them.
func groupTitles() []string {
	return []string{
		commands:   "Commands (instead of serving)",
		listening:  "Where it listens and who is in front of it",
		guarding:   "What it guards",
		accessKeys: "Access keys",
		apiKeys:    "API keys",
		transport:  "TLS",
		traffic:    "Requests and headers",
		signIn:     "Sign-in with a browser",
		running:    "Running",
	}
}

// A table is the list of all options, in the order of the help.
type table []*option

// find returns the option with the name, or nil.
func (t table) find(name string) *option {
	i := slices.IndexFunc(t, func(o *option) bool {
		return o.name == name || o.short != "" && o.short == name
	})
	if i < 0 {
		return nil
	}
	return t[i]
}

// inGroup returns the options that help, manual and completions show under g.
func (t table) inGroup(g group) []*option {
	var in []*option
	for _, o := range t {
		if o.group == g && !o.hidden && !o.retired {
			in = append(in, o)
		}
	}
	return in
}

// shown returns all options that help, manual and completions show.
func (t table) shown() []*option {
	var all []*option
	for g := range groupTitles() {
		all = append(all, t.inGroup(group(g))...)
	}
	return all
}

// keys returns the names under which the environment and the file know o, the
// one that wins first.
func (o *option) keys() []string {
	if o.ask || o.lineOnly {
		return nil
	}
	name := strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))
	keys := []string{"WAVEGATE_" + name}
	if o.waved || o.retired {
		keys = append(keys, "H2O_WAVE_"+name)
	}
	return keys
}

// split cuts the one text that the environment and the file have for an option
// into its values.
func (o *option) split(text string) []string {
	switch o.kind {
	case lines:
		return strings.Fields(text)
	case paths:
		return strings.FieldsFunc(text, func(r rune) bool { return r == pathSeparator || r == '\n' })
	default:
		return []string{text}
	}
}

// adds reports whether giving the flag again adds a value instead of replacing
// the one before.
func (o *option) adds() bool { return o.kind == list || o.kind == lines || o.kind == paths }

// needsText reports whether an empty value says nothing.
func (o *option) needsText() bool { return o.kind != toggle && !o.mayBeEmpty && !o.retired }

// synopsis returns the flag as the help writes it: "--listen ADDR".
func (o *option) synopsis() string {
	s := "--" + o.name
	if o.short != "" {
		s = "-" + o.short + ", " + s
	}
	if o.kind != toggle {
		s += " " + o.arg
	}
	return s
}
