package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/gateway"
	"wavegate/server/identity"
	"wavegate/server/portal"
)

// fail answers with the error: a page for a browser that navigates, the JSON
// object of the API for everybody else. It is the one renderer of errors; what
// the caller reads is apart from what the log keeps.
func (s *Server) fail(ex *exchange, r *http.Request, err error) {
	e := fault.From(err)
	ex.fault = e
	if e.Status == gateway.StatusClientGone && !ex.started() {
		ex.status = e.Status // for the log; finish closes the connection
		return
	}
	if ex.started() {
		return // the answer is under way: the log has the error, the client a broken body
	}
	h := ex.Header()
	clearEntityHeaders(h)
	maps.Copy(h, e.Header)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if ex.statusOnly {
		h.Set("Content-Length", "0")
		ex.WriteHeader(e.Status)
		return
	}
	if s.speaksOAuth(ex, r) {
		_ = s.oauthFail(ex, e) // it writes to the client, who may be gone
		return
	}
	if wantsPage(r.Method, r.Header) || submitsForm(r) {
		s.errorPage(ex, r, e)
		return
	}
	body := errorJSON(e, ex.ID)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	ex.WriteHeader(e.Status)
	if r.Method != http.MethodHead {
		ex.Write(body)
	}
}

func (s *Server) errorPage(ex *exchange, r *http.Request, e *fault.Error) {
	if who := ex.Principal; e.Status == http.StatusForbidden && who != nil && who.Method == identity.MethodSession {
		if err := s.noAccess(ex, r, s.refusedPerson(who, e), cmp.Or(ex.wanted, r.URL.RequestURI())); err == nil { // another account may
			return
		}
	}
	view := portal.ErrorPage{Status: e.Status, Code: e.Code, Message: e.Message, RequestID: ex.ID, Base: s.cfg.BaseURL}
	if s.signIn != nil && e.Code == errSignInNeeded.Code {
		view.SignInURL = s.withNext(loginPath, "")
	}
	var page bytes.Buffer
	if err := s.look().Error(&page, view); err != nil {
		s.log.Error("error page", "error", err)
	}
	writePage(ex, r, e.Status, s.look().CSP(), page.Bytes())
}

// writePage sends a page of ours. It is kept nowhere: what it says depends on who
// asks.
func writePage(ex *exchange, r *http.Request, status int, csp string, page []byte) {
	h := ex.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", csp)
	h.Set("Content-Length", strconv.Itoa(len(page)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Add("Vary", "Accept")
	ex.WriteHeader(status)
	if r.Method != http.MethodHead {
		ex.Write(page)
	}
}

// errorJSON is the body that contract and documentation fix for API errors.
func errorJSON(e *fault.Error, requestID string) []byte {
	type inner struct {
		Type      string        `json:"type"`
		Code      string        `json:"code"`
		Message   string        `json:"message"`
		RequestID string        `json:"request_id"`
		Fields    []fault.Field `json:"fields,omitempty"`
	}
	body, err := json.Marshal(struct {
		Error inner `json:"error"`
	}{inner{e.Type(), e.Code, e.Message, requestID, e.Fields}})
	if err != nil { // strings always marshal
		panic(err)
	}
	return append(body, '\n')
}

// clearEntityHeaders removes what a handler may have said about a body that is
// not sent now.
func clearEntityHeaders(h http.Header) {
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Range", "Etag", "Last-Modified", "Trailer"} {
		h.Del(name)
	}
}

// wantsPage reports whether a person's browser asks for a page: only then does
// an error look like one, and only then is the login page an answer.
func wantsPage(method string, h http.Header) bool {
	if method != http.MethodGet && method != http.MethodHead {
		return false
	}
	if mode := h.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return false
	}
	return strings.Contains(h.Get("Accept"), "text/html")
}

// submitsForm reports whether a person's browser sends a form: the answer will
// be looked at, but the form cannot be sent again after a login.
func submitsForm(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") == "navigate" && strings.Contains(r.Header.Get("Accept"), "text/html")
}
