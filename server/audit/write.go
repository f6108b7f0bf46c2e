package audit

import (
	"bufio"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
)

// timeFormat is RFC 3339 with all milliseconds, so that texts sort as times.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// A line is an entry as JSON.
type line struct {
	Seq       int64             `json:"seq"`
	At        string            `json:"at"`
	Actor     string            `json:"actor"`
	Method    string            `json:"method"`
	IP        string            `json:"ip"`
	RequestID string            `json:"request_id"`
	Action    string            `json:"action"`
	Target    string            `json:"target"`
	Owner     string            `json:"owner"`
	Outcome   string            `json:"outcome"`
	Details   map[string]string `json:"details"`
	Count     int64             `json:"count"`
	Hash      string            `json:"hash"`
	HashBy    string            `json:"hash_by"`
}

// MarshalJSON writes the entry as WriteJSONLines does.
func (e Entry) MarshalJSON() ([]byte, error) {
	l := line{
		Seq: e.Seq, At: e.At.UTC().Format(timeFormat), Actor: e.Actor, Method: e.Method, IP: e.IP, RequestID: e.RequestID,
		Action: e.Action, Target: e.Target, Owner: e.Owner, Outcome: e.Outcome, Details: e.Details, Count: max(e.Count, 1),
		Hash: hex.EncodeToString(e.Hash), HashBy: e.HashBy,
	}
	if l.Details == nil {
		l.Details = map[string]string{}
	}
	return json.Marshal(l)
}

// UnmarshalJSON reads what MarshalJSON wrote, so that an export can be verified.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		return err
	}
	at, err := time.Parse(timeFormat, l.At)
	if err != nil {
		return err
	}
	sum, err := hex.DecodeString(l.Hash)
	if err != nil {
		return err
	}
	*e = Entry{
		Seq: l.Seq, At: at.UTC(), Actor: l.Actor, Method: l.Method, IP: l.IP, RequestID: l.RequestID,
		Action: l.Action, Target: l.Target, Owner: l.Owner, Outcome: l.Outcome, Details: l.Details, Count: l.Count,
		Hash: sum, HashBy: l.HashBy,
	}
	if len(e.Details) == 0 {
		e.Details = nil
	}
	return nil
}

// WriteJSONLines writes each entry as a JSON object on a line of its own, as they
// come. After an error of the entries, those before it are written.
func WriteJSONLines(w io.Writer, entries iter.Seq2[Entry, error]) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	for e, err := range entries {
		if err == nil {
			err = enc.Encode(e)
		}
		if err != nil {
			_ = out.Flush() // the first error counts
			return err
		}
	}
	return out.Flush()
}

// columns are the names in the first line of a CSV file.
var columns = []string{
	"seq", "at", "actor", "method", "ip", "request_id", "action", "target", "owner", "outcome", "details", "count", "hash", "hash_by",
}

// WriteCSV writes a line of names and a line for each entry (RFC 4180), as they
// come; details are one JSON object. A text that a spreadsheet would take for a
// formula has an apostrophe before it. After an error of the entries, those before
// it are written.
func WriteCSV(w io.Writer, entries iter.Seq2[Entry, error]) error {
	out := csv.NewWriter(w)
	if err := out.Write(columns); err != nil {
		return err
	}
	for e, err := range entries {
		if err == nil {
			err = writeRow(out, &e)
		}
		if err != nil {
			out.Flush() // the first error counts
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func writeRow(out *csv.Writer, e *Entry) error {
	details := ""
	if len(e.Details) > 0 {
		text, err := json.Marshal(e.Details)
		if err != nil {
			return err
		}
		details = string(text)
	}
	row := []string{
		strconv.FormatInt(e.Seq, 10), e.At.UTC().Format(timeFormat), e.Actor, e.Method, e.IP, e.RequestID, e.Action, e.Target,
		e.Owner, e.Outcome, details, strconv.FormatInt(max(e.Count, 1), 10), hex.EncodeToString(e.Hash), e.HashBy,
	}
	for i, cell := range row {
		row[i] = Cell(cell)
	}
	return out.Write(row)
}

// Cell returns a text as a cell of a CSV file: one that a spreadsheet would take
// for a formula has an apostrophe before it.
func Cell(text string) string {
	if text != "" && strings.Contains("=+-@\t\r\n", text[:1]) {
		return "'" + text
	}
	return text
}
