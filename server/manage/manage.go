// Package manage serves the portal: the pages at /_portal/ on which people look
// after their keys, apps and webhooks, and administrators after everybody's.
//
// It is a client of the management API, in the same process: whatever a page
// shows or does is a call of that API on behalf of the person who looks at it
// (Visitor.Call), and the page shows the call as a line for curl. So it decides
// nothing about who may do what; it reads forms, chooses pages of server/portal,
// and keeps what was typed while somebody signs in again.
package manage

import (
	"context"
	"net/http"
	"net/url"
	stdpath "path"
	"strings"
	"time"

	"wavegate/server/fault"
	"wavegate/server/portal"
	"wavegate/server/seal"
)

// Config says where the portal is and what it works with.
type Config struct {
	// Base is the path of the portal, with slashes at both ends: "/_portal/".
	Base string
	// Origin is where curl finds the server: "https://gate.example.com", with the
	// path of its base URL but for the last slash.
	Origin func(*http.Request) string
	// Pages are the pages in force.
	Pages func() *portal.Pages
	// Drafts seal what was typed while somebody signs in again.
	Drafts seal.Keys
	// SignIn is the address of the login page that leads back to next, a path of this
	// server. With again somebody who is signed in has to sign in once more.
	SignIn func(next string, again bool) string
	// SignOut is the address that signs out.
	SignOut string
}

// A Visitor is one request of somebody who is signed in, and the way to act on
// their behalf.
type Visitor struct {
	UserID string
	Name   string // for people
	Email  string // "" for none
	Local  bool   // signs in with a password of this server
	Secure bool   // came by https
	// Provider is who vouches for them, as people call it.
	Provider string
	// Call makes one call of the management API. The error is a *fault.Error.
	Call func(context.Context, Call) (*Answer, error)
}

// A Desk serves the portal. Make it with New; it may be used by any number of
// goroutines.
type Desk struct {
	cfg  Config
	mux  *http.ServeMux
	done doneOnce
}

// New returns the portal.
func New(cfg Config) *Desk {
	d := &Desk{cfg: cfg, mux: http.NewServeMux()}
	for pattern, page := range d.routes() {
		d.mux.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) {
			v := visitOf(r)
			v.r = r // with the values of the path
			v.err = page(v)
		})
	}
	return d
}

// Serve answers a request whose path lies below Config.Base. who is nil where
// nobody is signed in. A request that changes something has to come from a page of
// this very origin, which the caller checks. The error is for the caller to render.
func (d *Desk) Serve(w http.ResponseWriter, r *http.Request, who *Visitor) error {
	v := &Visit{desk: d, w: w, r: r, who: who, now: time.Now(), path: strings.TrimPrefix(r.URL.Path, d.cfg.Base)}
	if who == nil {
		return v.signInFirst()
	}
	if r.Method == http.MethodPost {
		if err := v.readForm(); err != nil {
			return err
		}
	}
	return d.dispatch(v, r.Method, v.path)
}

// dispatch finds the page of a path below the portal.
func (d *Desk) dispatch(v *Visit, method, path string) error {
	inner := v.r.Clone(context.WithValue(v.r.Context(), visitKey{}, v))
	inner.Method, inner.URL, inner.RequestURI, inner.Host = method, &url.URL{Path: "/" + path, RawQuery: v.r.URL.RawQuery}, "", ""
	v.err = fault.NotFound()
	clean := stdpath.Clean("/"+path) == "/"+path // the mux would redirect, to an address that is not ours
	if _, pattern := d.mux.Handler(inner); pattern != "" && clean {
		v.path = path
		d.mux.ServeHTTP(v.w, inner)
	}
	return v.fail(v.err)
}

type visitKey struct{}

func visitOf(r *http.Request) *Visit { return r.Context().Value(visitKey{}).(*Visit) }
