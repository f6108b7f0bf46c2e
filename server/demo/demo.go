// Package demo owns the sample app that wavegate --demo guards: a page that
// shows who the app thinks you are, and a small live-streaming API in memory.
// It is an app like any other: it checks no credential, keeps no secret, and
// knows of the gate in front of it only what the Wave-* headers say.
package demo

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Config is what the sample app is told about the place where it runs. The zero
// value works; its page then shows less.
type Config struct {
	PublicURL string        // where the gate is reached, for links and commands; "" is taken from each request
	KeyID     string        // access key that the commands use; "" shows a placeholder
	ReaderID  string        // second key, which may only read; "" leaves its command out
	Curl      string        // how the commands call curl; "" is "curl", see Caller
	BaseURL   string        // path below which the gate's own API is, such as "/"; "" leaves its commands out
	JWKSPath  string        // path or URL of the gate's key set, for the link; "" shows none
	JWKS      func() []byte // the key set itself, to check the Wave-Assertion; nil leaves it unchecked

	PortalPath string // where the gate's keys and apps are managed in the browser, for the link; "" shows none
	LogoutPath string // where signing out begins, for the link; "" shows none
}

// app is the running sample app. Its parts guard themselves.
type app struct {
	cfg     Config
	streams *shelf
	views   *views
}

// forbiddenPath is what the policy opens for a role that nobody has.
const forbiddenPath = "/admin-only"

// New returns the app. It serves /, /headers, /events and /v1/streams for
// whoever the gate lets in, and /public/ for everybody. What it has at
// /admin-only is only seen by somebody who goes round the gate.
func New(cfg Config) (http.Handler, error) {
	views, err := loadViews()
	if err != nil {
		return nil, err
	}
	a := &app{cfg: cfg, views: views, streams: newShelf(time.Now)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("GET /public/{$}", a.public)
	mux.Handle("GET /public", http.RedirectHandler("/public/", http.StatusMovedPermanently))
	mux.Handle("GET /public/assets/", views.assets)
	mux.HandleFunc("/headers", echoHeaders)
	mux.HandleFunc("/public/headers", echoHeaders)
	mux.HandleFunc("GET /events", a.events)
	mux.HandleFunc("GET "+forbiddenPath, forbidden)
	a.routeAPI(mux)
	mux.HandleFunc("/", notFound)
	return secured(mux), nil
}

// secured adds the headers that every answer of a careful app carries.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; "+
			"img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		next.ServeHTTP(w, r)
	})
}

// forbidden answers where nobody should arrive.
func forbidden(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "You should not see this: the policy lets nobody in here.")
}

func notFound(w http.ResponseWriter, r *http.Request) {
	respond(w, r, errorf(http.StatusNotFound, "not_found", "The sample app has nothing at %s.", r.URL.Path))
}

// baseURL returns where the client reached the gate, without a final slash.
func (a *app) baseURL(r *http.Request) string {
	if a.cfg.PublicURL != "" {
		return strings.TrimRight(a.cfg.PublicURL, "/")
	}
	scheme := cmp.Or(r.Header.Get("X-Forwarded-Proto"), "http")
	return fmt.Sprintf("%s://%s", scheme, cmp.Or(r.Header.Get("X-Forwarded-Host"), r.Host))
}

// echoHeaders answers with the request as it arrived here. It hides nothing: a
// credential that the gate should have kept back must be seen.
func echoHeaders(w http.ResponseWriter, r *http.Request) {
	header := map[string][]string{"Host": {r.Host}}
	for name, values := range r.Header {
		header[spell(name)] = values
	}
	writeJSON(w, http.StatusOK, struct {
		Method  string              `json:"method"`
		URI     string              `json:"uri"`
		Headers map[string][]string `json:"headers"`
	}{r.Method, r.RequestURI, header})
}
