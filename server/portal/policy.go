package portal

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A Policy is the policy in force, as the API shows it.
type Policy struct {
	Files      []string         `json:"files"` // the policy's own first; none where there is no policy file
	LoadedAt   time.Time        `json:"loaded_at"`
	Routes     []PolicyRoute    `json:"routes"`
	Scopes     []PolicyScope    `json:"scopes"`
	Roles      []PolicyRole     `json:"roles"`
	AccessKeys []PolicyKey      `json:"access_keys"`
	Tiers      []PolicyTier     `json:"tiers"`
	Defaults   PolicyDefaults   `json:"defaults"`
	Providers  []PolicyProvider `json:"providers"`
	Issuers    []PolicyIssuer   `json:"issuers"`
	OAuth      PolicyOAuth      `json:"oauth"`
	Webhooks   PolicyWebhooks   `json:"webhooks"`
}

// A PolicyRoute is a route. One of Upstream, Folder and Status says where it leads.
type PolicyRoute struct {
	Host          string   `json:"host"` // "" is any
	Path          string   `json:"path"`
	Origin        string   `json:"origin"`
	Access        string   `json:"access"`
	Methods       []string `json:"methods"` // none is all
	Scopes        []string `json:"scopes"`
	Roles         []string `json:"roles"`
	Groups        []string `json:"groups"`
	AllowUnlisted bool     `json:"allow_unlisted"`
	Upstream      string   `json:"upstream"`
	Folder        string   `json:"folder"`
	Status        int      `json:"status"`
	RegisteredBy  string   `json:"registered_by"` // access key of an app that announced itself
}

// Question is a request that the route serves, as the page Why? takes it.
func (r PolicyRoute) Question() string {
	method := "GET"
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, method) {
		method = r.Methods[0]
	}
	host := r.Host
	if rest, pattern := strings.CutPrefix(host, "*."); pattern {
		host = "www." + rest
	}
	return method + " " + host + cmp.Or(r.Path, "/")
}

// Lets are whom the route lets in, before what else it needs.
func (r PolicyRoute) Lets() string {
	switch r.Access {
	case "public":
		return "Everybody"
	case "authenticated":
		return "Any valid credential"
	case "signed-in":
		return "People who are signed in"
	case "keys":
		return "Access keys and API keys"
	}
	return r.Access
}

// A PolicyNeed is what somebody has to have.
type PolicyNeed struct {
	Name string // "scopes", "one of the roles"
	Have []string
}

// Needs are what the route asks for beside a credential.
func (r PolicyRoute) Needs() []PolicyNeed {
	var needs []PolicyNeed
	for _, n := range []struct {
		list      []string
		one, many string
	}{
		{r.Scopes, "the scope", "the scopes"}, {r.Roles, "the role", "one of the roles"}, {r.Groups, "the group", "one of the groups"},
	} {
		switch {
		case len(n.list) > 1:
			needs = append(needs, PolicyNeed{n.many, n.list})
		case len(n.list) == 1:
			needs = append(needs, PolicyNeed{n.one, n.list})
		}
	}
	return needs
}

// Leads is where it leads to.
func (r PolicyRoute) Leads() string {
	switch {
	case r.Status != 0:
		return "answers " + Thousands(int64(r.Status))
	case r.Folder != "":
		return "folder " + r.Folder
	}
	return r.Upstream
}

func (r PolicyRoute) words() []string {
	return slices.Concat([]string{r.Host + r.Path, r.Origin, r.Access, r.Upstream, r.Folder, r.RegisteredBy}, r.Methods, r.Scopes, r.Roles, r.Groups)
}

// A PolicyScope is a scope and what it opens.
type PolicyScope struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Risk        string   `json:"risk"`
	Endpoints   []string `json:"endpoints"`
}

func (s PolicyScope) words() []string { return append([]string{s.Name, s.Description}, s.Endpoints...) }

// A PolicyRole is a role, and who has it.
type PolicyRole struct {
	Name        string   `json:"name"`
	Origin      string   `json:"origin"` // "" is built in
	Scopes      []string `json:"scopes"`
	Permissions []string `json:"permissions"`
	Members     []string `json:"members"`
	Groups      []string `json:"groups"`
	Tier        string   `json:"rate_limit_tier"`
}

func (r PolicyRole) words() []string {
	return slices.Concat([]string{r.Name, r.Origin, r.Tier}, r.Scopes, r.Permissions, r.Members, r.Groups)
}

// A PolicyKey is what an access key holds.
type PolicyKey struct {
	ID       string   `json:"id"`
	Origin   string   `json:"origin"`
	Scopes   []string `json:"scopes"`
	Roles    []string `json:"roles"`
	Register []string `json:"register"` // routes that its apps may announce
}

func (k PolicyKey) words() []string {
	return slices.Concat([]string{k.ID, k.Origin}, k.Scopes, k.Roles, k.Register)
}

