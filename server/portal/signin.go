package portal

import (
	"io"
	"slices"
)

// The pages of signing in. Every URL in their views is a path of this server,
// with its query; a button whose URL leads elsewhere, or is "", is left out.
// Everything else is text, never markup.

// A LoginPage is where a person chooses how to sign in.
type LoginPage struct {
	Providers  []ProviderButton
	Form       *LoginForm // nil where there are no local users
	Next       string     // where the login leads; goes into the form where that names none
	Where      string     // what the person wanted, such as "/reports"; "" says nothing
	Message    string     // why they are here, such as "Your session has ended."; "" says nothing
	SwitchFrom string     // the account that is signed in now, when another is wanted
}

// A ProviderButton leads to one provider.
type ProviderButton struct {
	Name  string // as in the settings
	Label string // as people call it; "" is Name
	URL   string // of /_auth/init; a link, because browsers bind where forms may lead
}

// A LoginForm is for local users. It posts username, password and next.
type LoginForm struct {
	Action   string
	Next     string
	Username string // what was typed before
	Error    string // why that did not do; "" at first
}

// Login writes the login page.
func (p *Pages) Login(w io.Writer, v LoginPage) error {
	view := loginView{LoginPage: v, Site: p.site}
	view.Where = shorten(v.Where, 64)
	view.Providers = slices.DeleteFunc(slices.Clone(v.Providers), func(b ProviderButton) bool { return !localTarget(b.URL) })
	if v.Form != nil && localTarget(v.Form.Action) {
		form := *v.Form
		if form.Next == "" {
			form.Next = v.Next
		}
		view.Form = &form
	} else {
		view.Form = nil
	}
	if v.SwitchFrom != "" {
		view.Stay = local(v.Next)
	}
	return p.render(w, p.login, view)
}

// loginView is what templates/login.html reads.
type loginView struct {
	LoginPage
	Site Site
	Stay string // where those go who keep their account, "" for nowhere
}

// Title is what the page is about, in the window's title and at the top.
func (v loginView) Title() string {
	if v.SwitchFrom != "" {
		return "Use another account"
	}
	return "Sign in"
}

// Nothing reports whether there is no way to sign in at all.
func (v loginView) Nothing() bool { return len(v.Providers) == 0 && v.Form == nil }

// Single reports whether there is one provider and nothing else: its button is
// then the one that stands out.
func (v loginView) Single() bool { return len(v.Providers) == 1 && v.Form == nil }

// FocusName and FocusPassword say which input has the focus at first. Only a
// form that is the one way in, or that is shown a second time, takes it.
func (v loginView) FocusName() bool {
	return v.Form.Username == "" && (len(v.Providers) == 0 || v.Form.Error != "")
}

// FocusPassword is the counterpart of FocusName where the name is known.
func (v loginView) FocusPassword() bool {
	return v.Form.Username != "" && (len(v.Providers) == 0 || v.Form.Error != "")
}

// A SignedOutPage is what a person sees after they signed out.
type SignedOutPage struct {
	LoginURL     string
	ProviderNote string // such as "You may still be signed in at Google."; "" says nothing
	ForgetURL    string // asked for like a picture, and tells the browser to forget pages; "" is none
}

// SignedOut writes the page after a logout.
func (p *Pages) SignedOut(w io.Writer, v SignedOutPage) error {
	v.LoginURL, v.ForgetURL = local(v.LoginURL), local(v.ForgetURL)
	return p.render(w, p.signedOut, struct {
		SignedOutPage
		Site  Site
		Title string
	}{v, p.site, "You’re signed out"})
}

// A LogoutPage asks whether somebody wants to sign out: a link of another site
// alone must not do it.
type LogoutPage struct {
	Account string // who is signed in; "" says nothing
	Action  string // the form posts next there
	Next    string
	Home    string // where "Stay signed in" leads; "" is the base given to New
}

// Logout writes the question. It has a form that may end at a provider: see
// [Pages.CSPWithForms].
func (p *Pages) Logout(w io.Writer, v LogoutPage) error {
	v.Action = local(v.Action)
	return p.render(w, p.logout, struct {
		LogoutPage
		Site  Site
		Title string
	}{v, p.siteAt(v.Home), "Sign out?"})
}

// A NoAccessPage tells a person who is signed in that this account may not
// enter.
type NoAccessPage struct {
	Account    string   // "" says nothing
	Provider   string   // who vouched for the account, as people call it; "" says nothing
	Message    string   // why; "" is said in general words
	SwitchURL  string   // where another account can be chosen
	SignOutURL string   // a form posts there
	Home       string   // "" is the base given to New
	RequestID  string   // for questions to whoever runs the service; "" shows none
	Need       []string // what the account lacks, such as "role admin"
}

// NoAccess writes the page. It may have a form that ends at a provider: see
// [Pages.CSPWithForms].
func (p *Pages) NoAccess(w io.Writer, v NoAccessPage) error {
	v.SwitchURL, v.SignOutURL = local(v.SwitchURL), local(v.SignOutURL)
	if v.Message == "" {
		v.Message = "This account is not allowed to open what you asked for."
	}
	return p.render(w, p.noAccess, struct {
		NoAccessPage
		Site  Site
		Title string
	}{v, p.siteAt(v.Home), "This account has no access"})
}

// A SignInErrorPage explains why signing in did not work, and lets people try
// again.
type SignInErrorPage struct {
	Title     string // what happened, in a few words; "" is said in general words
	Message   string // the same in a sentence, safe to show
	Advice    []string
	RetryURL  string
	Home      string // "" is the base given to New
	RequestID string // "" shows none
	Provider  string // as people call it; "" says nothing
}

// SignInError writes the page.
func (p *Pages) SignInError(w io.Writer, v SignInErrorPage) error {
	v.RetryURL = local(v.RetryURL)
	if v.Title == "" {
		v.Title = "Signing in didn’t work"
	}
	return p.render(w, p.signInError, struct {
		SignInErrorPage
		Site Site
	}{v, p.siteAt(v.Home)})
}
