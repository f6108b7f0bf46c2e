package portal

import (
	"slices"
	"strings"
)

// A Catalog is what can be chosen from, as the API shows it.
type Catalog struct {
	Scopes       []CatalogScope `json:"scopes"`
	Roles        []CatalogRole  `json:"roles"`
	Tiers        []CatalogTier  `json:"tiers"`
	Environments []string       `json:"environments"`
	Events       []string       `json:"events"`
	Defaults     struct {
		Role string `json:"role"`
		Days int64  `json:"expires_in_days"`
	} `json:"defaults"`
}

// A CatalogScope is a scope, and whether the person may give it.
type CatalogScope struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Risk        string   `json:"risk"`
	Endpoints   []string `json:"endpoints"`
	OfServer    bool     `json:"of_server"` // allows calls of the management API
	MayGive     bool     `json:"may_give"`
}

// A CatalogRole is a role.
type CatalogRole struct {
	Name        string   `json:"name"`
	Scopes      []string `json:"scopes"`
	Permissions []string `json:"permissions"` // of the management API
	MayGive     bool     `json:"may_give"`
}

// A CatalogTier is a tier of limits.
type CatalogTier struct {
	Name    string `json:"name"`
	MayGive bool   `json:"may_give"`
}

// Opened is the path of a GET request of the apps behind that one of these scopes
// opens, "" for none that can be told: one that holds no variables and is for any host.
func (c Catalog) Opened(scopes []string) string {
	for _, s := range c.Scopes {
		if s.OfServer || !slices.Contains(scopes, s.Name) && !slices.Contains(scopes, "*") {
			continue
		}
		for _, endpoint := range s.Endpoints {
			method, path, _ := strings.Cut(endpoint, " ")
			if method == "GET" && strings.HasPrefix(path, "/") && !strings.ContainsAny(path, ":{*") {
				return path
			}
		}
	}
	return ""
}

// Givable are the scopes of the apps behind that the person may give.
func (c Catalog) Givable() []string {
	var names []string
	for _, s := range c.Scopes {
		if s.MayGive && !s.OfServer {
			names = append(names, s.Name)
		}
	}
	return names
}

// Role returns the role of a name, the zero value for none.
func (c Catalog) Role(name string) CatalogRole {
	i := slices.IndexFunc(c.Roles, func(r CatalogRole) bool { return r.Name == name })
	if i < 0 {
		return CatalogRole{}
	}
	return c.Roles[i]
}

// RoleOptions are the roles to choose from; none is one too, in the words given.
func (c Catalog) RoleOptions(none string) []Option {
	options := []Option{named("", none)}
	for _, r := range c.Roles {
		options = append(options, Option{Value: r.Name, Name: r.Name, Off: !r.MayGive})
	}
	return options
}

// TierOptions are the tiers to choose from.
func (c Catalog) TierOptions(none string) []Option {
	options := []Option{named("", none)}
	for _, t := range c.Tiers {
		options = append(options, Option{Value: t.Name, Name: t.Name, Off: !t.MayGive})
	}
	return options
}

// A scopePick is the field of a form in which scopes are chosen.
type scopePick struct {
	Form Form
	Hint string
	Apps []CatalogScope // for the apps behind
	Own  []CatalogScope // for the management API
	Not  []CatalogScope // that the person cannot give
}

// scopePicker makes the field. What is chosen already can be taken away, also where the
// person could not give it.
func scopePicker(f Form, c Catalog, hint string) scopePick {
	p := scopePick{Form: f, Hint: hint}
	for _, s := range c.Scopes {
		switch {
		case !s.MayGive && !f.Has("scopes", s.Name):
			p.Not = append(p.Not, s)
		case s.OfServer:
			p.Own = append(p.Own, s)
		default:
			p.Apps = append(p.Apps, s)
		}
	}
	return p
}

// NotApps reports whether scopes for the apps behind are among those that the person
// cannot give.
func (p scopePick) NotApps() bool {
	return slices.ContainsFunc(p.Not, func(s CatalogScope) bool { return !s.OfServer })
}

// OwnOpen reports whether a scope of the management API is chosen.
func (p scopePick) OwnOpen() bool {
	for _, s := range p.Own {
		if p.Form.Has("scopes", s.Name) {
			return true
		}
	}
	return false
}

// Error is what is wrong with the choice.
func (p scopePick) Error() string { return p.Form.Errors["scopes"] }
