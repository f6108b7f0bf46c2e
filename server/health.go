package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
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
	checks := map[string]string{"keychain": "ok"}
	if s.keychain.Len() == 0 {
		checks["keychain"] = "empty: no access key opens anything"
	}
	status, text := http.StatusOK, "ready"
	if s.signIn != nil {
		s.signIn.checks(checks)
	}
	if err := s.checkStore(ex.ctx, checks); err != nil {
		s.log.Error("readiness", "error", err)
		status, text = http.StatusServiceUnavailable, "not ready"
	}
	if s.draining.Load() {
		status, text = http.StatusServiceUnavailable, "draining"
	}
	return writeJSON(ex, status, struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}{text, checks})
}

// checkStore names the store and how it is.
func (s *Server) checkStore(ctx context.Context, into map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	into["store"] = "ok"
	err := s.store.Ping(ctx)
	if err != nil {
		into["store"] = "not usable: see the log"
	}
	return err
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
