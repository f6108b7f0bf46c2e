package portal

import "io"

// A LapsedPage says that a person's answer came too late, or from elsewhere, so that
// an app or a device got nothing, and how it goes on.
type LapsedPage struct {
	Title    string // what happened, in a few words
	Message  string // the same in a sentence, safe to show
	App      string // who asked: hostile text; "" names nobody
	AgainURL string // path where the person is asked again; "" for nowhere
	Again    string // the words on the button there
}

// Lapsed writes the page.
func (p *Pages) Lapsed(w io.Writer, v LapsedPage) error {
	v.AgainURL = local(v.AgainURL)
	if v.App != "" {
		v.App = appName(v.App)
	}
	return p.render(w, p.lapsed, struct {
		LapsedPage
		Site Site
	}{v, p.site})
}
