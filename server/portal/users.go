package portal

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A User is somebody who signed in here at least once, as the API shows them.
type User struct {
	ID          string    `json:"id"`
	Provider    string    `json:"provider"` // "local" for a password of this server
	Subject     string    `json:"subject"`
	Username    string    `json:"username"` // hostile text, as is what follows
	Email       string    `json:"email"`
	Groups      []string  `json:"groups"`
	Roles       []string  `json:"roles"`        // that administrators gave
	PolicyRoles []string  `json:"policy_roles"` // that the policy gives
	CreatedAt   time.Time `json:"created_at"`
	SeenAt      time.Time `json:"last_sign_in_at"`
	DisabledAt  time.Time `json:"disabled_at"`
}

// Title is what to call the user, in one line.
func (u User) Title() string { return cmp.Or(plain(u.Username), plain(u.Email), u.ID) }

// Owner is whose things are theirs, as the API names them.
func (u User) Owner() string { return "sub:" + u.Subject }

// Disabled reports whether the user is kept out.
func (u User) Disabled() bool { return !u.DisabledAt.IsZero() }

// ProviderName is who vouches for the user, as people say it.
func (u User) ProviderName() string {
	if u.Provider == "local" {
		return "password"
	}
	return u.Provider
}

// Pill is the class of the mark that shows the state.
func (u User) Pill() string {
	if u.Disabled() {
		return "bad"
	}
	return "good"
}

// State is whether the user is let in, as people say it.
func (u User) State() string {
	if u.Disabled() {
		return "Disabled"
	}
	return "Active"
}

// A UsersPage lists whoever signed in at least once.
type UsersPage struct {
	Users  []User
	Search string
	Paging Paging
	None   Empty
}

func (UsersPage) page() string { return "users" }

// A UserPage shows one user, and gives them roles.
type UserPage struct {
	Form     Form
	User     User
	Roles    []CatalogRole
	Sessions []Session
	Paging   Paging // of the sessions
	Self     bool   // it is who looks at it
}

func (UserPage) page() string { return "user" }

func (v UserPage) form() Form { return v.Form }

// Facts are what is said of the user.
func (v UserPage) Facts() []Fact {
	u := v.User
	return []Fact{
		text("Name", u.Username), text("E-mail", u.Email), text("Signs in with", u.ProviderName()), tags("Groups", u.Groups, "none"),
		at("Last sign-in", u.SeenAt, "never"), at("First sign-in", u.CreatedAt, ""),
		code("Subject", u.Subject), code("ID", u.ID),
	}
}

// Locked are the roles that the policy alone gives: nobody changes them here.
func (v UserPage) Locked() []RoleBox {
	var boxes []RoleBox
	for _, name := range v.User.PolicyRoles {
		if !slices.Contains(v.User.Roles, name) {
			boxes = append(boxes, v.box(name))
		}
	}
	return boxes
}

// Boxes are the roles that can be given and taken away here.
func (v UserPage) Boxes() []RoleBox {
	locked := v.Locked()
	var boxes []RoleBox
	for _, r := range v.Roles {
		if !slices.ContainsFunc(locked, func(b RoleBox) bool { return b.Name == r.Name }) {
			boxes = append(boxes, v.box(r.Name))
		}
	}
	return boxes
}

// Gone are the roles that were given and that the policy does not know any more. They
// give nothing, and go with the next change.
func (v UserPage) Gone() []string {
	var names []string
	for _, name := range v.User.Roles {
		if !slices.ContainsFunc(v.Roles, func(r CatalogRole) bool { return r.Name == name }) {
			names = append(names, name)
		}
	}
	return names
}

// A RoleBox is a role to tick.
type RoleBox struct {
	Name     string
	Opens    string // its scopes; "" for none
	Manages  string // what of this server's API it allows; "" for nothing
	Chosen   bool
	ByPolicy bool // the policy gives it too
}

func (v UserPage) box(name string) RoleBox {
	b := RoleBox{Name: name, Chosen: v.Form.Has("roles", name), ByPolicy: slices.Contains(v.User.PolicyRoles, name)}
	if i := slices.IndexFunc(v.Roles, func(r CatalogRole) bool { return r.Name == name }); i >= 0 {
		b.Opens, b.Manages = opens(v.Roles[i].Scopes), manages(v.Roles[i].Permissions)
	}
	return b
}

// opens are scopes in a line.
func opens(scopes []string) string {
	const most = 6
	if slices.Contains(scopes, "*") {
		return "everything"
	}
	if n := len(scopes); n > most {
		return strings.Join(scopes[:most-1], ", ") + " and " + count(int64(n-most+1), "more scope", "more scopes")
	}
	return strings.Join(scopes, ", ")
}

// manages are permissions in a sentence: "Manages keys, webhooks. Sees usage."
func manages(permissions []string) string {
	var change, look []string
	for _, p := range permissions {
		thing, ok := strings.CutSuffix(p, ":write")
		if ok {
			change = append(change, thingName(thing))
		} else if thing, ok = strings.CutSuffix(p, ":read"); ok && !slices.Contains(permissions, thing+":write") {
			look = append(look, thingName(thing))
		}
	}
	var parts []string
	if len(change) > 0 {
		parts = append(parts, "Manages "+strings.Join(change, ", ")+".")
	}
	if len(look) > 0 {
		parts = append(parts, "Sees "+strings.Join(look, ", ")+".")
	}
	return strings.Join(parts, " ")
}

// thingName is what permissions are about as pages call it.
func thingName(thing string) string {
	switch thing {
	case "clients":
		return "apps"
	case "status":
		return "the server’s status"
	case "audit":
		return "the audit log"
	}
	return thing
}
