package manage

import (
	"net/http"
	"net/url"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// peoplePages are about whoever signed in here.
func (d *Desk) peoplePages() pages {
	return pages{
		"GET /users":                    d.users,
		"GET /users/{id}":               d.user,
		"POST /users/{id}":              d.giveRoles,
		"GET /users/{id}/disable":       d.disableUser,
		"POST /users/{id}/disable":      d.disableUser,
		"POST /users/{id}/enable":       d.enableUser,
		"POST /users/{id}/sessions":     d.endSessionOf,
		"GET /users/{id}/end-sessions":  d.endSessionsOf,
		"POST /users/{id}/end-sessions": d.endSessionsOf,
	}
}

const usersCall = "/v1/auth/users"

func userCall(id string) string { return usersCall + "/" + url.PathEscape(id) }

// userPath is the page of a user.
func userPath(u *portal.User) string { return "users/" + url.PathEscape(u.ID) }

// users lists whoever signed in at least once.
func (d *Desk) users(v *Visit) error {
	q := url.Values{"limit": {"50"}}
	for _, name := range []string{"q", "cursor"} {
		if value := v.Query(name); value != "" {
			q.Set(name, value)
		}
	}
	var list struct {
		Users []portal.User `json:"users"`
		Next  string        `json:"next_cursor"`
	}
	if err := v.Shown(usersCall, q, &list); err != nil {
		return err
	}
	view := portal.UsersPage{Users: list.Users, Search: v.Query("q"), Paging: v.paging(list.Next), None: portal.Empty{
		Icon: "people", Title: "Nobody signed in yet", Words: "Whoever signs in appears here, with their roles and sessions.",
	}}
	if view.Search != "" {
		view.None = portal.Empty{Icon: "people", Title: "Nobody fits", Words: "Search for a part of a name, an e-mail address or a subject. Whoever never signed in is not here."}
	}
	return v.Page(portal.Frame{Title: "Users", Lead: "Everybody who signed in at least once.", Wide: true}, view)
}

// oneUser asks for a user.
func (v *Visit) oneUser() (portal.User, error) {
	var answer struct {
		User portal.User `json:"user"`
	}
	err := v.Shown(userCall(v.ID("id")), nil, &answer)
	return answer.User, err
}

// user shows one user.
func (d *Desk) user(v *Visit) error {
	user, err := v.oneUser()
	if err != nil {
		return err
	}
	return v.showUser(&user, v.NewForm("", nil))
}

// showUser shows a user beside a form that is about them, but not their roles.
func (v *Visit) showUser(user *portal.User, form portal.Form) error {
	form.Values, form.Version = map[string][]string{"roles": user.Roles}, rolesVersion(user)
	return v.showRoles(user, form)
}

// showRoles shows a user with the form of their roles.
func (v *Visit) showRoles(user *portal.User, form portal.Form) error {
	catalog, err := v.catalog()
	if err != nil {
		return err
	}
	var list struct {
		Sessions []portal.Session `json:"sessions"`
		Next     string           `json:"next_cursor"`
	}
	q := url.Values{"user_id": {user.ID}, "limit": {"20"}}
	if cursor := v.Query("cursor"); cursor != "" {
		q.Set("cursor", cursor)
	}
	if err := v.Get(sessionsCall, q, &list); err != nil {
		return err
	}
	form.Action = v.desk.cfg.Base + userPath(user)
	calls := []string{v.Curl(*v.last), v.Curl(rolesOf(user, form.Values["roles"])), v.Curl(endAllOf(user))}
	return v.Page(portal.Frame{
		Title: user.Title(), Back: usersAbove, Note: v.userNote(user), Curl: strings.Join(calls, "\n"),
	}, portal.UserPage{
		Form: form, User: *user, Roles: catalog.Roles, Sessions: list.Sessions, Paging: v.paging(list.Next), Self: user.ID == v.who.UserID,
	})
}

var usersAbove = []portal.Link{{Name: "Users", Path: "users"}}

func userAbove(u *portal.User) []portal.Link {
	return append(usersAbove[:1:1], portal.Link{Name: u.Title(), Path: "users/" + u.ID})
}

// userNote says what was done, and offers to take it back while that is how it stands.
func (v *Visit) userNote(user *portal.User) *portal.Note {
	done := v.done()
	note := portal.NoteOf(done)
	switch {
	case note == nil:
	case done == "user-disabled" && user.Disabled():
		note.Undo = &portal.Undo{Action: "users/" + user.ID + "/enable", Name: "undo", Value: "true"}
	case done == "user-enabled" && !user.Disabled():
		note.Undo = &portal.Undo{Action: "users/" + user.ID + "/disable", Name: "confirm", Value: user.Title()}
	}
	return note
}

// rolesVersion tells whether the roles are those that a form was made for.
func rolesVersion(user *portal.User) string { return strings.Join(user.Roles, " ") }

// rolesOf is the call that makes roles all that are given to a user.
func rolesOf(user *portal.User, roles []string) Call {
	return changeOf(user, map[string]any{"roles": append([]string{}, roles...)})
}

func changeOf(user *portal.User, body map[string]any) Call {
	return Call{Method: http.MethodPatch, Path: userCall(user.ID), Body: body}
}

// giveRoles gives a user the roles that are ticked.
func (d *Desk) giveRoles(v *Visit) error {
	user, err := v.oneUser()
	if err != nil {
		return err
	}
	form := v.NewForm("", nil)
	if v.Acts() && form.Version != rolesVersion(&user) {
		form.Changed, form.Version = true, rolesVersion(&user)
		return v.showRoles(&user, form)
	}
	done, err := v.Act(&form, rolesOf(&user, v.Form["roles"]), nil)
	if err != nil {
		return err
	}
	if done {
		return v.Go(userPath(&user), "roles-saved")
	}
	return v.showRoles(&user, form)
}

// disableUser keeps a user out, once their name was typed.
func (d *Desk) disableUser(v *Visit) error {
	user, err := v.oneUser()
	if err != nil {
		return err
	}
	view := portal.ConfirmPage{
		Form: v.NewForm(userPath(&user)+"/disable", nil), Confirm: user.Title(), Button: "Disable the user", Cancel: "users/" + user.ID,
		Words: []string{
			"They are signed out everywhere at once, and cannot sign in, whatever their provider says.",
			"All of their API keys stop, and apps cannot act for them any more.",
			"You can enable them again: API keys work again then, and they sign in anew.",
		},
	}
	done, err := v.ActConfirmed(&view, changeOf(&user, map[string]any{"disabled": true}))
	if err != nil {
		return err
	}
	if done {
		return v.Go(userPath(&user), "user-disabled")
	}
	return v.Page(portal.Frame{Title: "Disable " + user.Title() + "?", Back: userAbove(&user), Curl: view.Form.Curl}, view)
}

// enableUser lets a user in again.
func (d *Desk) enableUser(v *Visit) error {
	user, err := v.oneUser()
	if err != nil {
		return err
	}
	form := v.NewForm("", nil)
	done, err := v.Act(&form, changeOf(&user, map[string]any{"disabled": false}), nil)
	if err != nil {
		return err
	}
	if done {
		return v.Go(userPath(&user), "user-enabled")
	}
	return v.showUser(&user, form)
}

// endSessionOf ends one session of a user. One that ended meanwhile is what was wanted.
func (d *Desk) endSessionOf(v *Visit) error {
	user, err := v.oneUser()
	if err != nil {
		return err
	}
	form := v.NewForm("", nil)
	c := Call{Method: http.MethodDelete, Path: sessionsCall + "/" + url.PathEscape(v.Form.Get("id"))}
	done, err := v.Act(&form, c, nil)
	if err != nil && fault.From(err).Status != http.StatusNotFound {
		return err
	}
	if done || err != nil {
		return v.Go(userPath(&user), "session-ended")
	}
	return v.showUser(&user, form)
}

// endAllOf is the call that ends all sessions of a user.
func endAllOf(user *portal.User) Call {
	return Call{Method: http.MethodDelete, Path: sessionsCall, Query: url.Values{"user_id": {user.ID}}}
}

// endSessionsOf ends all sessions of a user, once that was confirmed.
func (d *Desk) endSessionsOf(v *Visit) error {
	user, err := v.oneUser()
	if err != nil {
		return err
	}
	view := portal.ConfirmPage{
		Form: v.NewForm(userPath(&user)+"/end-sessions", nil), Button: "End all sessions", Cancel: "users/" + user.ID,
		Words: []string{
			"They are signed out in every browser, and what they have open there ends.",
			"They can sign in again. To keep them out, disable them.",
			"Their API keys and connected apps go on.",
		},
	}
	done, err := v.ActConfirmed(&view, endAllOf(&user))
	if err != nil {
		return err
	}
	if done {
		return v.Go(userPath(&user), "user-signed-out")
	}
	return v.Page(portal.Frame{Title: "End all sessions of " + user.Title() + "?", Back: userAbove(&user), Curl: view.Form.Curl}, view)
}
