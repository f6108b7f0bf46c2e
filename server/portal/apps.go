package portal

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The grant types of OAuth (RFC 6749, RFC 8628).
const (
	GrantCode              = "authorization_code"
	GrantRefresh           = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantDevice            = "urn:ietf:params:oauth:grant-type:device_code"
)

// An App is an OAuth client as the API shows it.
type App struct {
	ID             string          `json:"client_id"`
	Secret         string          `json:"client_secret"` // in the one answer that reveals it
	Name           string          `json:"name"`
	Type           string          `json:"type"` // confidential or public
	RedirectURIs   []string        `json:"redirect_uris"`
	PostLogoutURIs []string        `json:"post_logout_redirect_uris"`
	Scopes         []string        `json:"scopes"`
	GrantTypes     []string        `json:"grant_types"`
	PKCE           string          `json:"pkce"` // required or optional
	FirstParty     bool            `json:"first_party"`
	Introspection  bool            `json:"introspection"`
	Dynamic        bool            `json:"registered_itself"`
	AuthMethod     string          `json:"token_endpoint_auth_method"`
	JWKS           json.RawMessage `json:"jwks"` // "null" for none
	IDTokenAlg     string          `json:"id_token_signed_response_alg"`
	URI            string          `json:"client_uri"`
	Tier           string          `json:"rate_limit_tier"` // the one in force
	Secrets        []AppSecret     `json:"client_secrets"`
	Owner          string          `json:"owner"`
	Status         string          `json:"status"` // active or disabled
	CreatedAt      time.Time       `json:"created_at"`
	DisabledAt     time.Time       `json:"disabled_at"`
	Version        int64           `json:"version"`
}

// An AppSecret is a secret of an app: not itself, but what is known of it.
type AppSecret struct {
	ID        string    `json:"id"`
	Hint      string    `json:"ends_in"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"` // zero: it does not end
}

// May reports whether the app has a grant type.
func (a App) May(grant string) bool { return slices.Contains(a.GrantTypes, grant) }

// Active reports whether the app may do anything.
func (a App) Active() bool { return a.Status == "active" }

// HasSecret reports whether the app proves itself with a secret.
func (a App) HasSecret() bool { return a.AuthMethod == "client_secret_basic" }

// HasKeys reports whether the app proves itself with keys of its own.
func (a App) HasKeys() bool { return a.AuthMethod == "private_key_jwt" }

// PKCEOptional reports whether the app may do without PKCE.
func (a App) PKCEOptional() bool { return a.PKCE == "optional" }

// Pill is the class of the mark that shows the status.
func (a App) Pill() string {
	if a.Active() {
		return "good"
	}
	return "off"
}

// StatusName is the status as people say it.
func (a App) StatusName() string {
	if a.Active() {
		return "Active"
	}
	return "Disabled"
}

// TypeName is the type as people say it.
func (a App) TypeName() string {
	switch a.Type {
	case "confidential":
		return "Confidential"
	case "public":
		return "Public"
	}
	return a.Type
}

// TypeWords say what the type means.
func (a App) TypeWords() string {
	switch {
	case a.HasKeys():
		return "proves itself with a key of its own"
	case a.Type == "confidential":
		return "keeps a secret"
	}
	return "can keep no secret"
}

// where says where the app signs people in, as far as a list has room for it.
func (a App) where() string {
	var hosts []string
	for _, uri := range a.RedirectURIs {
		if h := redirectHost(uri); !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	switch n := len(hosts); n {
	case 0:
		return ""
	case 1:
		return shortenLeft(hosts[0], 60)
	default:
		return shortenLeft(hosts[0], 60) + " and " + count(int64(n-1), "more", "more")
	}
}

// redirectHost is where a redirect URI leads: a host, or the scheme of an app.
func redirectHost(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return uri
	case u.Host != "":
		return u.Host
	}
	return u.Scheme + ":"
}

// ShortID is the beginning of the client ID, for lists.
func (a App) ShortID() string { return shorten(a.ID, 20) }

// Ways are how the app signs people in, or that it does not, in words.
func (a App) Ways() []string {
	var ways []string
	if where := a.where(); where != "" {
		ways = append(ways, where)
	}
	if a.May(GrantDevice) {
		ways = append(ways, "by a code on a device")
	}
	if a.May(GrantClientCredentials) {
		ways = append(ways, "speaks for itself")
	}
	if len(a.GrantTypes) == 0 && a.Introspection {
		ways = append(ways, "asks about tokens")
	}
	return ways
}

// FirstEnd is the secret that ends before all others, nil where none ends.
func (a App) FirstEnd() *AppSecret {
	var first *AppSecret
	for i, s := range a.Secrets {
		if !s.ExpiresAt.IsZero() && (first == nil || s.ExpiresAt.Before(first.ExpiresAt)) {
			first = &a.Secrets[i]
		}
	}
	return first
}

