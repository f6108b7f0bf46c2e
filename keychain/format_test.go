package keychain

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const (
	hash2a = "$2a$04$Nykk1ymOYl9bOcJ5LxV3FuSXzLVW7r9ZrP4s4h9rLqTxSC9oG7vMW"
	hash2b = "$2b$10$Nykk1ymOYl9bOcJ5LxV3FuSXzLVW7r9ZrP4s4h9rLqTxSC9oG7vMW"
	hash2y = "$2y$16$Nykk1ymOYl9bOcJ5LxV3FuSXzLVW7r9ZrP4s4h9rLqTxSC9oG7vMW"
)

func TestParseTakesWhatOperatorsWrite(t *testing.T) {
	long := strings.Repeat("x", maxID)
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"empty":                 {"", nil},
		"only comments":         {"# one\n \t# two\n\n   \n", nil},
		"every version":         {"a:" + hash2a + "\nb:" + hash2b + "\nc:" + hash2y + "\n", []string{"a", "b", "c"}},
		"no final newline":      {"a:" + hash2a, []string{"a"}},
		"CRLF":                  {"a:" + hash2a + "\r\n\r\nb:" + hash2b + "\r\n", []string{"a", "b"}},
		"byte order mark":       {"\ufeffa:" + hash2a + "\n", []string{"a"}},
		"mark before a comment": {"\ufeff# keys\na:" + hash2a + "\n", []string{"a"}},
		"space after the hash":  {"a:" + hash2a + " \t\n", []string{"a"}},
		"odd but fine IDs":      {"jane doe:" + hash2a + "\nünï#1@x/y:" + hash2a + "\n" + long + ":" + hash2a, []string{"jane doe", "ünï#1@x/y", long}},
		"case makes two":        {"a:" + hash2a + "\nA:" + hash2a + "\n", []string{"a", "A"}},
	} {
		records, err := File{Path: "file"}.parse([]byte(c.content))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var ids []string
		for _, r := range records {
			ids = append(ids, r.id)
		}
		if diff := cmp.Diff(c.want, ids); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseRefusesBadLines(t *testing.T) {
	for line, want := range map[string]string{
		"no colon":                              "no ':'",
		hash2a:                                  "no ':'",
		":" + hash2a:                            "ID is empty",
		" a:" + hash2a:                          "begins or ends with a space",
		"a :" + hash2a:                          "begins or ends with a space",
		"a\x00b:" + hash2a:                      "control character",
		"a\rb:" + hash2a:                        "control character",
		"a\u200bb:" + hash2a:                    "invisible",
		"a\xffb:" + hash2a:                      "not UTF-8",
		strings.Repeat("x", 256) + ":" + hash2a: "longer than 255",
		"a:":                                    "not a bcrypt hash",
		"a:plain secret":                        "not a bcrypt hash",
		"a:$apr1$abcdefgh$0123456789abcdefghijkl": "not a bcrypt hash",
		"a:{SHA}0123456789":                       "not a bcrypt hash",
		"a:" + hash2a[:59]:                        "not a bcrypt hash",
		"a:" + hash2a + "x":                       "not a bcrypt hash",
		"a:" + hash2a + ":b":                      "not a bcrypt hash",
		"a:$2x" + hash2a[3:]:                      "not a bcrypt hash",
		"a:$2$" + hash2a[3:]:                      "not a bcrypt hash",
		"a:$2a$0x$" + hash2a[7:]:                  "not a bcrypt hash",
		"a:" + hash2a[:30] + "+" + hash2a[31:]:    "not a bcrypt hash",
		"a:" + hash2a[:30] + "é" + hash2a[32:]:    "not a bcrypt hash",
		"a:$2a$03$" + hash2a[7:]:                  "cost 3",
		"a:$2a$17$" + hash2a[7:]:                  "cost 17",
		"a:$2a$31$" + hash2a[7:]:                  "cost 31",
	} {
		records, err := File{Path: "the/file"}.parse([]byte("# first\n" + line + "\n"))
		e, ok := errors.AsType[*LineError](err)
		if !ok || len(records) != 0 {
			t.Errorf("%q: records %v, error %v", line, records, err)
			continue
		}
		if e.Path != "the/file" || e.Line != 2 || !strings.Contains(e.Reason, want) {
			t.Errorf("%q: got %v, want line 2 and %q", line, e, want)
		}
	}
}

func TestParseNamesEveryBadLineAndShowsNone(t *testing.T) {
	secret := "CanarySecretCanarySecret"
	content := "good:" + hash2a + "\n" + secret + "\ngood:" + hash2b + "\nx:" + secret + "\n" + hash2a + ":x\n"
	_, err := File{Path: "file"}.parse([]byte(content))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"file:2: ", "file:3: the same ID is on line 1", "file:4: ", "file:5: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
	for _, never := range []string{secret, hash2a[7:20], hash2b[:20]} {
		if strings.Contains(err.Error(), never) {
			t.Errorf("error shows text of a line: %v", err)
		}
	}
	_, err = File{Path: "file"}.parse([]byte(strings.Repeat("bad\n", 1000)))
	if lines := strings.Count(err.Error(), "\n") + 1; lines != maxProblems+1 || !strings.Contains(err.Error(), "and 980 more") {
		t.Errorf("1000 bad lines give %d lines: %v", lines, err)
	}
}

func TestReadFileHasBounds(t *testing.T) {
	path := tempPath(t)
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Truncate(path, maxFile+1))
	if _, err := readFile(path); err == nil || !strings.Contains(err.Error(), "64 MB") {
		t.Errorf("a huge file: %v", err)
	}
	if _, err := readFile(t.TempDir()); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("a folder: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a:" + hash2a + "\r\n# c\n\nb:" + hash2y))
	f.Add([]byte("\ufeffa:" + hash2b + "\na:" + hash2b))
	f.Add([]byte("a:$2a$31$x\n:\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := File{Path: "file"}.parse(data)
		seen := map[string]bool{}
		for _, r := range records {
			if idProblem(r.id) != "" || hashProblem(r.hash) != "" || seen[r.id] || !utf8.ValidString(r.id) {
				t.Errorf("record %q is not a usable key", r.id)
			}
			seen[r.id] = true
			if got := string(data[r.hashAt : r.hashAt+hashLen]); got != r.hash {
				t.Errorf("hash of %q is not at its offset", r.id)
			}
			if line := string(data[r.start:r.end]); !strings.HasPrefix(line, r.id+":"+r.hash) {
				t.Errorf("line of %q is not at its offset", r.id)
			}
		}
		if err != nil {
			return
		}
		again, err := File{Path: "file"}.parse(appendLine(append([]byte(nil), data...), "brand new", []byte(hash2a)))
		if !seen["brand new"] && (err != nil || len(again) != len(records)+1) {
			t.Errorf("after appending: %d records instead of %d, error %v", len(again), len(records)+1, err)
		}
	})
}
