package apikey

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Bounds of an import.
const (
	MaxImport     = 10_000    // keys at once
	MaxImportLine = 256 << 10 // bytes
	maxProblems   = 100       // that are named
)

// An Imported is one key that was made elsewhere.
type Imported struct {
	Line int // from 1

	// Record has what the line says, Hash and HashBy, and no ID, Account,
	// CreatedAt or Version. Whether its role, scopes and tier exist, whether it
	// expired already, and whether the caller may give as much, is not looked at.
	Record Record
}

// An ImportProblem is what is wrong with a field of a line. It never repeats a
// value.
type ImportProblem struct {
	Line    int    // from 1; 0 is the whole
	Field   string // "" is the whole line
	Message string
}

func (p ImportProblem) Error() string {
	var where []string
	if p.Line > 0 {
		where = append(where, fmt.Sprintf("line %d: ", p.Line))
	}
	if p.Field != "" {
		where = append(where, p.Field+": ")
	}
	return strings.Join(where, "") + p.Message
}

// An ImportError lists what is wrong with an import, at most 100 problems.
type ImportError struct {
	Problems []ImportProblem
	More     bool // there are others
}

func (e *ImportError) Error() string {
	lines := make([]string, len(e.Problems), len(e.Problems)+1)
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	if e.More {
		lines = append(lines, "and more: mend these first")
	}
	return strings.Join(lines, "\n")
}

// ParseImport reads keys that were made elsewhere, as JSON lines: an object a
// line, blank lines left out. "hash" is required, the plain SHA-256 of the whole
// key, in "encoding" hex (the default) or base64. The other fields are optional
// and mean what they mean at a key: name, description, environment (live), role,
// scopes, allowed_ips, metadata, rate_limit_tier, ops_limit, expires_at; also
// prefix (how the key begins, for lists) and owner. "algorithm" may say sha256.
//
// An error that is an *ImportError names every problem of every line; others are
// those of r. With an error there are no keys.
func ParseImport(r io.Reader) ([]Imported, error) {
	p := importer{seen: make(map[[32]byte]int)}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, MaxImportLine)
	for lines.Scan() && !p.problems.More {
		p.number++
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 && !p.line(line) {
			break
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		p.number++
		p.wrong("", fmt.Sprintf("is longer than %d bytes", MaxImportLine))
	case err != nil:
		return nil, fmt.Errorf("reading the keys to import: %w", err)
	case len(p.keys) == 0 && len(p.problems.Problems) == 0:
		p.number = 0
		p.wrong("", "there is no key to import: give one JSON object a line")
	}
	if len(p.problems.Problems) > 0 {
		return nil, &p.problems
	}
	return p.keys, nil
}

// An importer reads one import.
type importer struct {
	number   int // of the line
	count    int // of keys, right ones and others
	keys     []Imported
	seen     map[[32]byte]int // line of each hash
	problems ImportError
}

// wrong notes a problem of the line, the first one of each field.
func (p *importer) wrong(field, message string) {
	known := func(q ImportProblem) bool { return q.Line == p.number && q.Field == field }
	if slices.ContainsFunc(p.problems.Problems, known) {
		return
	}
	if len(p.problems.Problems) >= maxProblems {
		p.problems.More = true
		return
	}
	p.problems.Problems = append(p.problems.Problems, ImportProblem{p.number, field, message})
}

// line reads one line. It returns false when no more are read.
func (p *importer) line(text []byte) bool {
	if p.count++; p.count > MaxImport {
		p.wrong("", fmt.Sprintf("there are more than %d keys: import them in parts", MaxImport))
		return false
	}
	fields, err := splitObject(text)
	if err != nil {
		p.wrong("", err.Error())
		return true
	}
	l := importLine{Record: Record{Environment: Live, HashBy: ImportedSHA256}}
	for _, f := range fields {
		p.set(&l, f)
	}
	p.hash(&l)
	if len(p.problems.Problems) == 0 {
		p.keys = append(p.keys, Imported{Line: p.number, Record: l.Record})
	}
	return true
}

// set takes over one field.
func (p *importer) set(l *importLine, f field) {
	set := l.setter(f.name)
	if set == nil {
		p.wrong(shortened(f.name), "is not known")
		return
	}
	if f.twice {
		p.wrong(f.name, "is given twice")
	}
	if bytes.Equal(f.value, []byte("null")) {
		return
	}
	if err := set(f.value); err != nil {
		p.wrong(f.name, err.Error())
	}
}

// hash reads the hash, which more than one field speaks of.
func (p *importer) hash(l *importLine) {
	if why := notImportable(l.algorithm); why != "" {
		p.wrong("algorithm", why)
		return
	}
	hash, err := decodeHash(l.hash, l.encoding)
	if err != nil {
		p.wrong(err.field, err.message)
		return
	}
	if l.Prefix != "" && sha256.Sum256([]byte(l.Prefix)) == hash {
		p.wrong("prefix", "is the whole key: give only how it begins, and have the key replaced, since it was in this file")
	}
	if first, ok := p.seen[hash]; ok {
		p.wrong("hash", fmt.Sprintf("is that of line %d", first))
		return
	}
	p.seen[hash] = p.number
	l.Hash = hash
}

// A field is one member of a JSON object.
type field struct {
	name  string
	value json.RawMessage
	twice bool // there was one of the same name before
}

// splitObject reads a JSON object without a look into its values.
func splitObject(text []byte) ([]field, error) {
	errShape := errors.New("is not one JSON object")
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errShape
	}
	var fields []field
	seen := make(map[string]bool)
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errShape
		}
		f := field{name: name, twice: seen[name]}
		if err := dec.Decode(&f.value); err != nil {
			return nil, errShape
		}
		seen[name] = true
		fields = append(fields, f)
	}
	if _, err := dec.Token(); err != nil {
		return nil, errShape
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errShape
	}
	return fields, nil
}

// shortened keeps what an error repeats short and on one line.
func shortened(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.Trim(fmt.Sprintf("%q", s), `"`)
}
