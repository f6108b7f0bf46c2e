package store

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"wavegate/server/audit"
)

// defaultFile is the SQLite file in Config.Dir.
const defaultFile = "wavegate.db"

// Config says where the store is.
type Config struct {
	// URL is sqlite:PATH, sqlite:///ABSOLUTE/PATH or a plain path for SQLite;
	// postgres://… or postgresql://… for PostgreSQL, with the parameters of libpq.
	// "" is the SQLite file wavegate.db in Dir.
	URL string

	// Dir is the data folder. It is made, with mode 0700, when it is needed and
	// not there.
	Dir string

	// Poll is how often Follow asks the change table; 0 is 500 ms.
	Poll time.Duration

	// NoNotify keeps PostgreSQL's LISTEN and NOTIFY out: Follow then learns of
	// changes by asking alone.
	NoNotify bool

	// Chain hashes the lines of the audit log; with nil none can be written.
	Chain *audit.Chain

	// Log is told of failures that nobody is returned; nil is nothing.
	Log *slog.Logger
}

// Validate reports what is wrong with the form of the configuration. It opens
// nothing.
func (c Config) Validate() error {
	if c.Poll < 0 {
		return fmt.Errorf("the store cannot be asked every %v: write a positive duration, or 0 for 500ms", c.Poll)
	}
	_, _, err := c.place()
	return err
}

// File returns the path of the SQLite file; "" where the store is another
// database, or the configuration is wrong.
func (c Config) File() string {
	which, path, err := c.place()
	if err != nil || which != sqliteFile {
		return ""
	}
	return path
}

// A kind is one of the databases.
type kind int

const (
	sqliteFile kind = iota
	postgresURL
)

// scheme is how a URL begins. One letter before the colon is a drive, not a
// scheme.
var scheme = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]+):`)

var (
	errMemory = errors.New("--store :memory: would forget every session, and each connection would see another database: name a file, sqlite:PATH")
	errHost   = errors.New("--store sqlite://… with two slashes names a host, and SQLite has none: write sqlite:PATH, or sqlite:///ABSOLUTE/PATH")
	errURL    = errors.New("--store: the URL cannot be read: write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters of the password as %XX (@ is %40, / is %2F)")
)

// place returns which database is meant, and its path or URL. No error quotes
// the URL, which may hold a password.
func (c Config) place() (kind, string, error) {
	if c.URL == "" {
		return sqliteFile, filepath.Join(c.Dir, defaultFile), nil
	}
	found := scheme.FindStringSubmatch(c.URL)
	if found == nil {
		return filePlace(c.URL)
	}
	switch name := strings.ToLower(found[1]); name {
	case "sqlite":
		return filePlace(c.URL[len("sqlite:"):])
	case "postgres", "postgresql":
		return postgresPlace(c.URL)
	default:
		return 0, "", fmt.Errorf("--store: no database is known by %q: write sqlite:PATH or postgres://USER@HOST/DATABASE (a file whose name begins like that: sqlite:%s:…)", name+":", name)
	}
}

func filePlace(path string) (kind, string, error) {
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		if !strings.HasPrefix(rest, "/") {
			return 0, "", errHost
		}
		path = rest
	}
	switch {
	case path == "":
		return 0, "", errors.New("--store sqlite: names no file: write sqlite:PATH")
	case path == ":memory:":
		return 0, "", errMemory
	case strings.ContainsRune(path, 0):
		return 0, "", errors.New("--store: the path holds a NUL byte")
	}
	return sqliteFile, path, nil
}

func postgresPlace(text string) (kind, string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.Fragment != "" {
		return 0, "", errURL
	}
	if strings.Trim(u.Path, "/") == "" && !u.Query().Has("dbname") && !u.Query().Has("service") {
		return 0, "", errors.New("--store: the URL names no database: write postgres://USER@HOST/DATABASE")
	}
	return postgresURL, text, nil
}
