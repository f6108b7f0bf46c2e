package manage

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// ownPages are about oneself.
func (d *Desk) ownPages() pages {
	return pages{
		"GET /connected":                d.connected,
		"GET /connected/{id}/withdraw":  d.withdraw,
		"POST /connected/{id}/withdraw": d.withdraw,
		"GET /sessions":                 d.sessions,
		"POST /sessions":                d.endSession,
		"GET /profile":                  d.profile,
		"POST /profile":                 d.password,
	}
}

const (
	connectionsCall = "/v1/auth/connections"
	sessionsCall    = "/v1/auth/sessions"
	passwordCall    = "/v1/auth/password"
	userinfoCall    = "/_auth/userinfo"
)

// connections asks which apps may act for the visitor.
func (v *Visit) connections() ([]portal.Connection, error) {
	var list struct {
		Apps []portal.Connection `json:"connections"`
	}
	err := v.Shown(connectionsCall, nil, &list)
	return list.Apps, err
}

// choices is the catalog, empty for somebody who may not see it.
func (v *Visit) choices() (portal.Catalog, error) {
	c, err := v.catalog()
	if err != nil && fault.From(err).Status == http.StatusForbidden {
		return portal.Catalog{}, nil
	}
	return c, err
}

// connected lists the apps that may act for the visitor.
func (d *Desk) connected(v *Visit) error {
	apps, err := v.connections()
	if err != nil {
		return err
	}
	catalog, err := v.choices()
	if err != nil {
		return err
	}
	return v.Page(portal.Frame{
		Title: "Connected apps", Lead: "Apps that may use your account here. You can withdraw that at any time.", Wide: true, Session: true,
	}, portal.ConnectedPage{Apps: apps, Scopes: catalog.Scopes, None: portal.Empty{
		Icon: "link", Title: "No app uses your account",
		Words: "When an app asks to act for you, and you allow it, it appears here: with what it may do, and a button to take that back.",
	}})
}

// withdraw ends what an app may do for the visitor, once they confirmed it.
func (d *Desk) withdraw(v *Visit) error {
	apps, err := v.connections()
	if err != nil {
		return err
	}
	id := v.ID("id")
	i := slices.IndexFunc(apps, func(c portal.Connection) bool { return c.ClientID == id })
	if i < 0 {
		return fault.NotFound()
	}
	here := "connected/" + url.PathEscape(id)
	view := portal.ConfirmPage{
		Form: v.NewForm(here+"/withdraw", nil), Button: "Withdraw access", Cancel: "connected",
		Words: []string{
			"It cannot use your account any more from that moment on. Requests of it that are under way end.",
			"What it did already stays done. If you need it again, it will ask you again.",
		},
	}
	done, err := v.ActConfirmed(&view, Call{Method: http.MethodDelete, Path: connectionsCall + "/" + url.PathEscape(id)})
	if err != nil {
		return err
	}
	if done {
		return v.Go("connected", "app-withdrawn")
	}
	return v.Page(portal.Frame{
		Title: "Withdraw the access of " + apps[i].Title() + "?", Session: true, Curl: view.Form.Curl,
		Back: []portal.Link{{Name: "Connected apps", Path: "connected"}},
	}, view)
}

// sessions lists where the visitor is signed in.
func (d *Desk) sessions(v *Visit) error {
	return v.showSessions(v.NewForm("sessions", nil))
}

func (v *Visit) showSessions(form portal.Form) error {
	var list struct {
		Sessions []portal.Session `json:"sessions"`
		Next     string           `json:"next_cursor"`
	}
	q := url.Values{}
	if cursor := v.Query("cursor"); cursor != "" {
		q.Set("cursor", cursor)
	}
	if err := v.Shown(sessionsCall, q, &list); err != nil {
		return err
	}
	all := list.Sessions
	if i := slices.IndexFunc(all, func(s portal.Session) bool { return s.Current }); i > 0 {
		all = slices.Concat(all[i:i+1], all[:i], all[i+1:]) // this browser first
	}
	calls := []string{
		v.Curl(*v.last), v.Curl(Call{Method: http.MethodDelete, Path: sessionsCall + "/ID"}), v.Curl(endOthers),
	}
	return v.Page(portal.Frame{
		Title: "Sessions", Lead: "Where you’re signed in. End what you don’t know, then change your password.", Wide: true, Session: true,
		Curl: strings.Join(calls, "\n"),
	}, portal.SessionsPage{Form: form, Sessions: all, Paging: v.paging(list.Next)})
}

// endOthers is the call that ends all sessions but the one that asks.
var endOthers = Call{Method: http.MethodDelete, Path: sessionsCall, Query: url.Values{"others": {"true"}}}

// endSession ends one session, or all others. One that ended meanwhile is what was
// wanted.
func (d *Desk) endSession(v *Visit) error {
	form := v.NewForm("sessions", nil)
	c, words := endOthers, "sessions-ended"
	if id := v.Form.Get("id"); id != "" {
		c, words = Call{Method: http.MethodDelete, Path: sessionsCall + "/" + url.PathEscape(id)}, "session-ended"
	} else if v.Form.Get("others") != "true" {
		return fault.New(http.StatusBadRequest, "invalid_request", "The form does not say which session to end. Go back and use the page’s own buttons.")
	}
	done, err := v.Act(&form, c, nil)
	if err != nil && fault.From(err).Status != http.StatusNotFound {
		return err
	}
	if done || err != nil {
		return v.Go("sessions", words)
	}
	return v.showSessions(form)
}

// profile shows the visitor who they are here.
func (d *Desk) profile(v *Visit) error {
	return v.showProfile(v.NewForm("profile", nil))
}

func (v *Visit) showProfile(form portal.Form) error {
	view := portal.ProfilePage{Provider: v.who.Provider}
	if err := v.Shown(userinfoCall, nil, &view.About); err != nil {
		return err
	}
	catalog, err := v.choices()
	if err != nil {
		return err
	}
	form.Values = nil // no password goes back to the browser
	view.Roles, view.Form = catalog.Roles, form
	frame := portal.Frame{Title: "Profile", Session: true, Curl: v.Curl(*v.last)}
	if v.who.Local {
		frame.Curl += "\n" + v.Curl(Call{Method: http.MethodPost, Path: passwordCall, Body: passwords{"…", "…"}})
	}
	return v.Page(frame, view)
}

// passwords is the body of the call that changes a password.
type passwords struct {
	Current string `json:"current_password"`
	New     string `json:"new_password"`
}

// String keeps the passwords out of whatever is printed.
func (passwords) String() string { return "[passwords]" }

// password changes the visitor's password, which goes on with a new session.
func (d *Desk) password(v *Visit) error {
	if !v.who.Local {
		return fault.NotFound()
	}
	form := v.NewForm("profile", nil)
	body := passwords{v.Form.Get("current_password"), v.Form.Get("new_password")}
	if v.Acts() && body.New != v.Form.Get("repeat_password") {
		form.Errors = map[string]string{"repeat_password": "The two new passwords are not the same."}
		return v.showProfile(form)
	}
	done, err := v.Act(&form, Call{Method: http.MethodPost, Path: passwordCall, Body: body}, nil)
	if err != nil {
		return err
	}
	if done {
		return v.Go("profile", "password-changed")
	}
	return v.showProfile(form)
}
