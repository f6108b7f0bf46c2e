package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxDepth bounds the nesting of the file; the deepest field has six levels.
const maxDepth = 32

// maxProblems bounds how many problems are shown; nobody reads more at once,
// and a log should not be flooded.
const maxProblems = 100

// A problem is one thing wrong with the policy. Line 0 stands for no line:
// the problem is between flags.
type problem struct {
	line int
	text string
}

// reader walks the nodes of one file and gathers what is wrong with it.
type reader struct {
	file     string
	problems []problem
}

// fail notes a problem at a node.
func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.failAt(n.Line, format, args...)
}

// failAt notes a problem at a line.
func (r *reader) failAt(line int, format string, args ...any) {
	r.problems = append(r.problems, problem{line, fmt.Sprintf(format, args...)})
}

// origin says where a node is: "policy.yaml:12".
func (r *reader) origin(n *yaml.Node) string { return fmt.Sprintf("%s:%d", r.file, n.Line) }

// err returns every problem noted, sorted by line, or nil.
func (r *reader) err() error {
	slices.SortStableFunc(r.problems, func(a, b problem) int { return a.line - b.line })
	var errs []error
	for i, p := range slices.Compact(r.problems) {
		if i == maxProblems {
			p.text = "there are more problems from here on"
		}
		if i > maxProblems {
			break
		}
		if p.line > 0 {
			p.text = fmt.Sprintf("%s:%d: %s", r.file, p.line, p.text)
		}
		errs = append(errs, errors.New(p.text))
	}
	return errors.Join(errs...)
}

// document returns the root node of a file that holds exactly one document,
// or nil when there is none to go on with.
func (r *reader) document(data []byte) *yaml.Node {
	if len(data) > maxFileSize {
		r.failAt(1, "the file is larger than %d bytes", maxFileSize)
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.failSyntax(err)
		return nil
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		r.failAt(1, "the file is empty; to run without a policy, name none")
		return nil
	case err != nil:
		r.failSyntax(err)
		return nil
	}
	if err := loader.Load(&second); err == nil {
		r.fail(&second, "a second document begins here; a policy is one document")
	} else if !errors.Is(err, io.EOF) {
		r.failSyntax(err)
	}
	if len(doc.Content) != 1 {
		r.failAt(1, "the file is empty; to run without a policy, name none")
		return nil
	}
	root := doc.Content[0]
	if !r.checkTree(root, 0) {
		return nil
	}
	return root
}

// failSyntax notes an error of the YAML package at its line.
func (r *reader) failSyntax(err error) {
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		message := e.Message
		switch {
		case strings.Contains(message, "unknown anchor"):
			message = "unknown anchor; a value that begins with * needs quotes" // which one may be a secret
		case strings.Contains(message, "cannot start any token"):
			message += "; tabs cannot indent, and a value that begins with @, % or ` needs quotes"
		}
		r.failAt(max(1, e.Mark.Line), "not valid YAML: %s", message)
		return
	}
	r.failAt(1, "not valid YAML: %v", err)
}

// checkTree refuses what makes a file mean something else than a reader sees:
// aliases, merges, explicit tags. It reports whether the tree can be read. It
// shows none of them: what follows the sign may be a secret that lacks quotes.
func (r *reader) checkTree(n *yaml.Node, depth int) bool {
	if depth > maxDepth {
		r.fail(n, "nested more than %d levels deep", maxDepth)
		return false
	}
	switch {
	case n.Kind == yaml.AliasNode:
		r.fail(n, "aliases (*) are not read here: write the value out, in quotes if it begins with *")
	case n.Anchor != "":
		r.fail(n, "anchors (&) are not read here: leave it out, or put quotes around a value that begins with &")
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(n, "tags (!) are not read here: leave it out, or put quotes around a value that begins with !")
	}
	for _, child := range n.Content {
		if !r.checkTree(child, depth+1) {
			return false
		}
	}
	return true
}

// A pair is one entry of a mapping.
type pair struct {
	name       string
	key, value *yaml.Node
}

// pairs returns the entries of a mapping in the file's order, without those
// that cannot be read. What names the mapping in messages.
func (r *reader) pairs(n *yaml.Node, what string) []pair {
	if !r.kind(n, yaml.MappingNode, what, "a mapping") {
		return nil
	}
	var out []pair
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null" {
			r.fail(key, "%s: a name must be plain text", what)
			continue
		}
		if key.ShortTag() == "!!merge" {
			r.fail(key, "%s: merging (<<) is not read here: write the fields out", what)
			continue
		}
		if first, ok := lines[key.Value]; ok {
			// Not the name itself: under access_keys it may hold a secret.
			r.fail(key, "%s: this name was given already in line %d", what, first)
			continue
		}
		lines[key.Value] = key.Line
		out = append(out, pair{key.Value, key, value})
	}
	return out
}

// kind reports whether n is of the kind that is wanted, and notes it if not.
// An alias was noted before.
func (r *reader) kind(n *yaml.Node, kind yaml.Kind, what, want string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		return false
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		r.fail(n, "%s has no value: want %s, or leave it out", what, want)
		return false
	case n.Kind != kind:
		r.fail(n, "%s must be %s", what, want)
		return false
	}
	return true
}

// text returns a scalar as it is written, so that a name such as 0012 or yes
// stays what it is. It must not be empty nor begin or end with a space.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	if !r.kind(n, yaml.ScalarNode, what, "text") {
		return "", false
	}
	s, shown := n.Value, n.Value
	if strings.Contains(s, "://") {
		shown = redact(s)
	}
	switch {
	case s == "":
		r.fail(n, "%s is empty", what)
	case strings.TrimSpace(s) != s:
		r.fail(n, "%s %q begins or ends with a space", what, shown)
	case strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }):
		r.fail(n, "%s %q holds a control character", what, shown)
	default:
		return s, true
	}
	return "", false
}

// A word is an entry of a list, with its place for messages.
type word struct {
	text string
	node *yaml.Node
}

// words returns the entries of a list of texts, each of which may be there
// once.
func (r *reader) words(n *yaml.Node, what string) []word {
	if !r.kind(n, yaml.SequenceNode, what, "a list such as [a, b]") {
		return nil
	}
	var out []word
	seen := map[string]bool{}
	for _, item := range n.Content {
		s, ok := r.text(item, "an entry of "+what)
		if !ok {
			continue
		}
		if seen[s] {
			r.fail(item, "%s lists %q twice", what, s)
			continue
		}
		seen[s] = true
		out = append(out, word{s, item})
	}
	return out
}

// texts returns the plain texts of words.
func texts(words []word) []string {
	var out []string
	for _, w := range words {
		out = append(out, w.text)
	}
	return out
}
