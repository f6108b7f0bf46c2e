package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ask sends a JSON request to the app and returns the answer.
func ask(app http.Handler, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Wave-Subject-ID", "alice")
	r.Header.Set("X-Request-Id", "request-1")
	w := httptest.NewRecorder()
	app.ServeHTTP(w, r)
	return w
}

func decode[T any](t *testing.T, w *httptest.ResponseRecorder, status int) T {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

func TestStreamFromCreateToDelete(t *testing.T) {
	app := newApp(t, Config{})
	w := ask(app, "POST", "/v1/streams", `{"name": " Roof terrace ", "codec": "av1"}`)
	made := decode[stream](t, w, http.StatusCreated)
	if !regexp.MustCompile(`^str_[a-z0-9]{16}$`).MatchString(made.ID) {
		t.Errorf("ID %q", made.ID)
	}
	at := "/v1/streams/" + made.ID
	if got := w.Header().Get("Location"); got != at {
		t.Errorf("Location %q, want %q", got, at)
	}
	want := stream{
		ID: made.ID, Name: "Roof terrace", Codec: "av1", Resolution: "1080p", Bitrate: 4500, Status: "idle", CreatedBy: "alice",
		IngestURL:   "rtmps://ingest.example.com/live/" + made.ID,
		PlaybackURL: "https://play.example.com/" + made.ID + ".m3u8",
		CreatedAt:   made.CreatedAt, UpdatedAt: made.CreatedAt,
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}

	live := decode[stream](t, ask(app, "POST", at+"/start", ""), http.StatusOK)
	if live.Status != "live" || live.StartedAt == nil {
		t.Errorf("started: %+v", live)
	}
	decode[any](t, ask(app, "POST", at+"/start", ""), http.StatusConflict)
	decode[any](t, ask(app, "PATCH", at, `{"codec": "vp9"}`), http.StatusConflict)
	renamed := decode[stream](t, ask(app, "PATCH", at, `{"name": "Roof"}`), http.StatusOK)
	if renamed.Name != "Roof" || renamed.Codec != "av1" || renamed.Status != "live" {
		t.Errorf("renamed: %+v", renamed)
	}
	idle := decode[stream](t, ask(app, "POST", at+"/stop", ""), http.StatusOK)
	if idle.Status != "idle" || idle.StartedAt != nil {
		t.Errorf("stopped: %+v", idle)
	}
	decode[any](t, ask(app, "POST", at+"/stop", ""), http.StatusConflict)
	replaced := decode[stream](t, ask(app, "PUT", at, `{"name": "New", "bitrate_kbps": 800}`), http.StatusOK)
	if replaced.Codec != "h264" || replaced.Bitrate != 800 || replaced.Name != "New" {
		t.Errorf("replaced: %+v", replaced)
	}
	if got := decode[stream](t, ask(app, "GET", at, ""), http.StatusOK); !cmp.Equal(got, replaced) {
		t.Errorf("read again: %s", cmp.Diff(replaced, got))
	}

	if w := ask(app, "DELETE", at, ""); w.Code != http.StatusNoContent || w.Body.Len() != 0 {
		t.Errorf("delete: status %d, body %q", w.Code, w.Body)
	}
	decode[any](t, ask(app, "GET", at, ""), http.StatusNotFound)
}

func TestStreamsAreListedInPages(t *testing.T) {
	app := newApp(t, Config{})
	for i := range 4 {
		decode[stream](t, ask(app, "POST", "/v1/streams", fmt.Sprintf(`{"name": "s%d"}`, i)), http.StatusCreated)
	}
	var names []string
	for path := "/v1/streams?limit=3"; ; {
		page := decode[streamList](t, ask(app, "GET", path, ""), http.StatusOK)
		for _, st := range page.Data {
			names = append(names, st.Name)
		}
		if !page.HasMore {
			break
		}
		path = "/v1/streams?limit=3&after=" + page.Next
	}
	want := []string{"s3", "s2", "s1", "s0", "Night sky", "Keynote, main stage", "Harbour camera"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	live := decode[streamList](t, ask(app, "GET", "/v1/streams?status=live", ""), http.StatusOK)
	if len(live.Data) != 1 || live.Data[0].Name != "Keynote, main stage" {
		t.Errorf("live: %+v", live.Data)
	}
}

func TestAPIRefusesWithTheDocumentedBody(t *testing.T) {
	const sample = "/v1/streams/" + sampleID
	tests := []struct {
		method, path, body string
		status             int
		code, message      string
	}{
		{"POST", "/v1/streams", `{"codec": "mp2", "bitrate_kbps": 1, "resolution": "4k"}`, 400, "invalid_request", "name is missing; codec must be one of h264, h265, av1, vp9; resolution must"},
		{"POST", "/v1/streams", `{"name": ""}`, 400, "invalid_request", "name must have 1 to 100"},
		{"POST", "/v1/streams", `{"name": "` + strings.Repeat("é", 101) + `"}`, 400, "invalid_request", "name must have 1 to 100"},
		{"POST", "/v1/streams", `{"name": "a\u0007"}`, 400, "invalid_request", "printable"},
		{"POST", "/v1/streams", `{"name": "a", "owner": "bob"}`, 400, "invalid_request", `unknown field "owner"`},
		{"POST", "/v1/streams", `{"name": 1}`, 400, "invalid_request", "name must not be of the kind number"},
		{"POST", "/v1/streams", `{"name": "a"`, 400, "invalid_request", "ends too early"},
		{"POST", "/v1/streams", `{"name": "a"} {}`, 400, "invalid_request", "more than one"},
		{"POST", "/v1/streams", `[]`, 400, "invalid_request", "the whole must not be of the kind array"},
		{"POST", "/v1/streams", ``, 415, "unsupported_media_type", "application/json"},
		{"POST", "/v1/streams", `{"name": "` + strings.Repeat("a", maxBody) + `"}`, 413, "too_large", "65536 bytes"},
		{"GET", "/v1/streams?limit=0", "", 400, "invalid_request", "limit"},
		{"GET", "/v1/streams?status=x", "", 400, "invalid_request", "status"},
		{"GET", "/v1/streams?after=x", "", 400, "invalid_request", "after"},
		{"GET", "/v1/streams/str_none", "", 404, "not_found", "str_none"},
		{"PUT", sample, `{}`, 400, "invalid_request", "name is missing"},
		{"DELETE", "/v1/streams", "", 405, "method_not_allowed", "GET, POST"},
		{"GET", sample + "/start", "", 405, "method_not_allowed", "POST"},
		{"GET", "/v1/streams/", "", 404, "not_found", "nothing at"},
		{"GET", "/v1/nothing", "", 404, "not_found", "nothing at"},
		{"GET", "/nothing", "", 404, "not_found", "nothing at"},
	}
	app := newApp(t, Config{})
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s %s %.30s", test.method, test.path, test.body), func(t *testing.T) {
			w := ask(app, test.method, test.path, test.body)
			got := decode[map[string]map[string]string](t, w, test.status)["error"]
			if got["code"] != test.code || !strings.Contains(got["message"], test.message) {
				t.Errorf("got %v, want code %q and a message with %q", got, test.code, test.message)
			}
			if got["type"] == "" || got["request_id"] != "request-1" || len(got) != 4 {
				t.Errorf("the body is not of the documented shape: %v", got)
			}
		})
	}
}

