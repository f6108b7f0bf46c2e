package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// A source says where a value came from. A higher one wins.
type source int

const (
	fromDefault source = iota
	fromFile
	fromEnvironment
	fromFlag
)

// A value is what counts for one option, and why.
type value struct {
	option *option
	texts  []string
	source source
	where  string // names the place in messages: "--listen", "H2O_WAVE_LISTEN", ".env:3: WAVEGATE_LISTEN"
}

// given reports whether somebody set the value.
func (v *value) given() bool { return v.source != fromDefault }

// A resolution is the effective value of every option, in the table's order,
// with everything that was wrong on the way there.
type resolution struct {
	options  table
	values   []*value
	problems []error
	warnings []string
	empty    []string // keys of environment and file that are set to nothing
}

// get returns the value of the option with the name.
func (r *resolution) get(name string) *value {
	i := slices.IndexFunc(r.values, func(v *value) bool { return v.option.name == name })
	return r.values[i]
}

// given reports whether somebody set the option.
func (r *resolution) given(name string) bool { return r.get(name).given() }

// resolve brings command line, environment, file and defaults together. The
// error is one of reading the file; everything else that is wrong is among the
// resolution's problems.
func (c *commandLine) resolve(environ []string) (*resolution, error) {
	r := &resolution{options: c.options, problems: c.problems}
	env := environment(environ)
	for _, o := range c.options {
		r.values = append(r.values, r.choose(o, c, env))
	}
	conf := r.get("conf")
	path := last(conf.texts)
	text, err := readConf(path, conf.given())
	if errors.Is(err, fs.ErrNotExist) && path == conf.option.def {
		err = nil // the default may be missing, also where it is spelled out
	}
	if err != nil {
		return nil, err
	}
	r.readFile(path, conf.given(), text)
	r.hintAtEnvironment(environ)
	return r, nil
}

// environment makes a map of "KEY=value" entries.
func environment(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, e := range environ {
		if key, value, ok := strings.Cut(e, "="); ok && key != "" {
			m[key] = value
		}
	}
	return m
}

// choose returns the option's value from flag, environment or default.
func (r *resolution) choose(o *option, c *commandLine, env map[string]string) *value {
	if texts, ok := c.values(o.name); ok && !(o.emptyIsNone && allEmpty(texts)) {
		if o.needsText() && slices.Contains(texts, "") {
			r.problem("--%s is empty: give it a value or leave it out", o.name)
		}
		return &value{option: o, texts: texts, source: fromFlag, where: "--" + o.name}
	}
	for _, key := range o.keys() {
		text, ok := env[key]
		if ok && text == "" && !o.mayBeEmpty {
			r.empty = append(r.empty, key)
			continue
		}
		if ok {
			return &value{option: o, texts: o.split(text), source: fromEnvironment, where: key}
		}
	}
	v := &value{option: o, where: "--" + o.name}
	if o.def != "" {
		v.texts = []string{o.def}
	}
	return v
}

func allEmpty(texts []string) bool {
	return !slices.ContainsFunc(texts, func(text string) bool { return text != "" })
}

// readFile takes the values of a file of settings for the options that neither
// flag nor environment set.
func (r *resolution) readFile(path string, asked bool, text string) {
	good, bad := parseConf(text)
	for _, b := range bad {
		if asked || isOurs(b.key) {
			r.problem("%s:%d: %s", path, b.number, strings.TrimPrefix(b.key+": "+b.why, ": "))
		}
	}
	seen := make(map[string]int, len(good))
	for _, line := range good {
		if first, twice := seen[line.key]; twice && r.owner(line.key) != nil {
			r.problem("%s:%d: %s is set in line %d already", path, line.number, line.key, first)
			continue
		}
		seen[line.key] = line.number
		r.takeLine(path, line)
	}
}

// isOurs reports whether a key is one that this program alone would have.
func isOurs(key string) bool {
	return strings.HasPrefix(key, "WAVEGATE_") || strings.HasPrefix(key, "H2O_WAVE_")
}

