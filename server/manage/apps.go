package manage

import (
	"net/http"
	"net/url"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// appPages are about apps: OAuth clients.
func (d *Desk) appPages() pages {
	return pages{
		"GET /apps":               d.apps,
		"GET /apps/new":           d.newApp,
		"POST /apps/new":          d.newApp,
		"GET /apps/{id}":          d.app,
		"GET /apps/{id}/try":      d.tryApp,
		"GET /apps/{id}/edit":     d.editApp,
		"POST /apps/{id}/edit":    d.editApp,
		"GET /apps/{id}/rotate":   d.rotateApp,
		"POST /apps/{id}/rotate":  d.rotateApp,
		"POST /apps/{id}/disable": d.disableApp,
		"GET /apps/{id}/remove":   d.removeApp,
		"POST /apps/{id}/remove":  d.removeApp,
	}
}

const clientsCall = "/v1/auth/clients"

func clientCall(id string) string { return clientsCall + "/" + url.PathEscape(id) }

// apps lists apps.
func (d *Desk) apps(v *Visit) error {
	q := url.Values{"limit": {"50"}}
	for _, name := range []string{"q", "owner", "cursor", "all"} {
		if value := v.Query(name); value != "" {
			q.Set(name, value)
		}
	}
	var list struct {
		Apps []portal.App `json:"clients"`
		Next string       `json:"next_cursor"`
	}
	if err := v.Shown(clientsCall, q, &list); err != nil {
		return err
	}
	person, err := v.whoami()
	if err != nil {
		return err
	}
	view := portal.AppsPage{Apps: list.Apps, Search: v.Query("q"), Owners: v.All(), Paging: v.paging(list.Next)}
	if view.Sparks, err = v.sparks("client"); err != nil {
		return err
	}
	view.None = v.noApps(view.Search != "", person.Can("clients:write"))
	title := "Apps"
	if v.All() {
		title = "All apps"
	}
	return v.Page(portal.Frame{Title: title, Wide: true}, view)
}

// noApps stands where the list is empty.
func (v *Visit) noApps(narrowed, may bool) portal.Empty {
	switch {
	case narrowed:
		return portal.Empty{Icon: "app", Title: "No app fits", Words: "Search for another name, or for the beginning of a client ID."}
	case v.All():
		return portal.Empty{Icon: "app", Title: "Nobody has an app yet", Words: "Apps that people register here or with the API appear in this list."}
	}
	e := portal.Empty{
		Icon: "app", Title: "Register your first app",
		Words: "An app signs people in with their account here and acts for them, as far as they allow it. Register one for each program that does that, or that wants tokens of a few minutes for itself. " +
			"For a script of your own an API key is enough.",
	}
	if may {
		e.Link = &portal.Button{Name: "New app", URL: v.URL("apps/new")}
	}
	return e
}

// oneApp asks for an app.
func (v *Visit) oneApp() (portal.App, error) {
	var answer struct {
		App portal.App `json:"client"`
	}
	err := v.Shown(clientCall(v.ID("id")), nil, &answer)
	return answer.App, err
}

// oauthServer asks where the authorization server answers. A server that gives no
// tokens is the zero value.
func (v *Visit) oauthServer() (s portal.OAuthServer, err error) {
	err = v.Get("/.well-known/openid-configuration", nil, &s)
	if err != nil && fault.From(err).Status == http.StatusNotFound {
		return portal.OAuthServer{}, nil
	}
	return s, err
}

// app shows one app.
func (d *Desk) app(v *Visit) error {
	app, err := v.oneApp()
	if err != nil {
		return err
	}
	return v.showApp(app, v.NewForm("apps/"+app.ID+"/disable", nil))
}

// showApp shows an app, and what came of the button that stops it.
func (v *Visit) showApp(app portal.App, form portal.Form) error {
	server, err := v.oauthServer()
	if err != nil {
		return err
	}
	frame := portal.Frame{Title: app.Name, Back: v.aboveApp(&app)}
	if done := v.done(); done == "app-disabled" && !app.Active() {
		frame.Note = portal.NoteOf(done)
		frame.Note.Undo = &portal.Undo{Action: "apps/" + app.ID + "/disable", Name: "disabled", Value: "false"}
	}
	chart, err := v.chartOf("client", app.ID)
	if err != nil {
		return err
	}
	return v.Page(frame, portal.AppPage{App: app, Form: form, Server: server, Usage: chart})
}

var appsAbove = []portal.Link{{Name: "Apps", Path: "apps"}}

func (v *Visit) aboveApp(app *portal.App) []portal.Link {
	return v.above(appsAbove, "All apps", app.Owner)
}

func (v *Visit) appAbove(app *portal.App) []portal.Link {
	return append(v.aboveApp(app)[:1:1], portal.Link{Name: app.Name, Path: "apps/" + app.ID})
}

// disableApp stops an app, or lets it go on.
func (d *Desk) disableApp(v *Visit) error {
	app, err := v.oneApp()
	if err != nil {
		return err
	}
	form := v.NewForm("apps/"+app.ID+"/disable", nil)
	off := form.Get("disabled") != "false"
	done, err := v.Act(&form, Call{Method: http.MethodPatch, Path: clientCall(app.ID), Body: keyBody{"disabled": off}}, nil)
	switch {
	case err != nil:
		return err
	case !done:
		return v.showApp(app, form)
	case off:
		return v.Go("apps/"+app.ID, "app-disabled")
	}
	return v.Go("apps/"+app.ID, "app-enabled")
}

// removeApp removes an app, once its name was typed.
func (d *Desk) removeApp(v *Visit) error {
	app, err := v.oneApp()
	if err != nil {
		return err
	}
	view := portal.ConfirmPage{
		Form: v.NewForm("apps/"+app.ID+"/remove", nil), Confirm: app.Name, Button: "Remove the app", Cancel: "apps/" + app.ID,
		Words: []string{
			"Whoever uses it is signed out of it, and its tokens open nothing from that moment on.",
			"It cannot be brought back. To stop it for a while, disable it instead.",
		},
	}
	done, err := v.ActConfirmed(&view, Call{Method: http.MethodDelete, Path: clientCall(app.ID)})
	if err != nil {
		return err
	}
	if !done {
		return v.Page(portal.Frame{Title: "Remove this app?", Back: v.appAbove(&app), Curl: view.Form.Curl}, view)
	}
	person, err := v.whoami()
	if err != nil {
		return err
	}
	if person.Admin && app.Owner != person.Owner {
		return v.Go("apps?all=true", "app-removed")
	}
	return v.Go("apps", "app-removed")
}
