package demo

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxBody is how many bytes of JSON the API reads.
const maxBody = 64 << 10

// A call answers one API request: with a status and a value that becomes the
// JSON body, nil for none, or with an error.
type call func(w http.ResponseWriter, r *http.Request) (status int, body any, err error)

// routeAPI is the whole surface of the API.
func (a *app) routeAPI(mux *http.ServeMux) {
	mux.Handle("/v1/streams", methods{"GET": a.listStreams, "POST": a.createStream})
	mux.Handle("/v1/streams/{id}", methods{
		"GET": a.getStream, "PUT": a.replaceStream, "PATCH": a.patchStream, "DELETE": a.deleteStream,
	})
	mux.Handle("/v1/streams/{id}/start", methods{"POST": a.startStream})
	mux.Handle("/v1/streams/{id}/stop", methods{"POST": a.stopStream})
}

// methods are the calls of one path.
type methods map[string]call

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	do, ok := m[method]
	if !ok {
		allowed := strings.Join(slices.Sorted(maps.Keys(m)), ", ")
		w.Header().Set("Allow", allowed)
		respond(w, r, errorf(http.StatusMethodNotAllowed, "method_not_allowed", "Use %s here.", allowed))
		return
	}
	status, body, err := do(w, r)
	switch {
	case err != nil:
		respond(w, r, err)
	case body == nil:
		w.WriteHeader(status)
	default:
		writeJSON(w, status, body)
	}
}

// streamList is a page of streams.
type streamList struct {
	Data    []stream `json:"data"`
	HasMore bool     `json:"has_more"`
	Next    string   `json:"next_cursor,omitempty"` // goes into ?after=
}

func (a *app) listStreams(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	query := r.URL.Query()
	limit := 20
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxStreams {
			return 0, nil, errorf(http.StatusBadRequest, "invalid_request", "limit must be a number from 1 to %d.", maxStreams)
		}
		limit = n
	}
	status := query.Get("status")
	if status != "" && status != statusIdle && status != statusLive {
		return 0, nil, errorf(http.StatusBadRequest, "invalid_request", "status must be idle or live.")
	}
	page, more, err := a.streams.list(status, query.Get("after"), limit)
	if err != nil {
		return 0, nil, err
	}
	list := streamList{Data: page, HasMore: more}
	if more {
		list.Next = page[len(page)-1].ID
	}
	return http.StatusOK, list, nil
}

func (a *app) createStream(w http.ResponseWriter, r *http.Request) (int, any, error) {
	set, err := readSettings(w, r, true)
	if err != nil {
		return 0, nil, err
	}
	st, err := a.streams.add(set, r.Header.Get("Wave-Subject-ID"))
	if err != nil {
		return 0, nil, err
	}
	w.Header().Set("Location", "/v1/streams/"+st.ID)
	return http.StatusCreated, st, nil
}

func (a *app) getStream(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	st, err := a.streams.get(r.PathValue("id"))
	return http.StatusOK, st, err
}

func (a *app) replaceStream(w http.ResponseWriter, r *http.Request) (int, any, error) {
	set, err := readSettings(w, r, true)
	if err != nil {
		return 0, nil, err
	}
	return a.configure(r, set.over(defaultSettings()))
}

func (a *app) patchStream(w http.ResponseWriter, r *http.Request) (int, any, error) {
	set, err := readSettings(w, r, false)
	if err != nil {
		return 0, nil, err
	}
	return a.configure(r, set)
}

// configure applies settings. What is on air keeps the format it went on air
// with; only its name may change.
func (a *app) configure(r *http.Request, set settings) (int, any, error) {
	st, err := a.streams.change(r.PathValue("id"), func(st *stream) error {
		before := *st
		st.apply(set)
		renamed := before
		renamed.Name = st.Name
		if st.Status == statusLive && *st != renamed {
			return errorf(http.StatusConflict, "stream_live", "The stream is live; stop it before you change its format.")
		}
		return nil
	})
	return http.StatusOK, st, err
}

func (a *app) deleteStream(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	return http.StatusNoContent, nil, a.streams.remove(r.PathValue("id"))
}

func (a *app) startStream(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	st, err := a.streams.change(r.PathValue("id"), func(st *stream) error {
		if st.Status == statusLive {
			return errorf(http.StatusConflict, "already_live", "The stream is live already.")
		}
		st.Status, st.StartedAt = statusLive, new(a.streams.stamp())
		return nil
	})
	return http.StatusOK, st, err
}

func (a *app) stopStream(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	st, err := a.streams.change(r.PathValue("id"), func(st *stream) error {
		if st.Status == statusIdle {
			return errorf(http.StatusConflict, "not_live", "The stream is not live.")
		}
		st.Status, st.StartedAt = statusIdle, nil
		return nil
	})
	return http.StatusOK, st, err
}

// readSettings reads a JSON body: one object, known fields, no more than
// maxBody bytes.
func readSettings(w http.ResponseWriter, r *http.Request, whole bool) (settings, error) {
	var set settings
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return set, errorf(http.StatusUnsupportedMediaType, "unsupported_media_type", "Send JSON, with the header Content-Type: application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return set, errorf(http.StatusRequestEntityTooLarge, "too_large", "The body may have at most %d bytes.", maxBody)
		}
		return set, errorf(http.StatusBadRequest, "invalid_request", "The body ended early.")
	}
	if err := decodeSettings(body, &set); err != nil {
		return set, err
	}
	return set, set.check(whole)
}

func decodeSettings(body []byte, set *settings) error {
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(set); err != nil {
		reason := strings.TrimPrefix(err.Error(), "json: ")
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			reason = cmp.Or(wrong.Field, "the whole") + " must not be of the kind " + wrong.Value
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			reason = "it ends too early"
		}
		return errorf(http.StatusBadRequest, "invalid_request", "The body is not the JSON of a stream: %s.", reason)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errorf(http.StatusBadRequest, "invalid_request", "The body holds more than one JSON object.")
	}
	return nil
}
