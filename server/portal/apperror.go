package portal

import (
	"cmp"
	"io"
)

// An AppErrorPage explains why an app's request cannot be followed; the browser is
// not sent back to the app, since it is not known that it is the app's address.
type AppErrorPage struct {
	Message   string // safe to show; "" is said in general words
	Code      string // OAuth's, such as "invalid_request"; "" shows none
	App       string // "" where the client is not known
	Over      bool   // nothing is wrong but that it took too long, or was done before: beginning again helps
	RequestID string // "" shows none
}

// AppError writes the page.
func (p *Pages) AppError(w io.Writer, v AppErrorPage) error {
	if v.App != "" {
		v.App = appName(v.App)
	}
	title := "This app’s request is wrong"
	if v.Over {
		title = "Begin again in the app"
	}
	v.Message = cmp.Or(v.Message, "Something in the request is missing or is not as it has to be.")
	return p.render(w, p.appError, struct {
		AppErrorPage
		Site  Site
		Title string
	}{v, p.site, title})
}
