package portal

import (
	"net/url"
	"slices"
	"strings"
)

// An AppKind is a kind of app, and what an app of it is registered as.
type AppKind struct {
	Value, Name string
	Words       string // what it is, for somebody who has to choose
	Gets        string // what it comes to
	Type        string
	Grants      []string
}

// People reports whether people sign in to apps of the kind on a page.
func (k AppKind) People() bool { return slices.Contains(k.Grants, GrantCode) }

// AppKinds are the kinds of apps to choose from.
func AppKinds() []AppKind {
	return []AppKind{
		{
			"web", "A web app with a server", "People sign in to it in their browser, and its server asks for the tokens.",
			"Gets a client ID and a secret, which stays on the server.", "confidential",
			[]string{GrantCode, GrantRefresh},
		},
		{
			"page", "An app of one page, or on a phone or computer", "People sign in to it, and all of it runs on their machine, where nothing stays secret.",
			"Gets a client ID and no secret. PKCE proves instead that whoever asked is who gets the tokens.", "public",
			[]string{GrantCode, GrantRefresh},
		},
		{
			"program", "A program without people", "A service or a job that speaks for itself.",
			"Gets a client ID and a secret, and with them tokens of its own.", "confidential",
			[]string{GrantClientCredentials},
		},
		{
			"device", "A device without a browser", "A television or a command line: it shows a code that people type in elsewhere.",
			"Gets a client ID and no secret.", "public",
			[]string{GrantDevice, GrantRefresh},
		},
	}
}

// AppKindOf returns the kind of that value.
func AppKindOf(value string) (AppKind, bool) {
	for _, k := range AppKinds() {
		if k.Value == value {
			return k, true
		}
	}
	return AppKind{}, false
}

// An AppKindsPage asks what kind of app somebody wants to register.
type AppKindsPage struct{}

func (AppKindsPage) page() string { return "app-kinds" }

// Kinds are what can be chosen from.
func (AppKindsPage) Kinds() []AppKind { return AppKinds() }

// An AppFormPage registers an app, or changes one.
type AppFormPage struct {
	Form    Form
	Catalog Catalog
	Kind    AppKind // of a new one
	App     *App    // that is changed; nil for a new one
	Now     *App    // as it is by now, where somebody else changed it meanwhile
	Admin   bool    // may set what administrators alone may set
}

func (AppFormPage) page() string { return "app-form" }

func (v AppFormPage) form() Form { return v.Form }

// fields are the fields of the page by the names of the API.
func (AppFormPage) fields() []string {
	return []string{
		"name", "type", "redirect_uris", "post_logout_redirect_uris", "scopes", "grant_types", "pkce", "client_uri",
		"jwks", "id_token_signed_response_alg", "first_party", "introspection", "rate_limit_tier",
	}
}

// Stray are the complaints about what is no field of the page.
func (v AppFormPage) Stray() []string { return v.Form.Stray(v.fields()...) }

// People reports whether the page asks first where people are sent to.
func (v AppFormPage) People() bool {
	if v.App != nil {
		return v.App.May(GrantCode) || len(v.App.RedirectURIs) > 0
	}
	return v.Kind.People()
}

// NameHint says who reads the name.
func (v AppFormPage) NameHint() string {
	if v.App == nil && v.Kind.Value == "program" {
		return "What the program is, such as “nightly export”."
	}
	return "People read it when they are asked whether the app may act for them."
}

// ScopesHint says what ticking a scope means.
func (v AppFormPage) ScopesHint() string {
	if v.People() {
		return "What the app may ask for. Who people are (openid, profile, email) it may always ask."
	}
	return "What the app may do. Give no more than it needs."
}

// Gone are the scopes that the app has and the policy does not know any more.
func (v AppFormPage) Gone() []string {
	if v.App == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(v.App.Scopes), func(name string) bool {
		return slices.ContainsFunc(v.Catalog.Scopes, func(s CatalogScope) bool { return s.Name == name })
	})
}

// RedirectHint says what may be an address that people are sent back to.
func (v AppFormPage) RedirectHint() string {
	hint := "Where people are sent back to with a code: exactly as the app writes it, one a line. https, or http on localhost for your own machine (any port)."
	if v.Form.Get("type") == "public" || v.App != nil && v.App.Type == "public" {
		hint += " An installed app may have a scheme of its own, such as com.example.app:/done."
	}
	return hint
}

// Types are the types to choose from.
func (v AppFormPage) Types() []Option {
	return []Option{
		{Value: "confidential", Name: "Confidential", Words: "keeps a secret where nobody else looks"},
		{Value: "public", Name: "Public", Words: "runs where others can look into it"},
	}
}

// PKCEOptions say whether the app has to use PKCE.
func (v AppFormPage) PKCEOptions() []Option {
	return []Option{
		{Value: "required", Name: "Required", Words: "what every library of today can do"},
		{Value: "optional", Name: "Optional", Words: "for old libraries of confidential apps"},
	}
}

