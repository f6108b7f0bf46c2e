package demo

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"wavegate/server/portal"
)

//go:embed assets templates
var embedded embed.FS

// views are the parsed pages and what they are dressed with. Stylesheet and
// pieces are the portal's, so that the sample looks like part of the house.
type views struct {
	home, public *template.Template
	assets       http.Handler
}

func loadViews() (*views, error) {
	shared := []string{"templates/logo.html", "templates/journey.html"}
	parse := func(page string) (*template.Template, error) {
		t, err := template.New("layout.html").Option("missingkey=error").ParseFS(portal.Files(), shared...)
		if err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
		return t.ParseFS(embedded, "templates/layout.html", "templates/commands.html", "templates/"+page)
	}
	home, err := parse("home.html")
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	public, err := parse("public.html")
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return &views{home: home, public: public, assets: assets()}, nil
}

// assets serves the portal's assets and the app's own under /public/assets/.
func assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/public/")
		for _, files := range []fs.FS{embedded, portal.Files()} {
			if info, err := fs.Stat(files, name); err == nil && !info.IsDir() {
				w.Header().Set("Cache-Control", "no-cache")
				http.ServeFileFS(w, r, files, name)
				return
			}
		}
		notFound(w, r)
	})
}

// A frame is what every page reads.
type frame struct {
	Who            *visitor // nil if the gate says nobody
	Portal, Logout string   // links for somebody who signed in; "" for none
	Forbidden      string   // where the visitor may not go
}

func (a *app) frame(h http.Header) frame {
	f := frame{Who: readVisitor(h), Forbidden: forbiddenPath}
	if f.Who != nil && f.Who.SignedIn {
		f.Portal, f.Logout = a.cfg.PortalPath, a.cfg.LogoutPath
	}
	return f
}

// homeView is what templates/home.html reads.
type homeView struct {
	frame
	Assertion *assertion // nil if none came
	JWKS      string
	Commands  []Command
	Exports   []string // what the terminal needs before the commands
	Streams   []stream
	Live      int
	FromGate  []field
	FromYou   []field
	Withheld  []check
}

// A visitor is who the gate says is asking.
type visitor struct {
	Name     string // to greet with
	Method   string // what the gate recognised, in words: "access key"
	SignedIn bool   // in a browser
	MayWrite bool   // start and stop streams
	Lines    []field
	Scopes   []string
}

// A field is a header and its value.
type field struct{ Name, Value string }

// A check says whether something was kept away from the app.
type check struct {
	Name, Says string
	Good       bool
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	v := homeView{frame: a.frame(r.Header), JWKS: a.cfg.JWKSPath, Exports: a.exports()}
	v.Withheld = withheld(r.Header, v.Who)
	if token := r.Header.Get("Wave-Assertion"); token != "" {
		var keys []byte
		if a.cfg.JWKS != nil {
			keys = a.cfg.JWKS()
		}
		v.Assertion = new(readAssertion(token, keys, now))
	}
	v.Commands = a.commands(r)
	v.Streams, _, _ = a.streams.list("", "", 5) // asking for the first page cannot fail
	_, live := a.streams.onAir()
	v.Live = len(live)
	v.FromGate, v.FromYou = splitHeaders(r)
	show(w, a.views.home, v)
}

// exports are the lines that give a shell the keys; the secrets are left out.
func (a *app) exports() []string {
	lines := []string{"export WAVE_KEY=" + cmp.Or(a.cfg.KeyID, "ID") + ":…"}
	if a.cfg.ReaderID != "" {
		lines = append(lines, "export WAVE_READER="+a.cfg.ReaderID+":…")
	}
	return lines
}

// publicView is what templates/public.html reads.
type publicView struct {
	frame
	Commands []Command
}

func (a *app) public(w http.ResponseWriter, r *http.Request) {
	v := publicView{frame: a.frame(r.Header)}
	for _, c := range a.commands(r) {
		if strings.Contains(c.Line, "/public/") {
			v.Commands = append(v.Commands, c)
		}
	}
	show(w, a.views.public, v)
}

// commands returns the commands for this visitor. Secrets are not the page's to
// show: the shell fills them in.
func (a *app) commands(r *http.Request) []Command {
	c := Caller{URL: a.baseURL(r), Login: "$WAVE_KEY", Curl: a.cfg.Curl}
	if a.cfg.ReaderID != "" {
		c.Reader = "$WAVE_READER"
	}
	if a.cfg.BaseURL != "" {
		c.API = c.URL + strings.TrimRight(a.cfg.BaseURL, "/")
	}
	return Commands(c)
}

// show writes the page in one piece.
func show(w http.ResponseWriter, t *template.Template, view any) {
	var page bytes.Buffer
	if err := t.Execute(&page, view); err != nil {
		http.Error(w, "The sample app could not write this page.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(page.Bytes())
}

// readVisitor returns who the Wave-* headers name, nil for nobody.
func readVisitor(h http.Header) *visitor {
	subject := h.Get("Wave-Subject-ID")
	if subject == "" {
		return nil
	}
	v := &visitor{
		Name:     cmp.Or(h.Get("Wave-Username"), h.Get("Wave-Email"), subject),
		Method:   methodWords(h.Get("Wave-Auth-Method")),
		SignedIn: h.Get("Wave-Auth-Method") == "session",
	}
	for _, line := range []field{
		{"Subject", subject},
		{"User name", h.Get("Wave-Username")},
		{"E-mail", h.Get("Wave-Email")},
		{"Groups", h.Get("Wave-Groups")},
		{"Method", v.Method},
		{"Key", h.Get("Wave-Key-ID")},
	} {
		if line.Value != "" {
			v.Lines = append(v.Lines, line)
		}
	}
	v.Scopes = strings.FieldsFunc(h.Get("Wave-Scopes"), func(r rune) bool { return r == ' ' || r == ',' })
	slices.Sort(v.Scopes)
	v.MayWrite = slices.Contains(v.Scopes, "*") || slices.Contains(v.Scopes, "streams:write")
	return v
}

// methodWords says a Wave-Auth-Method in words.
func methodWords(method string) string {
	switch method {
	case "access-key":
		return "access key"
	case "api-key":
		return "API key"
	case "session":
		return "browser session"
	default:
		return "credential"
	}
}
