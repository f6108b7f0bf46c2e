package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// signInOptions are the options of sign-in with a browser.
func signInOptions() table {
	return table{
		{
			name: "users-file", kind: file, arg: "FILE", def: ".wave-users", group: signIn, aka: "users htpasswd password-file",
			usage: "file of the local users, who sign in with a password",
			more:  "One NAME:bcrypt-hash a line, like the keychain. A file that is named must exist and hold a user. Changes count within two seconds.",
			set:   toText(func(s *settings) *string { return &s.server.Users.Path }),
		},
		{
			name: "admins", kind: list, arg: "WHO,...", group: signIn, aka: "admin administrators",
			usage: "who may see and end the sessions of others",
			more:  "E-mail addresses, subjects or access-key IDs.",
			set:   toAdmins,
		},
		{
			name: "oidc-provider-url", kind: single, arg: "URL", group: signIn, waved: true, emptyIsNone: true,
			usage: "issuer of the OpenID Connect provider",
			more:  "With client ID, client secret and redirect URL: all four, or none.",
			set:   toURL(func(s *settings) *string { return &s.server.SignIn.Issuer }),
		},
		{
			name: "oidc-redirect-url", kind: single, arg: "URL", group: signIn, waved: true, emptyIsNone: true,
			usage: "this server's callback address, as registered there",
			more:  "It ends in _auth/callback below the base URL.",
			set:   toURL(func(s *settings) *string { return &s.server.SignIn.RedirectURL }),
		},
		{
			name: "oidc-client-id", kind: single, arg: "ID", group: signIn, waved: true, emptyIsNone: true,
			usage: "client ID at the provider",
			set:   toText(func(s *settings) *string { return &s.server.SignIn.ClientID }),
		},
		{
			name: "oidc-client-secret", kind: single, arg: "SECRET", group: signIn, waved: true, emptyIsNone: true, secret: true, hides: behindSecret,
			usage: "client secret at the provider",
			more:  "Better set in the environment or the file.",
			set:   toText(func(s *settings) *string { return &s.server.SignIn.ClientSecret }),
		},
		{
			name: "oidc-end-session-url", kind: single, arg: "URL", group: signIn, waved: true, emptyIsNone: true,
			usage: "the provider's logout address",
			more:  "Without it the one that the provider announces is taken.",
			set:   toURL(func(s *settings) *string { return &s.server.SignIn.EndSessionURL }),
		},
		{
			name: "oidc-post-logout-redirect-url", kind: single, arg: "URL", group: signIn, waved: true, emptyIsNone: true,
			usage: "where browsers go after logout",
			more:  "A URL that is registered at the provider, or a path here.",
			set:   checked(checkTarget, func(s *settings) *string { return &s.server.SignIn.PostLogoutRedirectURL }),
		},
		{
			name: "oidc-scopes", kind: list, arg: "SCOPE,...", def: "openid,profile", group: signIn, waved: true, emptyIsNone: true,
			usage: "scopes asked for",
			set:   toList(func(s *settings) *[]string { return &s.server.SignIn.Scopes }),
		},
		{
			name: "oidc-auth-url-params", kind: list, arg: "KEY:VALUE,...", group: signIn, waved: true, emptyIsNone: true,
			usage: "further parameters of the authorization request",
			set:   toPairs(func(s *settings) *[]string { return &s.server.SignIn.AuthURLParams }),
		},
		{
			name: "oidc-username-claim", kind: single, arg: "CLAIM", group: signIn,
			usage: "claim that holds the user name",
			more:  "By default preferred_username, then email, name and sub.",
			set:   toText(func(s *settings) *string { return &s.server.SignIn.UsernameClaim }),
		},
		{
			name: "oidc-groups-claim", kind: single, arg: "CLAIM", group: signIn,
			usage: "claim that holds the groups",
			more:  "By default groups; dots lead into objects, as in realm_access.roles.",
			set:   toText(func(s *settings) *string { return &s.server.SignIn.GroupsClaim }),
		},
		{
			name: "oidc-email-domains", kind: list, arg: "DOMAIN,...", group: signIn, aka: "email-domains email-domain",
			usage: "let in only verified e-mail addresses of these domains",
			more:  "Without it, whoever the provider lets in.",
			set:   toDomains,
		},
		{
			name: "oidc-skip-login", kind: toggle, group: signIn, waved: true,
			usage: "go to the provider without a page in between",
			set:   toBool(func(s *settings) *bool { return &s.server.SignIn.SkipLogin }),
		},
		{
			name: "session-expiry", kind: single, arg: "DURATION", def: "720h", group: signIn, waved: true,
			usage: "how long a session lasts at most, such as 12h",
			set:   toDuration(func(s *settings) *time.Duration { return &s.server.SignIn.Lifetime }),
		},
		{
			name: "session-inactivity-timeout", kind: single, arg: "DURATION", def: "30m", group: signIn, waved: true,
			usage: "how long a session lasts without a request",
			set:   toDuration(func(s *settings) *time.Duration { return &s.server.SignIn.Idle }),
		},
		{
			name: "fresh-login", kind: single, arg: "DURATION", def: "15m", group: signIn, aka: "sudo-timeout reauth",
			usage: "sign in again for dangerous acts if longer ago than this",
			more:  "Making and removing access keys, other roles for people and the like. 0 never asks.",
			set:   toSpan(func(s *settings) *time.Duration { return &s.server.SignIn.FreshLogin }),
		},
		{
			name: "no-tls-verify", kind: toggle, group: signIn, waved: true, aka: "insecure insecure-skip-verify",
			usage: "do not verify the provider's certificate (never in production)",
			set:   toBool(func(s *settings) *bool { return &s.server.SignIn.NoTLSVerify }),
		},
	}
}

