package demo

import (
	"crypto/rand"
	"encoding/binary"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxStreams bounds what the sample app keeps; it has no store to put more in.
const maxStreams = 100

// A stream is one live video stream, as the API shows it.
type stream struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Codec       string     `json:"codec"`
	Resolution  string     `json:"resolution"`
	Bitrate     int        `json:"bitrate_kbps"`
	Status      string     `json:"status"` // idle or live
	IngestURL   string     `json:"ingest_url"`
	PlaybackURL string     `json:"playback_url"`
	CreatedBy   string     `json:"created_by,omitempty"` // the gate's Wave-Subject-ID
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	StartedAt   *time.Time `json:"started_at,omitempty"`
}

const (
	statusIdle = "idle"
	statusLive = "live"
)

// defaultSettings are the settings of a stream that says nothing about them.
func defaultSettings() settings {
	return settings{Codec: new("h264"), Resolution: new("1080p"), Bitrate: new(4500)}
}

// A shelf holds the streams, oldest first.
type shelf struct {
	now func() time.Time

	mu      sync.Mutex
	streams []stream // guarded by mu
}

// sampleID is a stream that is there from the start, so that commands can name
// it before anybody created one.
const sampleID = "str_harbour0cam00001"

// newShelf returns a shelf with three streams on it.
func newShelf(now func() time.Time) *shelf {
	s := &shelf{now: now}
	for _, sample := range []struct {
		id, name, codec, resolution string
		bitrate                     int
		live                        bool
	}{
		{sampleID, "Harbour camera", "h264", "1080p", 4500, false},
		{"str_keynote0stage002", "Keynote, main stage", "h265", "2160p", 12000, true},
		{"str_night0sky0000003", "Night sky", "av1", "720p", 1800, false},
	} {
		st := newStream(sample.id, s.stamp(), "")
		st.apply(settings{Name: &sample.name, Codec: &sample.codec, Resolution: &sample.resolution, Bitrate: &sample.bitrate})
		if sample.live {
			st.Status, st.StartedAt = statusLive, &st.CreatedAt
		}
		s.streams = append(s.streams, st)
	}
	return s
}

// stamp returns the time as the API shows it.
func (s *shelf) stamp() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

func newStream(id string, now time.Time, by string) stream {
	st := stream{
		ID: id, Status: statusIdle, CreatedBy: by, CreatedAt: now, UpdatedAt: now,
		IngestURL:   "rtmps://ingest.example.com/live/" + id,
		PlaybackURL: "https://play.example.com/" + id + ".m3u8",
	}
	st.apply(defaultSettings())
	return st
}

// newID returns "str_" and 16 letters and digits.
func newID() string {
	var random [10]byte
	rand.Read(random[:])
	const alphabet = "abcdefghjkmnpqrstvwxyz0123456789" // 32: five bits each
	high, low := binary.BigEndian.Uint64(random[:8]), uint64(binary.BigEndian.Uint16(random[8:]))
	id := make([]byte, 16)
	for i := range 12 {
		id[i] = alphabet[high>>(5*i)&31]
	}
	rest := high>>60 | low<<4
	for i := range 4 {
		id[12+i] = alphabet[rest>>(5*i)&31]
	}
	return "str_" + string(id)
}

// list returns up to limit streams with the status ("" for any), newest first,
// that come after the one with the given ID ("" for the first page), and
// whether there are more.
func (s *shelf) list(status, after string, limit int) (page []stream, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	started := after == ""
	page = []stream{}
	for _, st := range slices.Backward(s.streams) {
		switch {
		case !started:
			started = st.ID == after
		case status != "" && st.Status != status:
		case len(page) == limit:
			return page, true, nil
		default:
			page = append(page, st)
		}
	}
	if !started {
		return nil, false, errorf(http.StatusBadRequest, "invalid_request", "after: there is no stream %q; use the next_cursor of the page before.", after)
	}
	return page, false, nil
}

// onAir returns how many streams there are and the IDs of those that are live.
func (s *shelf) onAir() (all int, live []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live = []string{}
	for _, st := range s.streams {
		if st.Status == statusLive {
			live = append(live, st.ID)
		}
	}
	return len(s.streams), live
}

func (s *shelf) add(set settings, by string) (stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.streams) >= maxStreams {
		return stream{}, errorf(http.StatusConflict, "too_many_streams", "The sample app keeps %d streams at most; delete one first.", maxStreams)
	}
	st := newStream(newID(), s.stamp(), by)
	st.apply(set)
	s.streams = append(s.streams, st)
	return st, nil
}

func (s *shelf) get(id string) (stream, error) {
	return s.change(id, func(*stream) error { return nil })
}

// change lets f edit the stream and stamps it if f made a difference.
func (s *shelf) change(id string, f func(*stream) error) (stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(id)
	if i < 0 {
		return stream{}, noStream(id)
	}
	edited := s.streams[i]
	if err := f(&edited); err != nil {
		return stream{}, err
	}
	if edited != s.streams[i] {
		edited.UpdatedAt = s.stamp()
		s.streams[i] = edited
	}
	return edited, nil
}

func (s *shelf) remove(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(id)
	if i < 0 {
		return noStream(id)
	}
	s.streams = slices.Delete(s.streams, i, i+1)
	return nil
}

// index returns where the stream is, or -1. The caller holds mu.
func (s *shelf) index(id string) int {
	return slices.IndexFunc(s.streams, func(st stream) bool { return st.ID == id })
}

func noStream(id string) error {
	return errorf(http.StatusNotFound, "not_found", "There is no stream %q.", id)
}
