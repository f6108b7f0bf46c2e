package portal

import (
	"cmp"
	"io"
	"time"
)

// An AccountPage shows a person who they are here and where they are signed in.
// Its URLs are paths of this server, as on the other pages of signing in.
type AccountPage struct {
	Username, Email, Subject string // "" is left out
	Provider                 string // who vouches for the account, as people call it
	Groups, Roles            []string
	Sessions                 []SessionRow
	EndURL                   string        // a form posts a session's id there
	EndOthersURL             string        // a form posts there to end all but this one
	SignOutURL               string        // a form posts there
	Password                 *PasswordForm // nil where the password is not ours
	More                     string        // the next page of sessions
	Apps                     []ConnectedApp
	WithdrawURL              string // a form posts client_id there; "" shows no apps at all
}

// A SessionRow is one browser that is signed in.
type SessionRow struct {
	ID      string
	Where   string    // the address it came from
	Browser string    // its User-Agent, as sent
	Created time.Time // the zero time is left out
	Seen    time.Time // the same
	Current bool      // the one that asks
}

// A PasswordForm changes the password of a local user. It posts
// current_password, new_password and repeat_password.
type PasswordForm struct {
	Action string
	Error  string // why the last try did not do; "" at first
	Done   string // that it did, such as "Your password is changed."
}

// Account writes the page. Its sign-out form may end at a provider: see
// [Pages.CSPWithForms].
func (p *Pages) Account(w io.Writer, v AccountPage) error {
	return p.render(w, p.account, p.accountView(v))
}

// accountView is what templates/account.html reads.
type accountView struct {
	AccountPage
	Site  Site
	Title string
	Name  string // what to call the person
	Rows  []sessionView
	Apps  []appView
}

// A sessionView is a row in the words of the page.
type sessionView struct {
	SessionRow
	Name  string // the browser's, as people call it
	Agent string // its User-Agent, shortened
	// Since and Last are nil where the time is not known.
	Since, Last *moment
}

func (p *Pages) accountView(v AccountPage) accountView {
	v.EndURL, v.EndOthersURL, v.SignOutURL, v.More = local(v.EndURL), local(v.EndOthersURL), local(v.SignOutURL), local(v.More)
	v.WithdrawURL = local(v.WithdrawURL)
	if v.Password != nil && !localTarget(v.Password.Action) {
		v.Password = nil
	}
	view := accountView{AccountPage: v, Site: p.site, Title: "Your account", Name: cmp.Or(v.Username, v.Email, v.Subject), Apps: appViews(v.Apps)}
	for _, row := range v.Sessions {
		view.Rows = append(view.Rows, sessionView{
			SessionRow: row, Name: browserName(row.Browser), Agent: shorten(row.Browser, 200), Since: momentOf(row.Created), Last: momentOf(row.Seen),
		})
	}
	return view
}

// Others reports whether there is another session to end.
func (v accountView) Others() bool {
	for _, row := range v.Rows {
		if !row.Current {
			return v.EndOthersURL != ""
		}
	}
	return v.EndOthersURL != "" && v.More != ""
}

func momentOf(t time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	return &moment{t}
}
