// Package portal owns the pages that wavegate itself shows to people: their
// templates, their stylesheet and the colours of a house of one's own, the words
// on them, and the content security policy that fits them. It renders into a writer and serves its own assets; it
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
	"net/url"
	"slices"
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
	Logo string // path of a logo other than wavegate's, "" is wavegate's
	Look string // path of the stylesheet with other colours, "" is none
}

// Pages renders the pages of one server. It does not change after New and may
// be used by any number of goroutines.
type Pages struct {
	site   Site
	assets assetSet

	error, login, signedOut, logout, noAccess, signInError *template.Template

	consent, device, deviceDone, appError, lapsed, holdOn *template.Template

	portal map[string]func() (*template.Template, error) // by the page's name; see Show
}

// New prepares the pages of a server whose own endpoints live under base, a
// path such as "/" or "/gate/"; "" is "/". A branding that does not pass
// Validate is an error.
func New(base string, b Branding) (*Pages, error) {
	base, err := cleanBase(base)
	if err != nil {
		return nil, err
	}
	if err := b.Validate(); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	assets, err := loadAssets(base + "_auth/assets/")
	if err != nil {
		return nil, err
	}
	p := &Pages{site: b.site(base, assets), assets: assets}
	for page, t := range map[string]**template.Template{
		"error": &p.error, "login": &p.login, "signed-out": &p.signedOut, "logout": &p.logout,
		"no-access": &p.noAccess, "sign-in-error": &p.signInError,
		"consent": &p.consent, "device": &p.device, "device-done": &p.deviceDone, "app-error": &p.appError, "lapsed": &p.lapsed, "hold-on": &p.holdOn,
	} {
		if *t, err = p.parse(page + ".html"); err != nil {
			return nil, err
		}
	}
	return p, p.listPortal()
}

// parse reads one page together with the layout and the pieces that all share.
func (p *Pages) parse(page string) (*template.Template, error) {
	t := template.New("layout.html").Option("missingkey=error").Funcs(template.FuncMap{"asset": p.assets.path})
	t, err := t.ParseFS(embedded, "templates/layout.html", "templates/logo.html", "templates/journey.html", "templates/pieces.html", "templates/"+page)
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

// siteAt returns the site with another home, if that is a path of this origin.
func (p *Pages) siteAt(home string) Site {
	site := p.site
	if localPath(home) {
		site.Home = home
	}
	return site
}

// Assets serves stylesheets, scripts, icon and logo under base +
// "_auth/assets/". The request's path is the whole path, nothing is taken off
// before.
func (p *Pages) Assets() http.Handler { return p.assets }

// CSP returns the Content-Security-Policy of every page. Nothing is inline, so
// it needs no nonce and is the same for all answers.
func (p *Pages) CSP() string { return p.CSPWithForms() }

// CSPWithForms is CSP for a page with a form that leads to one of these origins
// in the end, as signing out at a provider does: browsers hold the redirects
// that answer a form to form-action as well, every one of a chain. "https:" is
// every origin on https, for chains that nobody knows in advance, and a scheme such
// as "com.example.app:" is an app on the person's device (RFC 8252, section 7.1).
// Whatever else is left out.
func (p *Pages) CSPWithForms(origins ...string) string {
	forms := []string{"'self'"}
	for _, o := range origins {
		if o == "https:" || httpOrigin(o) || appScheme(o) {
			forms = append(forms, o)
		}
	}
	return "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
		"form-action " + strings.Join(forms, " ") + "; frame-ancestors 'none'; base-uri 'none'"
}

// httpOrigin reports whether o is an origin such as https://id.example:8443 and
// nothing that could end the directive or widen it.
func httpOrigin(o string) bool {
	u, err := url.Parse(o)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return false
	}
	return o == u.Scheme+"://"+u.Host && !strings.ContainsAny(o, " \t\r\n;,*'\"")
}

// notApps are the schemes that browsers, and not apps, follow.
var notApps = []string{
	"about", "blob", "chrome", "data", "file", "filesystem", "ftp", "http", "https", "javascript", "vbscript", "view-source", "ws", "wss",
}

// appScheme reports whether o is a scheme in lower case and its colon, and
// nothing else, that an app may have made its own (RFC 3986, section 3.1).
func appScheme(o string) bool {
	scheme, ok := strings.CutSuffix(o, ":")
	if !ok || scheme == "" || scheme[0] < 'a' || scheme[0] > 'z' || slices.Contains(notApps, scheme) {
		return false
	}
	return !strings.ContainsFunc(scheme, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("+-.", c)
	})
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

// localTarget reports whether a browser takes u for a path on the same origin
// with or without a query, and for nothing else.
func localTarget(u string) bool {
	path, query, _ := strings.Cut(u, "?")
	return localPath(path) && !strings.ContainsFunc(query, func(c rune) bool {
		return c <= ' ' || c == 0x7f || strings.ContainsRune(`\#"<>`, c)
	})
}

// local returns u if it stays on the same origin, and "" otherwise.
func local(u string) string {
	if !localTarget(u) {
		return ""
	}
	return u
}
