package keychain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a file and of what it holds.
const (
	maxFile     = 64 << 20 // bytes
	maxID       = 255      // bytes
	maxSecret   = 72       // bytes; bcrypt does not look at more
	hashLen     = 60       // bytes: "$2b$10$", 22 of salt, 31 of hash
	minCost     = 4
	maxCost     = 16 // some seconds; a line of cost 31 would hold a worker for a day
	maxProblems = 20 // bad lines that one error lists
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// A LineError says what is wrong with one line of a file. It never holds text
// of the line, which may be a secret in the wrong place.
type LineError struct {
	Path   string
	Line   int // from 1
	Reason string
}

// Error returns path, line number and reason.
func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Reason) }

// A record is one key or user of the file: what it says and which bytes say it.
type record struct {
	id, hash   string
	line       int // from 1
	start, end int // the whole line, its terminator included
	hashAt     int // offset of the hash
}

// readFile returns the content of a keychain or users file, which must be a
// regular file of a sane size.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d MB", path, maxFile>>20)
	}
	return data, nil
}

// parse reads the lines "ID:hash" that f holds. Blank lines, lines that begin
// with '#', a byte order mark at the start, CRLF and a missing final newline
// are fine. The error joins a LineError for every bad line.
func (f File) parse(data []byte) ([]record, error) {
	var (
		word     = f.Kind.words().id
		records  []record
		problems []error
		seen     = make(map[string]int)
		at       = len(data) - len(bytes.TrimPrefix(data, byteOrderMark))
	)
	for number := 1; at < len(data); number++ {
		end := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		r, reason := parseLine(data[at:end], word)
		if reason == "" && r.id != "" {
			if first := seen[r.id]; first != 0 {
				reason = fmt.Sprintf("the same %s is on line %d", word, first)
			} else {
				seen[r.id] = number
				r.line, r.start, r.end, r.hashAt = number, at, end, at+r.hashAt
				records = append(records, r)
			}
		}
		if reason != "" {
			problems = append(problems, &LineError{Path: f.Path, Line: number, Reason: reason})
		}
		at = end
	}
	return records, joinProblems(problems)
}

func joinProblems(problems []error) error {
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems:maxProblems], fmt.Errorf("and %d more bad lines", more))
	}
	return errors.Join(problems...)
}

// parseLine reads one line. A blank line or a comment gives a record without
// ID; a bad line gives the reason, in which word stands for the ID.
func parseLine(line []byte, word string) (r record, reason string) {
	line = bytes.TrimRight(line, " \t\r\n")
	if text := bytes.TrimLeft(line, " \t"); len(text) == 0 || text[0] == '#' {
		return r, ""
	}
	id, hash, ok := bytes.Cut(line, []byte{':'})
	if !ok {
		return r, "no ':' between the " + word + " and its hash"
	}
	if reason := idProblem(string(id)); reason != "" {
		return r, "the " + word + " " + reason
	}
	if reason := hashProblem(string(hash)); reason != "" {
		return r, reason
	}
	return record{id: string(id), hash: string(hash), hashAt: len(id) + 1}, ""
}

// idProblem says what keeps id from being the ID of a key or the name of a user,
// or nothing.
func idProblem(id string) string {
	switch {
	case id == "":
		return "is empty"
	case len(id) > maxID:
		return fmt.Sprintf("is longer than %d bytes", maxID)
	case !utf8.ValidString(id):
		return "is not UTF-8 text"
	case strings.Contains(id, ":"):
		return "holds a ':'"
	case strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return "holds a control character or an invisible one"
	case strings.TrimSpace(id) != id:
		return "begins or ends with a space"
	case id[0] == '#':
		return "begins with '#', as a comment does"
	}
	return ""
}

// hashProblem says why hash cannot be verified here, or nothing.
func hashProblem(hash string) string {
	const advice = "it must be 60 characters that begin with $2a$, $2b$ or $2y$, as \"htpasswd -B\" writes"
	versioned := len(hash) > 7 && hash[:2] == "$2" && strings.IndexByte("aby", hash[2]) >= 0 && hash[3] == '$' && hash[6] == '$'
	if !versioned || len(hash) != hashLen || strings.ContainsFunc(hash[7:], notBcryptText) {
		return "what follows the ':' is not a bcrypt hash: " + advice
	}
	tens, ones := hash[4]-'0', hash[5]-'0'
	if tens > 9 || ones > 9 {
		return "what follows the ':' is not a bcrypt hash: " + advice
	}
	if cost := int(tens*10 + ones); cost < minCost || cost > maxCost {
		return fmt.Sprintf("the hash has cost %d: %d to %d is allowed", cost, minCost, maxCost)
	}
	return ""
}

func notBcryptText(r rune) bool {
	return r > unicode.MaxASCII || strings.IndexByte(bcryptText, byte(r)) < 0
}

// costOf returns the cost of a hash that hashProblem has no complaint about.
func costOf(hash string) int { return int(hash[4]-'0')*10 + int(hash[5]-'0') }

// secretProblem says what keeps secret from being one, or nothing.
// bcrypt repeats secret and NUL until 72 bytes are full, so a NUL inside would
// let different secrets pass for one another.
func secretProblem(secret string) string {
	switch {
	case secret == "":
		return "is empty"
	case len(secret) > maxSecret:
		return fmt.Sprintf("is longer than %d bytes, the most that bcrypt looks at", maxSecret)
	case strings.Contains(secret, "\x00"):
		return "holds a NUL byte"
	}
	return ""
}