// A PolicyTier bounds an account; 0 is no bound.
type PolicyTier struct {
	Name       string `json:"name"`
	PerMinute  int64  `json:"requests_per_minute"`
	PerSecond  int64  `json:"burst_per_second"`
	Concurrent int64  `json:"concurrent"`
	PerMonth   int64  `json:"bandwidth_per_month"` // bytes
}

// Bounds are the bounds in words.
func (t PolicyTier) Bounds() string {
	var parts []string
	if t.PerMinute > 0 {
		parts = append(parts, count(t.PerMinute, "request a minute", "requests a minute"))
	}
	if t.PerSecond > 0 {
		parts = append(parts, Thousands(t.PerSecond)+" in a second")
	}
	if t.Concurrent > 0 {
		parts = append(parts, Thousands(t.Concurrent)+" at once")
	}
	if t.PerMonth > 0 {
		parts = append(parts, binarySize(t.PerMonth)+" a month")
	}
	return cmp.Or(strings.Join(parts, ", "), "no bounds")
}

func (t PolicyTier) words() []string { return []string{t.Name, t.Bounds()} }

// PolicyDefaults are what counts where nothing else is said; "" and 0 are nothing.
type PolicyDefaults struct {
	Role          string `json:"role"`
	Days          int64  `json:"expires_in_days"`
	Tier          string `json:"tier"`
	UserTier      string `json:"user_tier"`
	ClientTier    string `json:"client_tier"`
	AnonymousTier string `json:"anonymous_tier"`
}

// Facts are the defaults.
func (d PolicyDefaults) Facts() []Fact {
	days := "for ever"
	if d.Days > 0 {
		days = "for " + count(d.Days, "day", "days")
	}
	return []Fact{
		text("Role of a new key", cmp.Or(d.Role, "none")), text("A new key works", days),
		text("Tier of a key", d.Tier), text("Tier of a person", d.UserTier), text("Tier of an app", d.ClientTier), text("Tier of a stranger", d.AnonymousTier),
	}
}

// A PolicyProvider is where people sign in.
type PolicyProvider struct {
	Name   string `json:"name"`
	Label  string `json:"label"`
	Issuer string `json:"issuer"`
}

func (p PolicyProvider) words() []string { return []string{p.Name, p.Label, p.Issuer} }

// A PolicyIssuer is one whose tokens are taken.
type PolicyIssuer struct {
	Name       string `json:"name"`
	Issuer     string `json:"issuer"`
	Audience   string `json:"audience"`
	Role       string `json:"role"`
	ScopeClaim string `json:"scope_claim"`
}

func (i PolicyIssuer) words() []string {
	return []string{i.Name, i.Issuer, i.Audience, i.Role, i.ScopeClaim}
}

// A PolicyOAuth are the rules of the authorization server; times are in seconds.
type PolicyOAuth struct {
	Enabled         bool     `json:"enabled"`
	Issuer          string   `json:"issuer"` // "": there is no authorization server
	AccessLifetime  int64    `json:"access_token_lifetime"`
	RefreshLifetime int64    `json:"refresh_token_lifetime"`
	GrantLifetime   int64    `json:"grant_lifetime"`
	KeyLifetime     int64    `json:"signing_key_lifetime"`
	Resources       []string `json:"resources"`
	Registration    struct {
		Enabled   bool     `json:"enabled"`
		Scopes    []string `json:"scopes"`
		PerIPHour int64    `json:"per_ip_per_hour"`
		Most      int64    `json:"most"`
	} `json:"registration"`
}

// Facts are the rules.
func (o PolicyOAuth) Facts() []Fact {
	facts := []Fact{
		code("Issuer", o.Issuer), text("Access tokens work", "for "+lasting(o.AccessLifetime)), text("Refresh tokens work", lasting(o.RefreshLifetime)+" after they were used last"),
		text("A consent counts", "for "+lasting(o.GrantLifetime)), text("Signing keys change", "every "+lasting(o.KeyLifetime)),
		tags("Other audiences", o.Resources, "none"),
	}
	if r := o.Registration; r.Enabled {
		return append(facts, tags("Apps register themselves", r.Scopes, "for no scopes"),
			text("At most", count(r.Most, "such app", "such apps")+", "+Thousands(r.PerIPHour)+" an hour from one address"))
	}
	return append(facts, text("Apps register themselves", "no"))
}

// PolicyWebhooks say where webhooks may lead beside public https addresses.
type PolicyWebhooks struct {
	AllowNetworks []string `json:"allow_networks"`
	AllowHTTP     bool     `json:"allow_http"`
}

// Facts are the rules.
func (w PolicyWebhooks) Facts() []Fact {
	http := "no"
	if w.AllowHTTP {
		http = "yes"
	}
	return []Fact{tags("Private networks", w.AllowNetworks, "none: they lead to public addresses alone"), text("Plain http", http)}
}
