package portal

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A Person is who looks at the portal.
type Person struct {
	ID      string // of the user, "usr_…"
	Name    string
	Email   string // "" is left out
	Owner   string // whose things are theirs, as the API names them
	Admin   bool   // sees everybody's
	Local   bool   // has a password of this server
	Roles   []string
	May     []string // permissions of the management API
	Version string   // of the server
}

// Can reports whether somebody holds a permission; administrators hold all.
func (p Person) Can(permission string) bool { return p.Admin || slices.Contains(p.May, permission) }

// A Frame is what a page of the portal has around its content.
type Frame struct {
	Title string
	Lead  string // a sentence below the title; "" for none
	// Back are the pages above this one, the outermost first.
	Back []Link
	// Wide gives the page the whole width, for tables and charts of many columns.
	Wide bool
	// Curl is the page, or what its form does, as a line for a shell.
	Curl string
	// Session says that Curl takes a session token: no API key speaks for a person there.
	Session bool
	Note    *Note

	// What follows is filled in for every page by whoever serves it.
	Person  Person
	Base    string // path of the portal, with slashes at both ends
	Path    string // of the page below Base, with "?all=true" where it shows everybody's
	All     bool   // an administrator looks at everybody's
	SignOut string // path that signs out
}

// A Link leads to another page. Path is below Frame.Base.
type Link struct{ Name, Path string }

// A View is what one kind of page shows; it names its template.
type View interface{ page() string }

// Show writes a page of the portal.
func (p *Pages) Show(w io.Writer, f Frame, v View) error {
	read := p.portal[v.page()]
	if read == nil {
		return fmt.Errorf("portal: no page %q", v.page())
	}
	t, err := read()
	if err != nil {
		return err
	}
	return p.render(w, t, shellView{Frame: f, Site: p.siteAt(f.Base), V: v})
}

// listPortal finds the pages of the portal: each file of templates/portal is one, and
// those of templates/shell are what all of them share. A page is read when it is first
// shown: there are dozens, and few servers show them all.
func (p *Pages) listPortal() error {
	files, err := fs.Glob(embedded, "templates/portal/*.html")
	if err != nil {
		return err
	}
	p.portal = map[string]func() (*template.Template, error){}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "templates/portal/"), ".html")
		p.portal[name] = sync.OnceValues(func() (*template.Template, error) { return p.parsePortal(file) })
	}
	return nil
}

// parsePortal reads a page of the portal.
func (p *Pages) parsePortal(file string) (*template.Template, error) {
	t, err := template.New("shell.html").Option("missingkey=error").Funcs(p.funcs()).
		ParseFS(embedded, "templates/logo.html", "templates/pieces.html", "templates/shell/*.html", file)
	if err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	return t, nil
}

// funcs are what templates of the portal may call.
func (p *Pages) funcs() template.FuncMap {
	return template.FuncMap{
		"asset": p.assets.path, "input": input, "choice": choice, "area": area, "check": checkbox, "scopes": scopePicker, "sortable": sortable,
		"when": momentOf, "plain": plain, "shorten": shorten, "shortenLeft": shortenLeft, "count": count, "list": func(items ...string) []string { return items },
	}
}

// shellView is what templates/shell/shell.html reads; a page's own view is V.
type shellView struct {
	Frame
	Site Site
	V    View
}

// To returns the address of a page of the portal. Pairs are parameters; those whose
// value is "" are left out.
func (v shellView) To(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	path, query, _ := strings.Cut(path, "?")
	target := v.Base + escapePath(path)
	switch more := q.Encode(); {
	case query != "" && more != "":
		target += "?" + query + "&" + more
	case query+more != "":
		target += "?" + query + more
	}
	return target
}

// escapePath escapes what stands between the slashes.
func escapePath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// API returns the address of a call, for links to files that it answers with.
func (v shellView) API(target string) string {
	return strings.TrimSuffix(v.Base, "_portal/") + strings.TrimPrefix(target, "/")
}

// Wrong reports whether the page's form was refused: the title says so first.
func (v shellView) Wrong() bool {
	f, ok := v.V.(interface{ form() Form })
	return ok && f.form().Wrong()
}

// Name is what to call the person.
func (v shellView) Name() string { return cmp.Or(plain(v.Person.Name), v.Person.Email, v.Person.ID) }

// CSPOfPortal is the Content-Security-Policy of the pages of the portal: CSP, and
// their script may ask this origin for them anew.
func (p *Pages) CSPOfPortal() string { return p.CSP() + "; connect-src 'self'" }
