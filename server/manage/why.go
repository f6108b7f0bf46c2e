package manage

import (
	"net/http"
	"net/url"
	"strings"

	"wavegate/keychain/apikey"
	"wavegate/server/portal"
)

// why explains why a request is allowed or refused. The form is posted, so that a key
// that somebody puts into it by mistake comes into no address; what the API took leads
// on to an address that can be sent to others.
func (d *Desk) why(v *Visit) error {
	view := portal.WhyPage{Form: v.NewForm("why", map[string][]string{"request": {v.Query("request")}, "as": {v.Query("as")}})}
	f := &view.Form
	c := Call{Method: http.MethodPost, Path: explainCall, Body: explainBody(f)}
	if v.Form != nil || v.Query("request") != "" {
		var answer portal.Explanation
		switch err := v.Do(c, &answer); {
		case err != nil:
			if err := v.blame(f, err); err != nil {
				return err
			}
		case v.Acts():
			return v.Go("why?"+url.Values{"request": {f.Get("request")}, "as": {f.Get("as")}}.Encode(), "")
		case !v.showing:
			view.Answer = &answer
		}
	}
	forgetKeys(f)
	c.Body = explainBody(f)
	if err := v.people(&view); err != nil {
		return err
	}
	return v.Page(portal.Frame{Title: "Why?", Lead: "Why a request is allowed or refused: ask, and see each rule that counts. Nothing is sent or changed.", Curl: v.Curl(c)}, view)
}

// explainBody is the question of a form, or an example where there is none yet.
func explainBody(f *portal.Form) keyBody {
	body := keyBody{"request": strings.TrimSpace(f.Get("request")), "as": strings.TrimSpace(f.Get("as"))}
	if body["request"] == "" {
		body["request"] = "GET /v1/streams"
	}
	return body
}

// forgetKeys empties the fields that hold an API key: the page does not repeat it.
func forgetKeys(f *portal.Form) {
	for _, name := range []string{"request", "as"} {
		if apikey.Holds(f.Get(name)) {
			f.Values[name] = nil
		}
	}
}

// people are some of those whom a question may be about. A form that is only being
// checked does not need them.
func (v *Visit) people(view *portal.WhyPage) error {
	if v.showing {
		return nil
	}
	var users struct {
		Users []struct {
			ID    string `json:"id"`
			Name  string `json:"username"`
			Email string `json:"email"`
		} `json:"users"`
	}
	if err := v.Get("/v1/auth/users", url.Values{"limit": {"20"}}, &users); err != nil {
		return err
	}
	for _, u := range users.Users {
		value := u.Email
		if value == "" {
			value = u.ID
		}
		view.People = append(view.People, portal.Option{Value: value, Name: u.Name})
	}
	var keys struct {
		Keys []portal.Key `json:"api_keys"`
	}
	if err := v.Get(keysCall, url.Values{"all": {"true"}, "limit": {"20"}}, &keys); err != nil {
		return err
	}
	for _, k := range keys.Keys {
		view.People = append(view.People, portal.Option{Value: k.ID, Name: k.Name})
	}
	return nil
}
