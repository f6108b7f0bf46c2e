package server

import (
	"net/url"
	"strconv"
	"testing"
	"time"

	"wavegate/server/session"
)

// TestOnlyTheSessionThatWasAskedAnswers, and not for ever.
func TestOnlyTheSessionThatWasAskedAnswers(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)
	shown := func(at time.Time) url.Values {
		return url.Values{shownAt: {strconv.FormatInt(at.UnixMilli(), 10)}, shownSession: {"one"}, shownUser: {"ann"}}
	}
	of := func(id, user string) *visitor {
		return &visitor{sess: &session.Record{ID: id, UserID: user}}
	}
	for name, test := range map[string]struct {
		shown url.Values
		p     *visitor
		want  *lapse
	}{
		"the one that was asked": {shown(now), of("one", "ann"), nil},
		"at the last moment":     {shown(now.Add(-consentFor)), of("one", "ann"), nil},
		"too late":               {shown(now.Add(-consentFor - time.Millisecond)), of("one", "ann"), lapsedLong},
		"after another sign-in":  {shown(now), of("two", "ann"), lapsedSession},
		"another person":         {shown(now), of("two", "bob"), lapsedOther},
		"nobody":                 {shown(now), nil, lapsedSignedOut},
		"nothing":                {nil, of("one", "ann"), lapsedUnknown},
		"nothing to nobody":      {nil, nil, lapsedUnknown},
		"no time":                {url.Values{shownSession: {"one"}, shownUser: {"ann"}}, of("one", "ann"), lapsedUnknown},
	} {
		if got := lapseOf(test.shown, test.p, now); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
