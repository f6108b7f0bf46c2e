package demo

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// An apiError is an answer to a request that could not be served.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func errorf(status int, code, format string, args ...any) error {
	return &apiError{status, code, fmt.Sprintf(format, args...)}
}

// kind returns the class of the error that the body names.
func (e *apiError) kind() string {
	switch {
	case e.status == http.StatusNotFound:
		return "not_found_error"
	case e.status >= 500:
		return "api_error"
	default:
		return "invalid_request_error"
	}
}

// respond writes an error. The request ID is the gate's, so that one ID leads
// through both logs.
func respond(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		e = &apiError{http.StatusInternalServerError, "internal", "The sample app could not answer."}
	}
	type body struct {
		Type      string `json:"type"`
		Code      string `json:"code"`
		Message   string `json:"message"`
		RequestID string `json:"request_id"`
	}
	id := cmp.Or(r.Header.Get("X-Request-Id"), rand.Text())
	writeJSON(w, e.status, map[string]body{"error": {e.kind(), e.code, e.message, id}})
}

// writeJSON writes an indented body: people read these in terminals.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "The sample app could not answer.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // a client that went away is no error of ours
}
