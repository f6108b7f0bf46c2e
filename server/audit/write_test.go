package audit_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wavegate/server/audit"
)

func TestJSONLinesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newChain(t, secret(1))
		want := sealed(c, 0, nil, rapid.SliceOfN(entries, 0, 5).Draw(t, "entries"))
		var out bytes.Buffer
		if err := audit.WriteJSONLines(&out, seq(want)); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); n != len(want) {
			t.Fatalf("%d lines, want %d", n, len(want))
		}
		var got []audit.Entry
		for dec := json.NewDecoder(&out); dec.More(); {
			var e audit.Entry
			if err := dec.Decode(&e); err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		if len(want) > 0 && !cmp.Equal(got, want) {
			t.Fatalf("(-want +got):\n%s", cmp.Diff(want, got))
		}
		if _, err := audit.Verify(c, 0, nil, seq(got)); err != nil {
			t.Fatalf("an export does not verify: %v", err)
		}
	})
}

func TestJSONLine(t *testing.T) {
	e := some(1)[0]
	e.Seq, e.Hash, e.HashBy = 1, []byte{0xab, 0xcd}, "by"
	var out bytes.Buffer
	must(t, audit.WriteJSONLines(&out, seq([]audit.Entry{e})))
	want := `{"seq":1,"at":"2026-03-01T12:00:00.000Z","actor":"sub:ann","method":"session","ip":"192.0.2.1","request_id":"r0","action":"key.create",` +
		`"target":"key_0","owner":"sub:ann","outcome":"ok","details":{"name":"ci"},"count":1,"hash":"abcd","hash_by":"by"}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzEntry reads exports that anybody may have made: what is read can be written
// and read again as the same.
func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"seq":1,"at":"2026-03-01T12:00:00.000Z","actor":"a","details":{"a":"b"},"count":1,"hash":"abcd"}`))
	f.Add([]byte(`{"at":"x"}`))
	f.Add([]byte(`{"at":"2026-03-01T12:00:00.000+01:00","hash":"xyz"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e, again audit.Entry
		if json.Unmarshal(data, &e) != nil {
			return
		}
		text, err := json.Marshal(e.Clean())
		must(t, err)
		must(t, json.Unmarshal(text, &again))
		e = e.Clean()
		e.Hash, again.Hash = append([]byte{}, e.Hash...), append([]byte{}, again.Hash...)
		if diff := cmp.Diff(e, again); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}

// TestCSVHoldsNoFormulas reads the file as a spreadsheet does.
func TestCSVHoldsNoFormulas(t *testing.T) {
	for _, text := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", `=HYPERLINK("http://evil.example.com")`} {
		e := audit.Entry{Seq: 1, At: start, Actor: text, IP: text, Action: text, Details: map[string]string{text: text}}
		for _, row := range readCSV(t, e)[1:] {
			for i, cell := range row {
				if cell != "" && strings.Contains("=+-@\t\r\n", cell[:1]) {
					t.Errorf("%q: column %d is %q", text, i, cell)
				}
			}
			if want := "'" + text; row[2] != want && text != "\r=1" {
				t.Errorf("actor %q, want %q", row[2], want)
			}
		}
	}
}

// TestCSVKeepsHarmlessTexts: no apostrophe where none is needed, and what holds
// commas, quotes and lines comes back.
func TestCSVKeepsHarmlessTexts(t *testing.T) {
	e := audit.Entry{Seq: 12, At: start, Actor: "sub:a,b", Method: `say "hi"`, IP: "2001:db8::1", Outcome: "a\nb", Details: map[string]string{"k": "v"}, Hash: []byte{1, 2}, HashBy: "by"}
	want := [][]string{
		{"seq", "at", "actor", "method", "ip", "request_id", "action", "target", "owner", "outcome", "details", "count", "hash", "hash_by"},
		{"12", "2026-03-01T12:00:00.000Z", "sub:a,b", `say "hi"`, "2001:db8::1", "", "", "", "", "a\nb", `{"k":"v"}`, "1", "0102", "by"},
	}
	if diff := cmp.Diff(want, readCSV(t, e)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func readCSV(t *testing.T, e audit.Entry) [][]string {
	t.Helper()
	var out bytes.Buffer
	must(t, audit.WriteCSV(&out, seq([]audit.Entry{e})))
	rows, err := csv.NewReader(&out).ReadAll()
	must(t, err)
	return rows
}

var writers = map[string]func(w *bytes.Buffer, entries iter.Seq2[audit.Entry, error]) error{
	"JSON": func(w *bytes.Buffer, entries iter.Seq2[audit.Entry, error]) error {
		return audit.WriteJSONLines(w, entries)
	},
	"CSV": func(w *bytes.Buffer, entries iter.Seq2[audit.Entry, error]) error { return audit.WriteCSV(w, entries) },
}

// TestWritersStopAtAnError writes what came before it, and asks for no more.
func TestWritersStopAtAnError(t *testing.T) {
	broken := errors.New("the store is away")
	for name, write := range writers {
		var out bytes.Buffer
		err := write(&out, func(yield func(audit.Entry, error) bool) {
			if yield(some(1)[0], nil) && yield(audit.Entry{}, broken) {
				t.Errorf("%s: asked for more", name)
			}
		})
		if err != broken || !strings.Contains(out.String(), "key_0") {
			t.Errorf("%s: %v, wrote %q", name, err, &out)
		}
	}
}

// A full takes some bytes and then no more.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

// TestWritersStream: long before the last entry, the first are written, and a
// writer that takes no more ends it.
func TestWritersStream(t *testing.T) {
	for name, write := range map[string]func(w *full, entries iter.Seq2[audit.Entry, error]) error{
		"JSON": func(w *full, entries iter.Seq2[audit.Entry, error]) error { return audit.WriteJSONLines(w, entries) },
		"CSV":  func(w *full, entries iter.Seq2[audit.Entry, error]) error { return audit.WriteCSV(w, entries) },
	} {
		n := 0
		err := write(&full{room: 50_000}, func(yield func(audit.Entry, error) bool) {
			for e := some(1)[0]; n < 1_000_000 && yield(e, nil); n++ {
			}
		})
		if err == nil || n > 10_000 {
			t.Errorf("%s: %v after %d entries", name, err, n)
		}
	}
}