// AlgOptions are how ID tokens can be signed.
func (v AppFormPage) AlgOptions() []Option {
	return []Option{named("RS256", "RS256: every library knows it"), named("ES256", "ES256: shorter")}
}

// GrantOptions are the ways in which the app can get tokens.
func (v AppFormPage) GrantOptions() []Option {
	options := []Option{
		{Value: GrantCode, Name: "authorization_code", Words: "People sign in on a page."},
		{Value: GrantRefresh, Name: "refresh_token", Words: "It gets new tokens while people are away."},
		{Value: GrantClientCredentials, Name: "client_credentials", Words: "It speaks for itself, without people. Confidential apps alone."},
		{Value: GrantDevice, Name: "device_code", Words: "People type a code that it shows."},
	}
	for i, o := range options {
		options[i].Chosen = v.Form.Has("grant_types", o.Value)
	}
	return options
}

// KeepTier is the value of a choice that leaves an app its tier.
const KeepTier = "="

// TierOptions are the tiers to choose from.
func (v AppFormPage) TierOptions() []Option {
	options := v.Catalog.TierOptions("As usual")
	if v.App == nil {
		return options
	}
	return slices.Insert(options, 0, Option{Value: KeepTier, Name: "As it is: " + plain(v.App.Tier)})
}

// MoreOpen reports whether something that is folded away is wrong.
func (v AppFormPage) MoreOpen() bool {
	folded := []string{"type", "grant_types", "pkce", "post_logout_redirect_uris", "client_uri", "jwks", "id_token_signed_response_alg", "first_party", "introspection", "rate_limit_tier"}
	if !v.People() {
		folded = append(folded, "redirect_uris")
	}
	return slices.ContainsFunc(folded, func(name string) bool { return v.Form.Errors[name] != "" })
}

// Button is what sends the form.
func (v AppFormPage) Button() string {
	if v.App != nil {
		return "Save"
	}
	return "Register the app"
}

// An AppMadePage shows a new app, or its new secret, once.
type AppMadePage struct {
	App     App
	Secret  *Secret // nil for an app without one
	Renewed bool    // the app was there before
	Attempt Attempt // what to try first
}

func (AppMadePage) page() string { return "app-made" }

// Before is the secret that still works beside the new one; nil for none.
func (v AppMadePage) Before() *AppSecret {
	if !v.Renewed {
		return nil
	}
	return v.App.FirstEnd()
}

// ID is the client ID as a fact that can be copied.
func (v AppMadePage) ID() []Fact {
	id := code("Client ID", v.App.ID)
	id.Copy = "the client ID"
	return []Fact{id, text("Type", v.App.TypeName())}
}

// An AppRotatePage gives an app another secret.
type AppRotatePage struct {
	Form Form
	App  App
}

func (AppRotatePage) page() string { return "app-rotate" }

func (v AppRotatePage) form() Form { return v.Form }

// Grace is how long the old secret works on.
func (v AppRotatePage) Grace() Grace {
	return Grace{v.Form, "The old secret works on", "Choose as long as you need to put the new one everywhere. A secret that was replaced before ends at once."}
}

// An Attempt is a way to see an app get tokens: the address that its user is sent to,
// and commands. What is "" or nil does not apply to the app.
type Attempt struct {
	URL      string // absolute, http or https
	Main     bool   // opening it is what the page is for
	Commands []Command
}

// Link is the address where a browser may be sent there, "" otherwise.
func (a Attempt) Link() string {
	if u, err := url.Parse(a.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return a.URL
}

// TooLong reports whether the address has more than an authorization server takes
// from a browser: such a request has to be pushed first (RFC 9126).
func (a Attempt) TooLong() bool {
	_, query, _ := strings.Cut(a.URL, "?")
	return len(query) > 2000
}

// An AppTryPage tries the sign-in of an app. Nothing of it is kept.
type AppTryPage struct {
	App     App
	Form    Form // of the choices
	Scopes  []string
	Prompts []string // that the server knows
	Attempt Attempt
}

func (AppTryPage) page() string { return "app-try" }

// Redirects are the addresses to choose from.
func (v AppTryPage) Redirects() []Option {
	var options []Option
	for _, uri := range v.App.RedirectURIs {
		options = append(options, named(uri, plain(uri)))
	}
	return options
}

// PromptOptions are what the server can be told to ask.
func (v AppTryPage) PromptOptions() []Option {
	words := map[string]string{
		"none": "ask nothing, or fail", "login": "sign in again", "consent": "ask for consent again", "select_account": "choose an account",
	}
	options := []Option{named("", "As usual")}
	for _, p := range v.Prompts {
		options = append(options, Option{Value: p, Name: p, Words: words[p]})
	}
	return options
}

// PKCEOptions are whether the attempt uses PKCE.
func (AppTryPage) PKCEOptions() []Option { return []Option{named("", "S256"), named("none", "None")} }
