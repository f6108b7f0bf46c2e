package server

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"wavegate/server/limit"
)

func queryOf(raw string) *query { return newQuery(&http.Request{URL: &url.URL{RawQuery: raw}}) }

func TestQueryReadsTimes(t *testing.T) {
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for raw, want := range map[string]time.Time{
		"":                               {},
		"at=2026-11-27T12:00:00Z":        noon,
		"at=2026-11-27T12:00:00.000Z":    noon,
		"at=2026-11-27T14:00:00%2B02:00": noon,
		"at=2026-11-27T14:00:00+02:00":   noon,
		"at=2026-11-27":                  noon.Add(-12 * time.Hour),
	} {
		q := queryOf(raw)
		if got := q.time("at"); !got.Equal(want) || q.end() != nil {
			t.Errorf("%q: %v, %v", raw, got, q.end())
		}
	}
	for _, raw := range []string{"at=now", "at=1764230400", "at=2026-13-01", "at=0001-01-01", "at=1969-12-31T23:59:59Z", "at=2026-11-27T12:00:00"} {
		q := queryOf(raw)
		if got := q.time("at"); !got.IsZero() || q.end() == nil {
			t.Errorf("%q: %v", raw, got)
		}
	}
}

func TestLongNamesOfParametersAreCut(t *testing.T) {
	q := queryOf(strings.Repeat("x", 5000) + "=1")
	q.text("known")
	if err := q.end(); err == nil || len(err.Error()) > 300 {
		t.Errorf("error %v", err)
	}
}

func TestLockCursorReadsWhatItWrote(t *testing.T) {
	l := namedLock{limit.Lock{Until: time.Date(2026, 11, 27, 12, 0, 0, 1234, time.UTC)}, "lck_x"}
	got, ok := behindCursor(l.cursor())
	if !ok || l.before(got) != 0 {
		t.Errorf("%+v became %+v", l, got)
	}
	for _, text := range []string{"", ".", "x", "zz.", "!.lck_x", strings.Repeat("z", 100) + ".x"} {
		if _, ok := behindCursor(text); ok {
			t.Errorf("%q was taken", text)
		}
	}
}
