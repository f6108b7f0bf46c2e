package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// A commandLine is what stood behind the program's name.
type commandLine struct {
	options  table
	flags    *pflag.FlagSet
	problems []error
}

// flagValues collects what a flag was given, as text: values are checked in
// one place, wherever they came from.
type flagValues struct {
	values []string
	adds   bool
}

// String implements pflag.Value.
func (v *flagValues) String() string { return strings.Join(v.values, ",") }

// Type implements pflag.Value.
func (v *flagValues) Type() string { return "string" }

// Set implements pflag.Value. It takes everything.
func (v *flagValues) Set(value string) error {
	if !v.adds {
		v.values = nil
	}
	v.values = append(v.values, value)
	return nil
}

// parseCommandLine reads args. What is wrong with them is kept for later, to be
// told together with the rest.
func parseCommandLine(options table, args []string) *commandLine {
	c := &commandLine{options: options, flags: pflag.NewFlagSet("wavegate", pflag.ContinueOnError)}
	c.flags.Usage = func() {}
	for _, o := range options {
		f := c.flags.VarPF(&flagValues{adds: o.adds()}, o.name, o.short, o.usage)
		if o.kind == toggle {
			f.NoOptDefVal = "true"
		}
	}
	plain := c.plain(args)
	if err := c.flags.Parse(plain); err != nil {
		c.problems = append(c.problems, err)
	}
	return c
}

// has reports whether the flag was given, and not as false.
func (c *commandLine) has(name string) bool {
	f := c.flags.Lookup(name)
	return f != nil && f.Changed && f.Value.String() != "false"
}

// values returns what the flag was given, and whether it was.
func (c *commandLine) values(name string) ([]string, bool) {
	f := c.flags.Lookup(name)
	if !f.Changed {
		return nil, false
	}
	return f.Value.(*flagValues).values, true
}

// plain rewrites args to the one spelling --name=value that pflag reads without
// doubt, and reports whatever is no flag. Go's own spelling -name counts as
// well, where a flag may stand and for names that exist.
func (c *commandLine) plain(args []string) []string {
	var out []string
	hide := "" // why the word behind the last flag's value may be a secret, and what to do
	for i := 0; i < len(args); i++ {
		word, rest := args[i], args[i+1:]
		if word == "--" {
			for _, stray := range rest {
				c.stray(stray, hide)
			}
			break
		}
		o, name, value, hasValue := c.flag(word)
		switch {
		case name == "":
			c.stray(word, hide)
			hide = ""
		case o == nil:
			c.unknown(word, name)
			if !hasValue && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
				i++ // its value, as it seems: not another problem
			}
			hide = ""
		case hasValue:
			out, hide = append(out, "--"+o.name+"="+value), o.hides
		case o.kind == toggle:
			out, hide = append(out, "--"+o.name), ""
		default:
			if c.hasValueNext(o, rest) {
				out = append(out, "--"+o.name+"="+rest[0])
				i++
			}
			hide = o.hides
		}
	}
	return out
}

// hasValueNext reports whether the next word is a value for o, and what is
// wrong where it is not.
func (c *commandLine) hasValueNext(o *option, rest []string) bool {
	switch {
	case len(rest) == 0:
		c.problem("--%s needs a value: --%s %s", o.name, o.name, o.arg)
	case c.isFlag(rest[0]):
		c.problem("--%s needs a value, but the next word is the flag %s", o.name, flagName(rest[0]))
	default:
		return true
	}
	return false
}

// flag takes word apart. The name is empty where word is no flag, and o nil
// where there is no such flag.
func (c *commandLine) flag(word string) (o *option, name, value string, hasValue bool) {
	if len(word) < 2 || word[0] != '-' {
		return nil, "", "", false
	}
	name, value, hasValue = strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
	if name == "" {
		name = word
	}
	return c.options.find(name), name, value, hasValue
}

// isFlag reports whether word is a flag that exists.
func (c *commandLine) isFlag(word string) bool {
	o, _, _, _ := c.flag(word)
	return o != nil
}

// flagName returns a flag without its value, which may be a secret.
func flagName(word string) string {
	name, _, _ := strings.Cut(word, "=")
	return name
}

func (c *commandLine) unknown(word, name string) {
	if near := c.options.nearest(name); near != "" {
		c.problem("unknown flag %s: did you mean --%s?", flagName(word), near)
		return
	}
	c.problem("unknown flag %s", flagName(word))
}

// stray reports a word that belongs to no flag. Where hide says that it may be a
// secret, it is not shown.
func (c *commandLine) stray(word, hide string) {
	switch _, err := parseBool(word); {
	case hide != "":
		c.problem("%s", hide)
	case err == nil:
		c.problem("unexpected word %q: a switch takes its value with =, as in --debug=%s", word, word)
	case c.options.find(word) != nil:
		c.problem("unexpected word %q: did you mean --%s?", word, word)
	case strings.Contains(word, "://"):
		c.problem("unexpected word %q: to guard that app, write --upstream %s", redact(word), redact(word))
	default:
		c.problem("unexpected word %q: wavegate takes flags only", word)
	}
}

func (c *commandLine) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

// question returns what answers a question about the program itself (help,
// version, completion, manual), or nil where there is none. These need no
// settings, so nothing else can be in their way.
func (c *commandLine) question() func(surroundings) int {
	switch {
	case c.has("help"):
		return c.answer(func() string { return help(c.options) })
	case c.has("version"):
		return c.answer(versionLine)
	case c.has("man-page"):
		return c.answer(func() string { return manPage(c.options) })
	case c.has("completion"):
		return c.completion
	}
	return nil
}

func (c *commandLine) answer(text func() string) func(surroundings) int {
	return func(in surroundings) int {
		if _, err := fmt.Fprint(in.stdout, text()); err != nil {
			return fail(in, fmt.Errorf("cannot write: %w", err))
		}
		return exitOK
	}
}

func (c *commandLine) completion(in surroundings) int {
	values, _ := c.values("completion")
	write := completions()[last(values)]
	if write == nil {
		return refuse(in, []error{errors.New("--completion: there are scripts for bash, zsh and fish")})
	}
	return c.answer(func() string { return write(c.options) })(in)
}
