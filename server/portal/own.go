package portal

import (
	"slices"
	"time"
)

// A ConnectedPage lists the apps that may act for the person.
type ConnectedPage struct {
	Apps   []Connection
	Scopes []CatalogScope // what the scopes of the apps mean
	None   Empty
}

func (ConnectedPage) page() string { return "connected" }

// A Connection is an app that may act for somebody, as the API shows it.
type Connection struct {
	ClientID   string    `json:"client_id"`
	Name       string    `json:"name"`       // hostile text
	URI        string    `json:"client_uri"` // nobody checked it
	Scopes     []string  `json:"scopes"`
	Remembered bool      `json:"remembered"` // nobody is asked the next time
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
}

// Title is the name in one line that cannot hide what it is.
func (c Connection) Title() string { return appName(c.Name) }

// Home is the home page as it is shown: text and no link.
func (c Connection) Home() string { return homePage(c.URI) }

// Asks are the scopes of an app in words, the greatest risk first.
func (v ConnectedPage) Asks(c Connection) []consentAsk {
	asked := make([]ConsentScope, 0, len(c.Scopes))
	for _, name := range c.Scopes {
		scope := ConsentScope{Name: name}
		if i := slices.IndexFunc(v.Scopes, func(s CatalogScope) bool { return s.Name == name }); i >= 0 {
			scope.Description, scope.Risk = v.Scopes[i].Description, v.Scopes[i].Risk
		}
		asked = append(asked, scope)
	}
	return consentAsks(asked)
}

// A SessionsPage lists where the person is signed in.
type SessionsPage struct {
	Form     Form
	Sessions []Session // this browser's first
	Paging   Paging
}

func (SessionsPage) page() string { return "sessions" }

func (v SessionsPage) form() Form { return v.Form }

// Others reports whether there may be another session to end.
func (v SessionsPage) Others() bool {
	return v.Paging != Paging{} || slices.ContainsFunc(v.Sessions, func(s Session) bool { return !s.Current })
}

// A Session is a browser that is signed in, as the API shows it.
type Session struct {
	ID        string    `json:"id"`
	Current   bool      `json:"current"` // it is the one that asks
	IP        string    `json:"ip"`
	UserAgent string    `json:"user_agent"` // as sent
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"last_used_at"`
}

// Browser is the User-Agent as people say it.
func (s Session) Browser() string { return browserName(s.UserAgent) }

// A ProfilePage shows a person who they are here.
type ProfilePage struct {
	Form     Form // changes the password; shown to local users alone
	About    About
	Provider string // who vouches for the person, as people call it
	Roles    []CatalogRole
}

func (ProfilePage) page() string { return "profile" }

func (v ProfilePage) form() Form { return v.Form }

// About is who somebody is, as the API says it.
type About struct {
	Subject string   `json:"sub"`
	Groups  []string `json:"groups"`
}

// Facts are what is said of the person.
func (v ProfilePage) Facts(p Person) []Fact {
	facts := []Fact{text("Name", p.Name), text("E-mail", p.Email), text("Signs in with", v.Provider)}
	if p.Admin {
		facts = append(facts, Fact{Name: "Administrator", Text: "yes", Detail: "sees and manages what is everybody’s"})
	}
	return append(facts, tags("Groups", v.About.Groups, "none"), code("Subject", v.About.Subject), code("Owner", p.Owner))
}

// Held are the person's roles: what each opens, where the policy says so.
func (v ProfilePage) Held(p Person) []CatalogRole {
	var held []CatalogRole
	for _, name := range p.Roles {
		role := CatalogRole{Name: name}
		if i := slices.IndexFunc(v.Roles, func(r CatalogRole) bool { return r.Name == name }); i >= 0 {
			role = v.Roles[i]
		}
		held = append(held, role)
	}
	return held
}