func TestStreamsAreBoundedAndSafeForManyCallers(t *testing.T) {
	app := newApp(t, Config{})
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			for range 10 {
				ask(app, "POST", "/v1/streams", `{"name": "x"}`)
				ask(app, "GET", "/v1/streams", "")
				ask(app, "PATCH", "/v1/streams/"+sampleID, `{"name": "y"}`)
			}
		})
	}
	wait.Wait()
	list := decode[streamList](t, ask(app, "GET", "/v1/streams?limit=100", ""), http.StatusOK)
	if len(list.Data) != maxStreams || list.HasMore {
		t.Errorf("%d streams, more: %t; want %d", len(list.Data), list.HasMore, maxStreams)
	}
	got := decode[map[string]map[string]string](t, ask(app, "POST", "/v1/streams", `{"name": "x"}`), http.StatusConflict)
	if got["error"]["code"] != "too_many_streams" {
		t.Errorf("got %v", got)
	}
}

func TestNewIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newID()
		if seen[id] || len(id) != 20 {
			t.Fatalf("ID %q, seen before: %t", id, seen[id])
		}
		seen[id] = true
	}
}

func FuzzDecodeSettings(f *testing.F) {
	for _, seed := range []string{`{"name": "a"}`, `{"name": 1}`, `[]`, `null`, `{"name": "a"}{}`, `{"bitrate_kbps": 1e9}`, ``, "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var set settings
		if decodeSettings(body, &set) != nil || set.check(true) != nil {
			return
		}
		st := newStream("str_x", time.Time{}, "")
		st.apply(set)
		if !validName(st.Name) || st.Bitrate < 100 || st.Bitrate > 50_000 {
			t.Errorf("%q was accepted: %+v", body, st)
		}
	})
}
