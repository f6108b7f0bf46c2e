package server

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	authz "wavegate/oidc/provider"
	"wavegate/server/fault"
	"wavegate/server/portal"
)

// A lapse is why nobody can answer what a page asks any more.
type lapse struct {
	status               int
	code, title, message string
}

var (
	lapsedUnknown = &lapse{
		http.StatusBadRequest, authz.InvalidRequest, "This page can’t be answered any more",
		"It is very old, or was not sent as it was made. Go back to the app or the device and begin again.",
	}
	lapsedSignedOut = &lapse{
		http.StatusUnauthorized, errSignInNeeded.Code, "You were signed out meanwhile",
		"Sign in, and you are asked again.",
	}
	lapsedOther = &lapse{
		http.StatusBadRequest, authz.InvalidRequest, "This question was for another account",
		"This browser is signed in with a different one by now, which has not been asked yet.",
	}
	lapsedSession = &lapse{
		http.StatusBadRequest, authz.InvalidRequest, "You signed in again meanwhile",
		"The question belonged to the session before. Have a look at it in this one.",
	}
	lapsedLong = &lapse{
		http.StatusBadRequest, authz.InvalidRequest, "This page was open for too long",
		"What it says may have changed by now. Have a look at it once more.",
	}
	lapsedCode = &lapse{
		http.StatusConflict, "conflict", "This code is no good any more",
		"It was answered already, or has expired. Have your device show a new one.",
	}
)

// lapseOf returns why a visitor cannot answer what a page showed, nil where they can:
// the session that was asked is the one that answers. shown is nil where it could not
// be opened, the visitor where nobody is signed in.
func lapseOf(shown url.Values, p *visitor, now time.Time) *lapse {
	ms, err := strconv.ParseInt(shown.Get(shownAt), 10, 64)
	switch {
	case err != nil:
		return lapsedUnknown
	case p == nil:
		return lapsedSignedOut
	case shown.Get(shownUser) != p.sess.UserID:
		return lapsedOther
	case shown.Get(shownSession) != p.sess.ID:
		return lapsedSession
	case now.Sub(time.UnixMilli(ms)) > consentFor:
		return lapsedLong
	}
	return nil
}

// again is where a person is asked the same once more.
type again struct {
	app        string // who asks; "" where that is not known
	url, label string // "" for nowhere
}

const askAgain = "Ask me again"

// consentAgain returns the way back to the request that a consent page showed.
func (s *Server) consentAgain(ctx context.Context, shown url.Values) again {
	query := shown.Get(shownRequest)
	params, err := authz.ParseQuery(query)
	if err != nil || query == "" {
		return again{}
	}
	return again{s.appName(ctx, params.Get("client_id")), s.ownPathOf(authorizePath) + "?" + query, askAgain}
}

// deviceAgain returns the way back to the code of a device, which may be nil.
func (s *Server) deviceAgain(req *authz.DeviceRequest) again {
	if req == nil {
		return again{}
	}
	return again{req.Client.Name, s.deviceAt(req.Device.UserCode), askAgain}
}

// appName returns what a client is called, "" where it is not known.
func (s *Server) appName(ctx context.Context, id string) string {
	client, err := s.oauth.Client(ctx, id)
	if err != nil {
		return ""
	}
	return client.Name
}

// lapsed says to a person that nothing was given away, why, and where it goes on.
func (s *Server) lapsed(ex *exchange, r *http.Request, l *lapse, on again) error {
	ex.fault = &fault.Error{Status: l.status, Code: l.code, Message: l.message}
	if l == lapsedSignedOut {
		on.label = "Sign in"
	}
	view := portal.LapsedPage{Title: l.title, Message: l.message, App: on.app, AgainURL: on.url, Again: on.label}
	return s.page(ex, r, l.status, func(w io.Writer) error { return s.look().Lapsed(w, view) })
}
