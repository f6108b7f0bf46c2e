package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wavegate/server/session"
)

func TestUnknownSession(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		r := signIn(t, s, newRecord("ann", start))
		_, err := s.Session(t.Context(), newHash())
		wantErr(t, "unknown", err, session.ErrNoSession)
		near := r.Hash
		near[31] ^= 1
		_, err = s.Session(t.Context(), near)
		wantErr(t, "one bit flipped", err, session.ErrNoSession)
		_, err = s.Session(t.Context(), session.Hash{})
		wantErr(t, "zero", err, session.ErrNoSession)
	})
}

func TestFilters(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		ann1 := signIn(t, s, newRecord("ann", start.Add(1*time.Minute)))
		ann2 := signIn(t, s, newRecord("ann", start.Add(2*time.Minute)))
		bob := signIn(t, s, newRecord("bob", start.Add(3*time.Minute)))
		twin := newRecord("ann", start.Add(4*time.Minute))
		twin.Issuer = "https://other.example.com"
		twin = signIn(t, s, twin)
		all := []session.Record{twin, bob, ann2, ann1}
		tests := []struct {
			name string
			f    session.Filter
			want []session.Record
		}{
			{"zero chooses none", session.Filter{}, nil},
			{"NotID alone chooses none", session.Filter{NotID: bob.ID}, nil},
			{"Issuer alone chooses none", session.Filter{Issuer: bob.Issuer}, nil},
			{"Subject without Issuer chooses none", session.Filter{Subject: "ann"}, nil},
			{"SID without Issuer chooses none, All or not", session.Filter{SID: "sid-ann", All: true}, nil},
			{"all", session.Filter{All: true}, all},
			{"all but one", session.Filter{All: true, NotID: bob.ID}, []session.Record{twin, ann2, ann1}},
			{"ID", session.Filter{ID: ann1.ID}, []session.Record{ann1}},
			{"ID of nobody", session.Filter{ID: "ses_none"}, nil},
			{"ID of another user", session.Filter{ID: ann1.ID, UserID: bob.UserID}, nil},
			{"user", session.Filter{UserID: ann1.UserID}, []session.Record{ann2, ann1}},
			{"user's others", session.Filter{UserID: ann1.UserID, NotID: ann1.ID}, []session.Record{ann2}},
			{"issuer and subject", session.Filter{Issuer: ann1.Issuer, Subject: "ann"}, []session.Record{ann2, ann1}},
			{"issuer and sid", session.Filter{Issuer: twin.Issuer, SID: "sid-ann"}, []session.Record{twin}},
			{"issuer, subject and another's sid", session.Filter{Issuer: ann1.Issuer, Subject: "ann", SID: "sid-bob"}, nil},
		}
		for _, tt := range tests {
			got, err := s.Sessions(t.Context(), tt.f, "", 10)
			must(t, err)
			wantSame(t, tt.name, got, tt.want)
		}
		for _, tt := range tests { // ending chooses as listing does
			n, err := s.End(t.Context(), tt.f)
			must(t, err)
			if n != len(tt.want) {
				t.Errorf("%s: ended %d, want %d", tt.name, n, len(tt.want))
			}
			for i, is := range there(t, s, all...) {
				if is == slices.Contains(ids(tt.want), all[i].ID) {
					t.Errorf("%s: session %d is there: %v", tt.name, i, is)
				}
			}
			for i, is := range there(t, s, all...) {
				if !is {
					signIn(t, s, all[i])
				}
			}
		}
	})
}

// pages lists in pages of two, and calls between after each.
func pages(t *testing.T, s *Store, f session.Filter, between func(page int, last string)) []string {
	t.Helper()
	var got []string
	for page, after := 0, ""; ; page++ {
		list, err := s.Sessions(t.Context(), f, after, 2)
		must(t, err)
		if len(list) == 0 {
			return got
		}
		got = append(got, ids(list)...)
		after = list[len(list)-1].ID
		between(page, after)
		if page > 20 {
			t.Fatal("the list does not end")
		}
	}
}

func TestSessionsInPages(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		var want []string
		for i := range 9 {
			r := signIn(t, s, newRecord("ann", start.Add(time.Duration(i/3)*time.Second))) // three of one time
			want = append(want, r.ID)
		}
		got := pages(t, s, session.Filter{All: true}, func(int, string) {})
		wantSame(t, "all, in some order", slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)))
		for i := range 3 {
			wantSame(t, "newest first", slices.Sorted(slices.Values(got[3*i:3*i+3])), slices.Sorted(slices.Values(want[6-3*i:9-3*i])))
		}
		list, err := s.Sessions(t.Context(), session.Filter{All: true}, "", 0)
		if len(list) != 0 || err != nil {
			t.Errorf("limit 0: %d sessions, %v", len(list), err)
		}
	})
}

