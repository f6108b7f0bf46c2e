package portal

import (
	"io"
	"net/http"
	"net/url"
)

// A TroublePage says inside the portal why something could not be shown or done.
type TroublePage struct {
	Status  int
	Code    string
	Message string
	Need    []string // what would have done, such as "scope keys:write"
}

func (TroublePage) page() string { return "trouble" }

// Heading is the title of the page.
func (v TroublePage) Heading() string {
	switch {
	case v.Status == http.StatusNotFound:
		return "There is nothing here"
	case v.Status == http.StatusForbidden:
		return "That’s not for you to do"
	case v.Status == http.StatusTooManyRequests:
		return "A little slower, please"
	case v.Status >= http.StatusInternalServerError:
		return "That doesn’t work right now"
	}
	return "That didn’t work"
}

// A HoldOnPage holds a form that is too long to be carried through a login: its
// sender signs in in another tab and then sends it again.
type HoldOnPage struct {
	Action string // where the form goes
	SignIn string // path of the login page
	Fields url.Values
}

// HoldOn writes the page.
func (p *Pages) HoldOn(w io.Writer, v HoldOnPage) error {
	v.Action, v.SignIn = local(v.Action), local(v.SignIn)
	return p.render(w, p.holdOn, struct {
		HoldOnPage
		Site  Site
		Title string
	}{v, p.site, "Sign in to go on"})
}
