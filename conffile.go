package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxConfFile bounds the file of settings, in bytes.
const maxConfFile = 1 << 20

// A confLine is one KEY=value of a file of settings.
type confLine struct {
	number     int // of its first line, from 1
	key, value string
}

// A badLine is a line that is no KEY=value. It never holds the line's text
// beyond the key, because that may be a secret.
type badLine struct {
	number int
	key    string // as far as there is one
	why    string
}

// readConf reads a file of settings. Where the file was not asked for, it may
// be a folder.
func readConf(path string, asked bool) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the file of settings: %w; name another with -conf", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		if !asked {
			return "", nil
		}
		return "", fmt.Errorf("cannot read the file of settings: %s is a folder; name a file with -conf", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfFile+1))
	if err != nil {
		return "", fmt.Errorf("cannot read the file of settings: %w", err)
	}
	if len(data) > maxConfFile {
		return "", fmt.Errorf("the file of settings %s is larger than 1 MiB; name another with -conf", path)
	}
	return string(data), nil
}

// parseConf reads the lines of a file of settings, the usual dialect: KEY=value
// with or without "export", blank lines, # comments, LF or CRLF. A value may be
// in single quotes (taken as it is) or in double quotes (with \n \t \r \" \\ \$
// read), and a quoted one may go over several lines. Without quotes it ends at
// the line's end or at a # behind a blank. Nothing is substituted.
func parseConf(text string) (good []confLine, bad []badLine) {
	text = strings.TrimPrefix(text, "\ufeff")
	rows := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := 0; i < len(rows); i++ {
		number := i + 1
		row := strings.TrimSpace(rows[i])
		if row == "" || row[0] == '#' {
			continue
		}
		key, rest, ok := cutKey(row)
		if !ok {
			bad = append(bad, badLine{number, key, "it is not KEY=value"})
			continue
		}
		value, used, why := confValue(rest, rows[i+1:])
		i += used
		if why != "" {
			bad = append(bad, badLine{number, key, why})
			continue
		}
		good = append(good, confLine{number, key, value})
	}
	return good, bad
}

// cutKey splits a row behind its key. Where there is none it returns the
// letters that the row begins with, so that the caller can tell whose it is.
func cutKey(row string) (key, rest string, ok bool) {
	if after, found := strings.CutPrefix(row, "export"); found && strings.TrimLeft(after, " \t") != after {
		row = strings.TrimLeft(after, " \t")
	}
	key, rest, ok = strings.Cut(row, "=")
	key = strings.TrimRight(key, " \t")
	if end := strings.IndexFunc(key, func(r rune) bool { return !isKeyRune(r) }); end >= 0 {
		return key[:end], "", false
	}
	return key, strings.TrimLeft(rest, " \t"), ok && key != ""
}

func isKeyRune(r rune) bool {
	return r == '_' || r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// confValue reads the value that begins at rest; more are the rows below. It
// returns how many of those belong to it, and what is wrong.
func confValue(rest string, more []string) (value string, used int, why string) {
	if rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return plainValue(rest), 0, ""
	}
	quote, body := rest[0], rest[1:]
	for {
		end := closing(body, quote)
		if end >= 0 {
			if tail := strings.TrimSpace(body[end+1:]); tail != "" && tail[0] != '#' {
				return "", used, "there is text behind the closing quote"
			}
			return unquote(body[:end], quote), used, ""
		}
		if used == len(more) {
			return "", 0, "the quote is never closed"
		}
		body += "\n" + more[used]
		used++
	}
}

// plainValue cuts the comment off a value without quotes.
func plainValue(rest string) string {
	if strings.HasPrefix(rest, "#") {
		return ""
	}
	for _, mark := range []string{" #", "\t#"} {
		rest, _, _ = strings.Cut(rest, mark)
	}
	return strings.TrimSpace(rest)
}

// closing returns where the quote ends, or -1.
func closing(body string, quote byte) int {
	for i := 0; i < len(body); i++ {
		switch {
		case body[i] == quote:
			return i
		case body[i] == '\\' && quote == '"':
			i++
		}
	}
	return -1
}

// unquote reads the escapes of a double-quoted value.
func unquote(body string, quote byte) string {
	if quote == '\'' {
		return body
	}
	return strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\"`, `"`, `\\`, `\`, `\$`, "$").Replace(body)
}