// TestVanishedCursorDoesNotRestartTheList ends, in each way there is, the
// session at which a reader of the list stands.
func TestVanishedCursorDoesNotRestartTheList(t *testing.T) {
	ways := map[string]func(t *testing.T, s *Store, r session.Record){
		"ended": func(t *testing.T, s *Store, r session.Record) {
			_, err := s.End(t.Context(), session.Filter{ID: r.ID})
			must(t, err)
		},
		"swept": func(t *testing.T, s *Store, r session.Record) {
			run(t, s, "UPDATE sessions SET expires_at = 1 WHERE id = ?", r.ID)
			_, err := s.Sweep(t.Context(), start, time.Time{}, 10)
			must(t, err)
		},
		"all of a user": func(t *testing.T, s *Store, r session.Record) {
			must(t, s.SetDisabled(t.Context(), r.UserID, start))
		},
	}
	each(t, func(t *testing.T, s *Store, _ string) {
		for name, end := range ways {
			t.Run(name, func(t *testing.T) {
				var want []string
				byID := map[string]session.Record{}
				for i := range 8 {
					r := signIn(t, s, newRecord(fmt.Sprint(name, i), start.Add(time.Duration(-i)*time.Second)))
					want, byID[r.ID] = append(want, r.ID), r
				}
				got := pages(t, s, session.Filter{All: true}, func(_ int, last string) { end(t, s, byID[last]) })
				wantSame(t, "list", got, want)
				_, err := s.End(t.Context(), session.Filter{All: true})
				must(t, err)
			})
		}
		signIn(t, s, newRecord("ann", start))
		list, err := s.Sessions(t.Context(), session.Filter{All: true}, "ses_nobody_knows", 10)
		if len(list) != 0 || err != nil {
			t.Errorf("an unknown cursor: %d sessions, %v", len(list), err)
		}
	})
}

func TestTouch(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		a, b := signIn(t, s, newRecord("ann", start)), signIn(t, s, newRecord("bob", start))
		gone := newRecord("eve", start)
		later := start.Add(time.Minute)
		must(t, s.Touch(t.Context(), nil))
		must(t, s.Touch(t.Context(), []session.Touch{
			{Hash: a.Hash, SeenAt: start.Add(time.Second)},
			{Hash: a.Hash, SeenAt: later},
			{Hash: a.Hash, SeenAt: start.Add(2 * time.Second)},
			{Hash: gone.Hash, SeenAt: later},
			{Hash: b.Hash, SeenAt: start.Add(-time.Hour)},
		}))
		got, err := s.Session(t.Context(), a.Hash)
		must(t, err)
		wantSame(t, "forward", got.SeenAt, later)
		got, err = s.Session(t.Context(), b.Hash)
		must(t, err)
		wantSame(t, "never back", got.SeenAt, start)
		wantSame(t, "an ended session", there(t, s, gone), []bool{false})
	})
}

func TestTouchOfThousands(t *testing.T) {
	each(t, func(t *testing.T, s *Store, _ string) {
		signIn(t, s, newRecord("ann", start))
		touches := make([]session.Touch, 5000)
		for i := range touches {
			touches[i] = session.Touch{Hash: newHash(), SeenAt: start.Add(time.Minute)}
		}
		last := signIn(t, s, newRecord("bob", start))
		touches[4999].Hash = last.Hash
		must(t, s.Touch(t.Context(), touches))
		got, err := s.Session(t.Context(), last.Hash)
		must(t, err)
		wantSame(t, "SeenAt", got.SeenAt, start.Add(time.Minute))
	})
}

// TestTouchDoesNotReviveEnded lets Touch and End meet.
func TestTouchDoesNotReviveEnded(t *testing.T) {
	each(t, func(t *testing.T, s *Store, url string) {
		other := open(t, Config{URL: url})
		for range 5 {
			var touches []session.Touch
			for range 20 {
				r := signIn(t, s, newRecord("ann", start))
				touches = append(touches, session.Touch{Hash: r.Hash, SeenAt: start.Add(time.Minute)})
			}
			together(6, func(i int) {
				var err error
				if i%3 == 0 {
					_, err = other.End(t.Context(), session.Filter{Issuer: "https://idp.example.com", Subject: "ann"})
				} else {
					some := slices.Clone(touches)
					if i%3 == 1 {
						slices.Reverse(some)
					}
					err = s.Touch(t.Context(), some)
				}
				if err != nil {
					t.Error(err)
				}
			})
			if n := count(t, s, "sessions"); n != 0 {
				t.Fatalf("%d sessions after End", n)
			}
		}
	})
}
