package manage

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// appBody is the body of the calls that make and change an app, as its form says it.
// For a change, what was emptied is empty or null; else it is left out.
func appBody(f *portal.Form, change, admin bool) keyBody {
	body := keyBody{
		"scopes": append([]string{}, f.Values["scopes"]...), "grant_types": append([]string{}, f.Values["grant_types"]...),
	}
	set := func(name string, value any, given bool, none any) {
		switch {
		case given:
			body[name] = value
		case change:
			body[name] = none
		}
	}
	text := func(name string) string { return strings.TrimSpace(f.Get(name)) }
	set("name", f.Get("name"), f.Get("name") != "", "")
	for _, name := range []string{"redirect_uris", "post_logout_redirect_uris"} {
		list := lines(f.Get(name))
		set(name, list, len(list) > 0, []string{})
	}
	set("pkce", text("pkce"), text("pkce") != "", nil)
	alg := text("id_token_signed_response_alg")
	set("id_token_signed_response_alg", alg, alg != "" && (change || alg != "RS256"), nil)
	set("client_uri", text("client_uri"), text("client_uri") != "", nil)
	set("jwks", object(text("jwks")), text("jwks") != "", nil)
	if !change {
		set("type", text("type"), text("type") != "", nil)
	}
	if admin {
		for _, name := range []string{"first_party", "introspection"} {
			set(name, f.Get(name) == "true", f.Get(name) == "true", false)
		}
		if tier := text("rate_limit_tier"); tier != portal.KeepTier {
			set("rate_limit_tier", tier, tier != "", nil)
		}
	}
	return body
}

