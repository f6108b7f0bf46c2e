package server

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/gateway"
	"wavegate/server/policy"
)

// isRegistration reports whether the request may be an app that announces
// itself: JSON posted to the base URL with an access key.
func (s *Server) isRegistration(r *http.Request, path string) bool {
	if r.Method != http.MethodPost || path != s.cfg.BaseURL && path+"/" != s.cfg.BaseURL {
		return false
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return false
	}
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Basic")
}

// serveRegistration serves a body that registers or unregisters an app. Any
// other body is put back for the route that covers the base URL, whose app may
// take JSON there too.
func (s *Server) serveRegistration(ex *exchange, r *http.Request) (handled bool, err error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, gateway.MaxAppMessage+1))
	if err != nil {
		return true, fault.New(http.StatusBadRequest, "invalid_request", "The body could not be read whole.").Because(err)
	}
	r.Body = replayedBody{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	if len(body) > gateway.MaxAppMessage || !announcesApp(body) {
		return false, nil
	}
	ex.Route = "register"
	if err := s.admit(ex, r, s.state.Load(), policy.Ask{Method: r.Method, Path: ex.Path}, 0); err != nil {
		return true, err
	}
	return true, s.gateway.Apps().Serve(ex, r)
}

// announcesApp reports whether the body is one of the two announcements.
func announcesApp(body []byte) bool {
	var b struct {
		Register   json.RawMessage `json:"register_app"`
		Unregister json.RawMessage `json:"unregister_app"`
	}
	return json.Unmarshal(body, &b) == nil && (b.Register != nil || b.Unregister != nil)
}

// A replayedBody reads what was looked at once more and then the rest.
type replayedBody struct {
	io.Reader
	io.Closer
}