// Lasting reports whether a secret works that does not end.
func (a App) Lasting() bool {
	return slices.ContainsFunc(a.Secrets, func(s AppSecret) bool { return s.ExpiresAt.IsZero() })
}

// An AppsPage lists OAuth clients.
type AppsPage struct {
	Apps   []App
	Search string
	Paging Paging
	Sparks map[string]Spark // requests of the last day by the app's ID
	Owners bool             // says whose each app is
	None   Empty            // where nothing was found
}

func (AppsPage) page() string { return "apps" }

// An AppPage shows one app.
type AppPage struct {
	App    App
	Form   Form // of the button that stops the app, or lets it go on
	Server OAuthServer
	Usage  Chart
}

func (AppPage) page() string { return "app" }

func (v AppPage) form() Form { return v.Form }

// Facts are what is said of an app.
func (v AppPage) Facts() []Fact {
	a := v.App
	id := code("Client ID", a.ID)
	id.Copy = "the client ID"
	kind := text("Type", a.TypeName())
	kind.Detail = a.TypeWords()
	facts := []Fact{id, kind, tags("Gets tokens by", grantNames(a.GrantTypes), "nothing")}
	if a.May(GrantCode) || len(a.RedirectURIs) > 0 {
		facts = append(facts, linesOf("Redirect URIs", a.RedirectURIs), text("PKCE", a.PKCE))
	}
	if len(a.PostLogoutURIs) > 0 {
		facts = append(facts, linesOf("After signing out", a.PostLogoutURIs))
	}
	facts = append(facts, tags("Scopes", a.Scopes, "none but those of OpenID Connect"))
	if a.URI != "" {
		facts = append(facts, text("Home page", a.URI))
	}
	facts = append(facts, v.special()...)
	if a.May(GrantCode) || a.May(GrantDevice) {
		facts = append(facts, text("ID token signature", a.IDTokenAlg))
	}
	facts = append(facts, text("Tier", a.Tier), at("Made", a.CreatedAt, ""))
	if !a.DisabledAt.IsZero() {
		facts = append(facts, at("Disabled", a.DisabledAt, ""))
	}
	return append(facts, text("Owner", a.Owner))
}

// special are the facts that hold for few apps.
func (v AppPage) special() []Fact {
	var facts []Fact
	if v.App.FirstParty {
		facts = append(facts, text("First party", "nobody is asked whether it may act for them"))
	}
	if v.App.Introspection {
		facts = append(facts, text("Introspection", "may ask about tokens of other apps"))
	}
	if v.App.Dynamic {
		facts = append(facts, text("Registered", "by itself"))
	}
	return facts
}

// linesOf makes a fact of texts for machines.
func linesOf(name string, list []string) Fact {
	if len(list) == 0 {
		return text(name, "none")
	}
	return Fact{Name: name, Lines: list}
}

// grantNames are grant types as people say them.
func grantNames(grants []string) []string {
	var names []string
	for _, g := range grants {
		if g == GrantDevice {
			g = "device_code"
		}
		names = append(names, strings.ReplaceAll(g, "_", " "))
	}
	return names
}

// An OAuthServer is what the authorization server says of itself (RFC 8414). The zero
// value is a server that gives no tokens.
type OAuthServer struct {
	Issuer     string   `json:"issuer"`
	Authorize  string   `json:"authorization_endpoint"`
	Token      string   `json:"token_endpoint"`
	UserInfo   string   `json:"userinfo_endpoint"`
	JWKS       string   `json:"jwks_uri"`
	Device     string   `json:"device_authorization_endpoint"`
	Introspect string   `json:"introspection_endpoint"`
	Logout     string   `json:"end_session_endpoint"`
	Prompts    []string `json:"prompt_values_supported"`
}

// Discovery is where a library finds all else; "" for no server.
func (s OAuthServer) Discovery() string {
	if s.Issuer == "" {
		return ""
	}
	return s.Issuer + "/.well-known/openid-configuration"
}

// Addresses are what whoever writes the app has to know.
func (v AppPage) Addresses() []Fact {
	s, a := v.Server, v.App
	var facts []Fact
	add := func(name, address string, needed bool) {
		if address != "" && needed {
			facts = append(facts, Fact{Name: name, Text: address, Code: true, Copy: "the address"})
		}
	}
	add("Issuer", s.Issuer, true)
	add("Discovery", s.Discovery(), true)
	add("Authorize", s.Authorize, a.May(GrantCode))
	add("Device", s.Device, a.May(GrantDevice))
	add("Token", s.Token, true)
	add("Userinfo", s.UserInfo, a.May(GrantCode) || a.May(GrantDevice))
	add("Signing keys", s.JWKS, true)
	add("Introspect", s.Introspect, a.Introspection)
	add("Sign out", s.Logout, a.May(GrantCode))
	return facts
}