// callback is where the provider sends browsers back to, below the base URL.
const callback = "_auth/callback"

// checkSignIn refuses sign-in that is half configured or cannot work, and
// remarks on what is risky.
func (r *resolution) checkSignIn(s *settings) {
	r.checkProvider()
	r.checkCallback(s)
	r.checkTimes(s)
	c := &s.server.SignIn
	if c.Issuer == "" || c.RedirectURL == "" || c.ClientID == "" || c.ClientSecret == "" {
		c.Issuer, c.RedirectURL, c.ClientID, c.ClientSecret = "", "", "", "" // told above: nobody else shall complain
	}
	if len(c.EmailDomains) > 0 && !slices.Contains(c.Scopes, "email") {
		r.warn(s, "%s needs the address of whoever signs in, which providers tell with the scope email: add it, as in -oidc-scopes openid,profile,email", r.get("oidc-email-domains").where)
	}
}

// checkProvider refuses half a provider.
func (r *resolution) checkProvider() {
	var missing []string
	for _, name := range []string{"oidc-provider-url", "oidc-redirect-url", "oidc-client-id", "oidc-client-secret"} {
		if !r.given(name) {
			missing = append(missing, "--"+name)
		}
	}
	asked := slices.IndexFunc(r.values, func(v *value) bool {
		if v.option.name == "oidc-skip-login" && r.given("policy") {
			return false // the provider may be one of the policy's
		}
		return strings.HasPrefix(v.option.name, "oidc-") && v.given() && !v.saysDefault()
	})
	if asked >= 0 && len(missing) > 0 {
		r.problem("%s: sign-in is configured by half: %s missing", r.values[asked].where, isOrAre(missing))
	}
}

// checkCallback refuses a redirect URL that leads elsewhere than to the
// callback.
func (r *resolution) checkCallback(s *settings) {
	c, where := s.server, r.get("oidc-redirect-url").where
	u, err := url.Parse(c.SignIn.RedirectURL)
	if c.SignIn.RedirectURL == "" || err != nil {
		return // not given, or refused before
	}
	if !strings.HasSuffix(u.Path, c.BaseURL+callback) || u.RawQuery != "" {
		right := url.URL{Scheme: u.Scheme, Host: u.Host, Path: c.BaseURL + callback}
		r.problem("%s: %q does not lead to the callback of this server: write %s, and register the same at the provider", where, c.SignIn.RedirectURL, &right)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		r.warn(s, "%s is plain http: whoever is on the way can take over sessions, and their cookies go without Secure; use https", where)
	}
}

// checkTimes refuses an idle time that could never end a session.
func (r *resolution) checkTimes(s *settings) {
	if c := s.server.SignIn; c.Idle > c.Lifetime {
		idle, lifetime := r.get("session-inactivity-timeout"), r.get("session-expiry")
		r.problem("%s is %s, longer than a session lasts at all (--session-expiry %s): make it shorter, or that longer", idle.where, last(idle.texts), last(lifetime.texts))
	}
}

func (r *resolution) warn(s *settings, format string, args ...any) {
	s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// saysDefault reports whether the value is the one that counts where nobody
// says anything, so that spelling it out asks for nothing.
func (v *value) saysDefault() bool {
	if v.option.kind == toggle {
		return !isOn(last(v.texts))
	}
	return slices.Equal(commas(v.texts), commas([]string{v.option.def}))
}

func isOrAre(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}
