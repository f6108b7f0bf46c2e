package audit_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wavegate/server/audit"
)

func TestMain(m *testing.M) {
	flag.Set("rapid.nofailfile", "true") // nothing is written into the source tree
	os.Exit(m.Run())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestClean(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	e := audit.Entry{
		Seq: 7, At: start.Add(1234567 * time.Nanosecond).In(time.FixedZone("", 3600)), Actor: long, Method: "a\x00b", IP: "\xff\xfe",
		Action: "key.create", Target: strings.Repeat("ü", 200), Owner: strings.Repeat("x", 255) + "€",
		Details: map[string]string{long: long, "reason": "spam"}, Hash: []byte{1}, HashBy: "by",
	}
	want := audit.Entry{
		Seq: 7, At: start.Add(time.Millisecond), Actor: long[:256], Method: "a\uFFFDb", IP: "\uFFFD",
		Action: "key.create", Target: strings.Repeat("ü", 128), Owner: strings.Repeat("x", 255),
		Details: map[string]string{long[:256]: long[:512], "reason": "spam"}, Count: 1, Hash: []byte{1}, HashBy: "by",
	}
	if diff := cmp.Diff(want, e.Clean()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(e.Details[long]) != 10_000 {
		t.Error("the caller's map was changed")
	}
}

func TestCleanKeepsTwentyDetails(t *testing.T) {
	e := audit.Entry{Details: map[string]string{}}
	for i := range 50 {
		e.Details[fmt.Sprintf("name %02d", i)] = "v"
	}
	got := e.Clean().Details
	if len(got) != audit.MaxDetails || got["name 19"] != "v" {
		t.Errorf("%d details: %v", len(got), got)
	}
	if e := (audit.Entry{Details: map[string]string{}}).Clean(); e.Details != nil {
		t.Errorf("no details became %#v", e.Details)
	}
}

// texts draws what strangers may send.
var texts = rapid.Custom(func(t *rapid.T) string {
	return string(rapid.SliceOfN(rapid.Byte(), 0, 700).Draw(t, "bytes"))
})

// entries draws an entry with any content.
var entries = rapid.Custom(func(t *rapid.T) audit.Entry {
	text := rapid.OneOf(texts, rapid.String(), rapid.SampledFrom([]string{"", "=1+1", "key.create", "ok"}))
	return audit.Entry{
		At:    time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "ms")).Add(time.Duration(rapid.IntRange(0, 999_999).Draw(t, "ns"))),
		Actor: text.Draw(t, "actor"), Method: text.Draw(t, "method"), IP: text.Draw(t, "ip"), RequestID: text.Draw(t, "request"),
		Action: text.Draw(t, "action"), Target: text.Draw(t, "target"), Owner: text.Draw(t, "owner"), Outcome: text.Draw(t, "outcome"),
		Details: rapid.MapOfN(text, text, 0, 25).Draw(t, "details"),
		Count:   rapid.Int64Range(0, 100).Draw(t, "count"),
	}
})

func TestCleanBoundsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := entries.Draw(t, "entry").Clean()
		for _, text := range []string{e.Actor, e.Method, e.IP, e.RequestID, e.Action, e.Target, e.Owner, e.Outcome} {
			checkText(t, text, audit.MaxText)
		}
		if len(e.Details) > audit.MaxDetails {
			t.Fatalf("%d details", len(e.Details))
		}
		for name, value := range maps.All(e.Details) {
			checkText(t, name, audit.MaxText)
			checkText(t, value, audit.MaxDetail)
		}
		if diff := cmp.Diff(e, e.Clean()); diff != "" {
			t.Fatalf("cleaned twice:\n%s", diff)
		}
	})
}

func checkText(t interface{ Fatalf(string, ...any) }, text string, most int) {
	if len(text) > most || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		t.Fatalf("%q was left", text)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("sub:ann", "reason")
	f.Add(strings.Repeat("\xf0\x9f\x98", 100), "\x00")
	f.Add(strings.Repeat("€", 90), strings.Repeat("\xff", 600))
	f.Fuzz(func(t *testing.T, actor, detail string) {
		e := audit.Entry{Actor: actor, Details: map[string]string{detail: detail}}.Clean()
		checkText(t, e.Actor, audit.MaxText)
		for name, value := range e.Details {
			checkText(t, name, audit.MaxText)
			checkText(t, value, audit.MaxDetail)
		}
		if len(actor) <= audit.MaxText && utf8.ValidString(actor) && !strings.ContainsRune(actor, 0) && e.Actor != actor {
			t.Errorf("%q became %q", actor, e.Actor)
		}
	})
}
