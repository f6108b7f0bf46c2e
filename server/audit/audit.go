// Package audit is the log of who changed what and who was refused: the form of
// an entry, the chain of hashes that shows whether one was changed or taken out,
// and how entries are written out. It keeps nothing itself: package store does.
package audit

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of an entry that Clean keeps, in bytes and in details.
const (
	MaxText    = 256 // of each text, and of each name of a detail
	MaxDetail  = 512 // of each detail
	MaxDetails = 20
)

// An Entry is one line of the log. Texts are cut to size by Clean.
type Entry struct {
	Seq       int64     // from 1, without gaps; given by the store
	At        time.Time // UTC, milliseconds
	Actor     string    // "sub:…", "key:…" (access key), "api_key:key_…", "cli", "system"; "" is a stranger
	Method    string    // how the actor proved it: identity.Method
	IP        string
	RequestID string
	Action    string            // "key.create", "key.revoke", "credential.refused", …
	Target    string            // ID of what was changed, "" for none
	Owner     string            // whose the target is, as apikey.Record.Owner
	Outcome   string            // "ok" or the code of the refusal
	Details   map[string]string // further facts, never a secret
	Count     int64             // how many of the same kind the entry stands for; 0 is 1
	Hash      []byte            // of the chain
	HashBy    string            // which secret
}

// Clean returns the entry as it can be kept: every text is valid UTF-8 without
// NUL and within its bound, the first MaxDetails details by name are left, the
// time is in UTC and whole milliseconds, and a Count below 1 is 1. What strangers
// sent may stand in any text. Cleaning twice is cleaning once.
func (e Entry) Clean() Entry {
	for _, text := range []*string{&e.Actor, &e.Method, &e.IP, &e.RequestID, &e.Action, &e.Target, &e.Owner, &e.Outcome} {
		*text = cut(*text, MaxText)
	}
	e.Details = cleanDetails(e.Details)
	e.Count = max(e.Count, 1)
	if !e.At.IsZero() {
		e.At = time.UnixMilli(e.At.UnixMilli()).UTC()
	}
	return e
}

// cleanDetails returns a map of its own, nil for no details. Of two names that
// are cut to the same one, the first counts.
func cleanDetails(details map[string]string) map[string]string {
	if len(details) == 0 {
		return nil
	}
	cleaned := make(map[string]string, min(len(details), MaxDetails))
	for _, name := range slices.Sorted(maps.Keys(details)) {
		short := cut(name, MaxText)
		if _, taken := cleaned[short]; taken {
			continue
		}
		if cleaned[short] = cut(details[name], MaxDetail); len(cleaned) == MaxDetails {
			break
		}
	}
	return cleaned
}

// cut makes a text valid UTF-8 without NUL, of at most so many bytes.
func cut(s string, most int) string {
	if len(s) > most+utf8.UTFMax { // the last character may be half; what is after it does not count
		s = s[:most+utf8.UTFMax]
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= most {
		return s
	}
	for !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
