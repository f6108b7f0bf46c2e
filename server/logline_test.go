package server

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/quick"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The lines of requests are what slog would have written, for every text.
func TestRequestLogWritesWhatSlogWrites(t *testing.T) {
	same := func(text string, n int64, ms uint32) bool {
		attrs := []slog.Attr{slog.String("path", text), slog.Int64("bytes", n), slog.Float64("duration_ms", float64(ms)/1000)}
		at := time.Now()
		var want bytes.Buffer
		r := slog.NewRecord(at, slog.LevelInfo, "request", 0)
		r.AddAttrs(attrs...)
		if err := slog.NewJSONHandler(&want, nil).Handle(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		(&requestLog{w: &got}).write(at, slog.LevelInfo, "request", attrs)
		var a, b map[string]any
		if err := json.Unmarshal(got.Bytes(), &a); err != nil {
			t.Fatalf("%v in %s", err, &got)
		}
		if err := json.Unmarshal(want.Bytes(), &b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		return bytes.Count(got.Bytes(), []byte("\n")) == 1
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"", "/a b", `"\`, "\n\r\x00\x7f", "\u2028", "<&>", "ü€😀", "\xff\xfe"} {
		if !same(text, -1, 0) {
			t.Errorf("%q: more than one line", text)
		}
	}
}
