package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// maxForm bounds a form in bytes: a key with as many scopes and as much metadata as
// it may have fits in.
const maxForm = 128 << 10

// A Visit is one request to one page.
type Visit struct {
	desk *Desk
	w    http.ResponseWriter
	r    *http.Request
	who  *Visitor
	now  time.Time
	path string // below the portal, without a slash before it
	err  error

	Form url.Values // what was sent; empty for GET
	// showing: the form is to be shown with what is in it, and nothing is done. So it
	// is for a preview, and after somebody signed in again.
	showing bool
	resumed bool // after signing in again

	person *portal.Person // see whoami
	last   *Call          // the call that the page shows as curl
}

// readForm reads what was sent.
func (v *Visit) readForm() error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	if err := v.r.ParseForm(); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return fault.New(http.StatusRequestEntityTooLarge, "too_large", "The form is larger than it can be. Go back and make it shorter.")
		}
		return fault.New(http.StatusBadRequest, "invalid_request", "The form could not be read. Go back and send it again.").Because(err)
	}
	v.Form = v.r.PostForm
	v.showing = v.Form.Has(previewField)
	return nil
}

// The fields of every form that are no fields of a call.
const (
	previewField = "_preview" // show it, do nothing
	onceField    = "_once"    // see doneOnce
	asField      = "_as"      // ID of the user whom the form was made for
	versionField = "_version" // of what is edited, for If-Match
)

// Acts reports whether the visit is to do what its form says.
func (v *Visit) Acts() bool { return v.Form != nil && !v.showing }

// Query returns a parameter of the address.
func (v *Visit) Query(name string) string { return v.r.URL.Query().Get(name) }

// done is the word of the address for what was done just now. A link of another site
// has none, so that it cannot have somebody take back what nobody did.
func (v *Visit) done() string {
	word := v.Query("done")
	switch v.r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		if word != draftLost { // comes after a login elsewhere
			return ""
		}
	}
	return word
}

// ID returns what the path says for a {name} of the page's pattern.
func (v *Visit) ID(name string) string { return v.r.PathValue(name) }

// Get makes a call that reads, and decodes its answer into a view.
func (v *Visit) Get(path string, query url.Values, into any) error {
	return v.Do(Call{Method: http.MethodGet, Path: path, Query: query}, into)
}

// Shown is Get for the call that the page shows as curl.
func (v *Visit) Shown(path string, query url.Values, into any) error {
	v.last = &Call{Method: http.MethodGet, Path: path, Query: query}
	return v.Do(*v.last, into)
}

// Do makes a call; into may be nil. The error is a *fault.Error.
func (v *Visit) Do(c Call, into any) error {
	a, err := v.who.Call(v.r.Context(), c)
	if err != nil {
		return err
	}
	for _, cookie := range a.Header.Values("Set-Cookie") {
		v.w.Header().Add("Set-Cookie", cookie)
	}
	if into == nil || len(a.Body) == 0 {
		return nil
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("portal: %s %s: %w", c.Method, c.Path, err)
	}
	return nil
}

// Page shows a page.
func (v *Visit) Page(frame portal.Frame, view portal.View) error {
	return v.page(http.StatusOK, frame, view)
}

func (v *Visit) page(status int, frame portal.Frame, view portal.View) error {
	if err := v.fill(&frame); err != nil {
		return err
	}
	var body bytes.Buffer
	pages := v.desk.cfg.Pages()
	if err := pages.Show(&body, frame, view); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pages.CSPOfPortal())
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = v.w.Write(body.Bytes()) // an error means that the browser is gone
	}
	return nil
}

// fill writes into a frame what all pages have.
func (v *Visit) fill(f *portal.Frame) error {
	person, err := v.whoami()
	if err != nil {
		return err
	}
	f.Person, f.Base, f.SignOut, f.Path = *person, v.desk.cfg.Base, v.desk.cfg.SignOut, v.path
	if f.All = v.All(); f.All {
		f.Path += "?all=true"
	}
	if v.last != nil && f.Curl == "" {
		f.Curl = v.Curl(*v.last)
	}
	if f.Note == nil {
		f.Note = portal.NoteOf(v.done())
	}
	if v.resumed {
		f.Note = portal.NoteOf("resumed")
	}
	return nil
}

// Curl writes a call as a line for a shell.
func (v *Visit) Curl(c Call) string { return c.Curl(v.desk.cfg.Origin(v.r)) }

// whoami asks who the visitor is to the API, once.
func (v *Visit) whoami() (*portal.Person, error) {
	if v.person != nil {
		return v.person, nil
	}
	var status struct {
		Version string `json:"version"`
		Caller  struct {
			Admin       bool     `json:"admin"`
			Roles       []string `json:"roles"`
			Owner       string   `json:"owner"`
			Permissions []string `json:"permissions"`
		} `json:"caller"`
	}
	p := &portal.Person{ID: v.who.UserID, Name: v.who.Name, Email: v.who.Email, Local: v.who.Local}
	err := v.Get("/v1/auth/status", nil, &status)
	if e := fault.From(err); err != nil && e.Status != http.StatusForbidden { // no permission at all is an answer too
		return nil, err
	}
	p.Admin, p.Roles, p.Owner, p.May = status.Caller.Admin, status.Caller.Roles, status.Caller.Owner, status.Caller.Permissions
	p.Version = status.Version
	v.person = p
	return p, nil
}

// All reports whether an administrator looks at everybody's.
func (v *Visit) All() bool { return v.Query("all") == "true" }

// URL returns the address of a page of the portal, with parameters in pairs. Those
// that are "" are left out.
func (v *Visit) URL(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	target := v.desk.cfg.Base + path
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	return target
}

// Go leads on to a page that says what was done: done is a word of portal.NoteOf,
// "" for none. The path may have a query.
func (v *Visit) Go(path, done string) error {
	target := v.desk.cfg.Base + path
	if done != "" {
		mark := "?"
		if strings.Contains(target, "?") {
			mark = "&"
		}
		target += mark + url.Values{"done": {done}}.Encode()
	}
	v.w.Header().Set("Cache-Control", "no-store")
	v.w.Header().Set("Location", target)
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// fail answers an error where that needs more than a page that says so: somebody has
// to sign in again, or what they typed is for somebody else.
func (v *Visit) fail(err error) error {
	if err == nil {
		return nil
	}
	e := fault.From(err)
	switch {
	case e.Code == "fresh_login_required":
		return v.signInAgain()
	case e.Status == http.StatusUnauthorized: // the session ended in this moment
		return v.signInFirst()
	case e.Status >= http.StatusInternalServerError && e.Status != http.StatusServiceUnavailable:
		return err // the error page of the server, which logs it
	}
	return v.trouble(e)
}

// trouble shows an error as a page of the portal.
func (v *Visit) trouble(e *fault.Error) error {
	for name, values := range e.Header {
		if name == "Retry-After" {
			v.w.Header()[name] = values
		}
	}
	view := portal.TroublePage{Status: e.Status, Code: e.Code, Message: e.Message, Need: e.Need}
	if len(e.Need) > 0 { // the API speaks of credentials
		view.Message = "Your account does not hold what this needs. An administrator can give you a role that does."
	}
	if err := v.page(e.Status, portal.Frame{Title: view.Heading()}, view); err != nil {
		return e // not even who asks could be found out
	}
	return nil
}
