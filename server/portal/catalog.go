package portal

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
	Name        string `json:"name"`
	Description string `json:"description"`
	Risk        string `json:"risk"`
	MayGive     bool   `json:"may_give"`
}

// A CatalogRole is a role.
type CatalogRole struct {
	Name    string   `json:"name"`
	Scopes  []string `json:"scopes"`
	MayGive bool     `json:"may_give"`
}

// A CatalogTier is a tier of limits.
type CatalogTier struct {
	Name    string `json:"name"`
	MayGive bool   `json:"may_give"`
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