// owner returns the value that the key sets, or nil.
func (r *resolution) owner(key string) *value {
	i := slices.IndexFunc(r.values, func(v *value) bool { return slices.Contains(v.option.keys(), key) })
	if i < 0 {
		return nil
	}
	return r.values[i]
}

// takeLine takes one line of the file. Keys of other programs are left alone;
// a key that begins with WAVEGATE_ must be one that exists.
func (r *resolution) takeLine(path string, line confLine) {
	v := r.owner(line.key)
	if v == nil {
		r.unknownKey(fmt.Sprintf("%s:%d: ", path, line.number), line.key)
		return
	}
	o := v.option
	if o.name == "conf" {
		r.problem("%s:%d: %s: a file of settings cannot name another one", path, line.number, line.key)
		return
	}
	if line.value == "" && !o.mayBeEmpty {
		r.empty = append(r.empty, line.key)
		return
	}
	if v.source > fromFile || v.source == fromFile && line.key != o.keys()[0] {
		return
	}
	v.texts, v.source = o.split(line.value), fromFile
	v.where = fmt.Sprintf("%s:%d: %s", path, line.number, line.key)
}

// unknownKey speaks up about a key of the file that no option has: an error
// where it can only be ours, a remark where it looks like one of waved's
// misspelt.
func (r *resolution) unknownKey(where, key string) {
	near := r.options.nearMiss(key)
	switch {
	case strings.HasPrefix(key, "WAVEGATE_") && near != "":
		r.problem("%sunknown setting %s: did you mean %s?", where, key, near)
	case strings.HasPrefix(key, "WAVEGATE_"):
		name := r.options.nearest(strings.TrimPrefix(key, "WAVEGATE_"))
		if o := r.options.find(name); name != "" && len(o.keys()) > 0 {
			r.problem("%sunknown setting %s: did you mean %s?", where, key, o.keys()[0])
			return
		}
		r.problem("%sunknown setting %s: wavegate --help lists them", where, key)
	case strings.HasPrefix(key, "H2O_WAVE_") && near != "":
		r.warnings = append(r.warnings, fmt.Sprintf("%s%s is not a setting and was ignored: did you mean %s?", where, key, near))
	}
}

// hintAtEnvironment remarks on variables that look like settings misspelt. They
// are no errors: the environment belongs to everybody, and container platforms
// put names of their own there.
func (r *resolution) hintAtEnvironment(environ []string) {
	for _, e := range environ {
		key, _, _ := strings.Cut(e, "=")
		if !isOurs(key) || r.owner(key) != nil {
			continue
		}
		if near := r.options.nearMiss(key); near != "" {
			r.warnings = append(r.warnings, fmt.Sprintf("%s is not a setting and was ignored: did you mean %s?", key, near))
		}
	}
	if len(r.empty) > 0 {
		r.warnings = append(r.warnings, "empty settings were ignored: "+strings.Join(r.empty, ", "))
	}
}

func (r *resolution) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf(format, args...))
}

// apply hands every value to its option's setter and collects what they
// object to.
func (r *resolution) apply(s *settings) {
	for _, v := range r.values {
		o := v.option
		if o.set == nil || len(v.texts) == 0 || o.needsText() && last(v.texts) == "" {
			continue
		}
		if o.def != "" {
			_ = o.set(s, []string{o.def}) // what counts where the value is bad
		}
		if o.kind == choice && !slices.Contains(o.choices, last(v.texts)) {
			r.problem("%s: %q is none of %s", v.where, last(v.texts), strings.Join(o.choices, ", "))
			continue
		}
		for _, err := range flatten(o.set(s, v.texts)) {
			r.problems = append(r.problems, fmt.Errorf("%s: %w", v.where, err))
		}
	}
}

// flatten takes joined errors apart. An error that only mentions several others
// stays whole.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	if whole := errors.Join(joined.Unwrap()...); whole == nil || whole.Error() != err.Error() {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}
