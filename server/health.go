package server

import (
	"cmp"
	"encoding/json"
	"net/http"
)

// live answers as long as the process can answer at all.
func (s *Server) live(ex *exchange, _ *http.Request) error {
	return writeJSON(ex, http.StatusOK, map[string]string{"status": "ok"})
}

// ready answers 200 while the server wants traffic and 503 while it drains or
// while the store cannot be used. A keychain without keys and a
// provider that is down are named but do not fail it: what does not need them
// still works, and taking the server out of rotation would bring neither back.
func (s *Server) ready(ex *exchange, _ *http.Request) error {
	checks := map[string]string{}
	status, text := http.StatusOK, "ready"
	for _, p := range s.vitals(ex.ctx) {
		checks[p.Name] = cmp.Or(p.short, "ok")
		if p.Status == partFailed {
			status, text = http.StatusServiceUnavailable, "not ready"
		}
	}
	if s.draining.Load() {
		status, text = http.StatusServiceUnavailable, "draining"
	}
	return writeJSON(ex, status, struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}{text, checks})
}

func writeJSON(ex *exchange, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := ex.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	ex.WriteHeader(status)
	_, err = ex.Write(append(body, '\n'))
	if err != nil {
		return nil //nolint:nilerr // the client is gone, nobody is left to tell
	}
	return nil
}
