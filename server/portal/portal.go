// Package portal owns the pages that wavegate itself shows to people: their
// templates, their one stylesheet, the words on them, and the content security
// policy that fits them. It renders into a writer and serves its own assets; it
// never looks at a request to decide anything, and it knows no keys, sessions
// or policies.
package portal

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed assets templates
var embedded embed.FS

// Files returns the stylesheet, scripts, icon and templates (folders assets and
// templates), for an application that wants to look like the portal.
func Files() fs.FS { return embedded }

// A Site is what every page says about the place that it belongs to.
type Site struct {
	Name string // shown beside the logo and in titles
	Home string // path that the logo leads to
}

// Pages renders the pages of one server. It does not change after New and may
// be used by any number of goroutines.
type Pages struct {
	site   Site
	base   string // begins and ends with a slash
	assets assetSet
	error  *template.Template
}

// New prepares the pages of a server whose own endpoints live under base, a
// path such as "/" or "/gate/"; "" is "/".
func New(base string) (*Pages, error) {
	base, err := cleanBase(base)
	if err != nil {
		return nil, err
	}
	assets, err := loadAssets(base + "_auth/assets/")
	if err != nil {
		return nil, err
	}
	p := &Pages{site: Site{Name: "wavegate", Home: base}, base: base, assets: assets}
	if p.error, err = p.parse("error.html"); err != nil {
		return nil, err
	}
	return p, nil
}

// parse reads one page together with the layout and the pieces that all share.
func (p *Pages) parse(page string) (*template.Template, error) {
	t := template.New("layout.html").Option("missingkey=error").Funcs(template.FuncMap{"asset": p.assets.path})
	t, err := t.ParseFS(embedded, "templates/layout.html", "templates/logo.html", "templates/journey.html", "templates/"+page)
	if err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	return t, nil
}

// render writes a page in one piece: a template that fails leaves nothing.
func (p *Pages) render(w io.Writer, t *template.Template, view any) error {
	var page bytes.Buffer
	if err := t.Execute(&page, view); err != nil {
		return fmt.Errorf("portal: %w", err)
	}
	_, err := w.Write(page.Bytes())
	return err
}

// Assets serves stylesheet, scripts and icon under base + "_auth/assets/". The
// request's path is the whole path, nothing is taken off before.
func (p *Pages) Assets() http.Handler { return p.assets }

// CSP returns the Content-Security-Policy of every page. Nothing is inline, so
// it needs no nonce and is the same for all answers.
func (p *Pages) CSP() string {
	return "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}

// cleanBase returns base with a slash at both ends.
func cleanBase(base string) (string, error) {
	if base == "" {
		return "/", nil
	}
	if !localPath(base) {
		return "", fmt.Errorf("portal: base %q is not a path such as / or /gate/", base)
	}
	return strings.TrimRight(base, "/") + "/", nil
}

// localPath reports whether a browser takes p for a path on the same origin:
// one leading slash, and nothing that browsers read as another or drop.
func localPath(p string) bool {
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") {
		return false
	}
	return !strings.ContainsFunc(p, func(c rune) bool {
		return c <= ' ' || c == 0x7f || strings.ContainsRune(`\?#"<>`, c)
	})
}
