package store

import (
	"encoding/base64"
	"strconv"
	"strings"

	"wavegate/keychain/apikey"
)

// A KeySort is what a list of keys is sorted by. Keys of the same are sorted by ID.
type KeySort string

// The sorts. Names are compared in lower case, byte by byte, as all databases do
// it; keys without a time come last, whichever way the others are sorted.
const (
	ByCreation KeySort = ""
	ByName     KeySort = "name"
	ByLastUse  KeySort = "last_used_at" // of everybody's keys no index serves it: each use would have to move in it
	ByExpiry   KeySort = "expires_at"
)

// A keyPlace is where a sorted list goes on: behind the key of that ID, when it had
// that value. Without an ID it is the beginning.
type keyPlace struct {
	id   string
	name string
	time int64 // milliseconds; 0 for none
}

// Cursor is what Keys takes as after to go on behind a record. But by creation, the
// value that the list is sorted by is in it: it may change between two pages.
func (f KeyFilter) Cursor(r apikey.Record) string {
	value := ""
	switch f.Sort {
	case ByCreation:
		return r.ID
	case ByName:
		value = sortedName(r.Name)
	case ByLastUse:
		value = strconv.FormatInt(millis(r.LastUsedAt), 10)
	case ByExpiry:
		value = strconv.FormatInt(millis(r.ExpiresAt), 10)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(string(f.Sort) + "\n" + r.ID + "\n" + value))
}

// sortedName is a name as lists are sorted by it. It is the first line of the column
// search.
func sortedName(name string) string {
	line, _, _ := strings.Cut(strings.ToLower(name), "\n")
	return line
}

// IsCursor reports whether a text can be what Cursor made for lists in this order.
func (f KeyFilter) IsCursor(text string) bool {
	_, ok := f.place(text)
	return ok
}

// place reads what Cursor wrote; "" is the beginning.
func (f KeyFilter) place(after string) (keyPlace, bool) {
	if after == "" || f.Sort == ByCreation {
		return keyPlace{id: after}, storable(after)
	}
	raw, err := base64.RawURLEncoding.DecodeString(after)
	parts := strings.SplitN(string(raw), "\n", 3)
	if err != nil || len(parts) != 3 || parts[0] != string(f.Sort) || parts[1] == "" || !storable(parts[1], parts[2]) {
		return keyPlace{}, false
	}
	p := keyPlace{id: parts[1]}
	if f.Sort == ByName {
		p.name = parts[2]
		return p, true
	}
	p.time, err = strconv.ParseInt(parts[2], 10, 64)
	return p, err == nil && p.time >= 0
}

// A keyRun is a part of a sorted list that an index can serve: more conditions, and
// the order.
type keyRun struct {
	where string
	args  []any
	order string
}

// runs are the parts of a list from a place on, one after the other.
func (f KeyFilter) runs(d *dialect, p keyPlace) []keyRun {
	sign, way := " < ", " DESC"
	if f.Ascending {
		sign, way = " > ", " ASC"
	}
	run := func(column, where, behind string, args ...any) keyRun {
		r := keyRun{where: where, order: column + way + ", id" + way}
		if p.id != "" && behind != "" {
			r.where, r.args = where+" AND "+behind, args
		}
		return r
	}
	switch column := string(f.Sort); f.Sort {
	case ByCreation:
		return []keyRun{run("created_at", "TRUE", "(created_at, id)"+sign+"(SELECT created_at, id FROM api_keys WHERE id = ?)", p.id)}
	case ByName: // not as a pair, for which SQLite uses no index of an expression
		name := d.sortedName
		return []keyRun{run(name, "TRUE", name+sign[:2]+"= ? AND ("+name+sign+"? OR id"+sign+"?)", p.name, p.name, p.id)}
	default:
		if p.id != "" && p.time == 0 {
			return []keyRun{run(column, column+" = 0", "id"+sign+"?", p.id)}
		}
		return []keyRun{run(column, column+" > 0", "("+column+", id)"+sign+"(?, ?)", p.time, p.id), run(column, column+" = 0", "")}
	}
}