// lines are the lines of a text, without those that are blank.
func lines(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// checkApp has the API say what is wrong with a form that is still being filled in.
// What is not filled in yet is not complained about.
func (v *Visit) checkApp(f *portal.Form, body keyBody) error {
	if v.Form == nil || !v.showing {
		return nil
	}
	asked := keyBody{}
	for name, value := range body {
		if list, ok := value.([]string); value != nil && value != "" && (!ok || len(list) > 0) {
			asked[name] = value
		}
	}
	var said struct {
		Errors []fault.Field `json:"errors"`
	}
	c := Call{Method: http.MethodPost, Path: clientsCall + "/check", Query: url.Values{"partial": {"true"}}, Body: asked}
	if err := v.Do(c, &said); err != nil {
		return v.blame(f, err)
	}
	complain(f, said.Errors)
	return nil
}

// newApp registers an app. The first question is of what kind it is.
func (d *Desk) newApp(v *Visit) error {
	value := v.Query("kind")
	if v.Form != nil {
		value = v.Form.Get("kind")
	}
	kind, ok := portal.AppKindOf(value)
	if !ok {
		return v.Page(portal.Frame{Title: "What kind of app is it?", Back: appsAbove, Lead: "The rest follows from that, and can be changed."}, portal.AppKindsPage{})
	}
	person, err := v.whoami()
	if err != nil {
		return err
	}
	catalog, err := v.catalog()
	if err != nil {
		return err
	}
	view := portal.AppFormPage{Catalog: catalog, Kind: kind, Admin: person.Admin, Form: v.NewForm("apps/new", map[string][]string{
		"type": {kind.Type}, "grant_types": kind.Grants, "pkce": {"required"}, "id_token_signed_response_alg": {"RS256"},
	})}
	body := appBody(&view.Form, false, person.Admin)
	if v.Form == nil {
		body["name"] = "my app"
		if kind.People() {
			body["redirect_uris"] = []string{"https://app.example.com/callback"}
		}
	}
	var made struct {
		App portal.App `json:"client"`
	}
	done, err := v.Act(&view.Form, Call{Method: http.MethodPost, Path: clientsCall, Body: body}, &made)
	if err != nil {
		return err
	}
	if done {
		return v.appMade(&made.App, false)
	}
	if err := v.checkApp(&view.Form, body); err != nil {
		return err
	}
	return v.Page(portal.Frame{Title: "New app", Back: appsAbove, Lead: kind.Name + ". " + kind.Gets, Curl: view.Form.Curl}, view)
}

// appMade shows a new app, or its new secret, the only time.
func (v *Visit) appMade(app *portal.App, renewed bool) error {
	server, err := v.oauthServer()
	if err != nil {
		return err
	}
	view := portal.AppMadePage{App: *app, Renewed: renewed}
	if app.Secret != "" {
		view.Secret = &portal.Secret{
			Title: "Copy the secret now", Words: "This is the only time that it is shown. Keep it where secrets are kept.", Secret: app.Secret, Label: "the secret",
		}
	}
	switch {
	case app.May(portal.GrantClientCredentials) && server.Token != "" && app.Secret != "":
		view.Secret.Try = ownToken(app, &server, app.Secret)
	case !renewed:
		view.Attempt = v.attempt(app, &server, usualChoice(app))
	}
	return v.Page(portal.Frame{Title: app.Name, Back: appsAbove}, view)
}

// editApp changes an app.
func (d *Desk) editApp(v *Visit) error {
	app, err := v.oneApp()
	if err != nil {
		return err
	}
	person, err := v.whoami()
	if err != nil {
		return err
	}
	catalog, err := v.catalog()
	if err != nil {
		return err
	}
	view := portal.AppFormPage{Catalog: catalog, App: &app, Admin: person.Admin, Form: v.NewForm("apps/"+app.ID+"/edit", appValues(&app))}
	if view.Form.Version == "" {
		view.Form.Version = strconv.FormatInt(app.Version, 10)
	}
	body := appBody(&view.Form, true, person.Admin)
	done, err := v.Act(&view.Form, Call{Method: http.MethodPatch, Path: clientCall(app.ID), Body: body, Match: view.Form.Version}, nil)
	if err != nil {
		return err
	}
	if done {
		return v.Go("apps/"+app.ID, "saved")
	}
	if view.Form.Changed {
		view.Now, view.Form.Version = &app, strconv.FormatInt(app.Version, 10)
	}
	if err := v.checkApp(&view.Form, addresses(&app, body)); err != nil {
		return err
	}
	return v.Page(portal.Frame{Title: "Edit the app", Back: v.appAbove(&app), Curl: view.Form.Curl}, view)
}

// addresses is what of a change can be checked as if the app were a new one: not what
// it already has and its owner could not give any more.
func addresses(app *portal.App, body keyBody) keyBody {
	some := keyBody{"type": app.Type}
	for _, name := range []string{"name", "redirect_uris", "post_logout_redirect_uris", "client_uri", "jwks"} {
		some[name] = body[name]
	}
	return some
}

// appValues are the fields of an app as its form shows them.
func appValues(a *portal.App) map[string][]string {
	values := map[string][]string{
		"name": {a.Name}, "redirect_uris": {strings.Join(a.RedirectURIs, "\n")}, "post_logout_redirect_uris": {strings.Join(a.PostLogoutURIs, "\n")},
		"scopes": a.Scopes, "grant_types": a.GrantTypes, "pkce": {a.PKCE}, "client_uri": {a.URI}, "id_token_signed_response_alg": {a.IDTokenAlg},
		"first_party": {strconv.FormatBool(a.FirstParty)}, "introspection": {strconv.FormatBool(a.Introspection)}, "rate_limit_tier": {portal.KeepTier},
	}
	if keys := string(a.JWKS); keys != "null" {
		values["jwks"] = []string{keys}
	}
	return values
}

// rotateApp gives an app another secret.
func (d *Desk) rotateApp(v *Visit) error {
	app, err := v.oneApp()
	if err != nil {
		return err
	}
	view := portal.AppRotatePage{App: app, Form: v.NewForm("apps/"+app.ID+"/rotate", map[string][]string{"grace_period_hours": {"24"}})}
	var answer struct {
		App portal.App `json:"client"`
	}
	c := Call{Method: http.MethodPost, Path: clientCall(app.ID) + "/rotate-secret", Body: keyBody{"grace_period_hours": number(view.Form.Get("grace_period_hours"))}}
	done, err := v.Act(&view.Form, c, &answer)
	if err != nil {
		return err
	}
	if !done {
		return v.Page(portal.Frame{
			Title: "Rotate the secret", Back: v.appAbove(&app), Curl: view.Form.Curl,
			Lead: "The app gets a new secret. The old one works on for a while, so that nothing breaks meanwhile.",
		}, view)
	}
	return v.appMade(&answer.App, true)
}
