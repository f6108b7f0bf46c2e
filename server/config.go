package server

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"wavegate/keychain"
	"wavegate/server/policy"
	"wavegate/server/store"
	"wavegate/tlsconf"
)

// Config is everything that a Server needs to know. Package main fills it from
// flags, environment and file; New copies and validates it.
type Config struct {
	Version string // shown by /_health/live and in the log's first line

	Listen          string // TCP address, "unix:/path", or "" for the sockets that systemd passed on
	RedirectListen  string // plain HTTP address that redirects to https; "" for none
	MetricsListen   string // address of the Prometheus listener; "" for none
	BaseURL         string // path under which this server's own endpoints live: "/" or "/gate/"
	PublicURL       string // absolute URL that browsers use; "" derives it from each request
	DataDir         string // where secrets and certificates are kept; made when needed
	SecretFile      string // master secret; "" is "secret" in DataDir
	TrustedProxies  []netip.Prefix
	RequireHTTPS    bool
	AllowedOrigins  []string      // Origins that may open WebSockets beside the request's own host; "*" is any
	ForwardHeaders  []string      // client headers passed to apps; "*" is all; empty is none but the essential ones
	MaxRequestSize  int64         // bytes of a request body; 0 is no limit
	HeadersFile     string        // extra headers of every answer, MIME format; "" for none
	KeepAppLive     bool          // keep a registered app's route when the app cannot be reached
	ShutdownTimeout time.Duration // how long a stop waits for requests under way; 0 is 25 s

	PolicyFile  string   // YAML; "" for none
	Upstreams   []string // --upstream values, "[HOST][/PATH=]URL"
	WebDirGives bool     // WebDir gives way where a route of its own covers the base URL
	WebDir      string   // served at the base URL to whoever is authenticated; "" for none
	PublicDirs  []string // "path@dir", served to everybody
	PrivateDirs []string // "path@dir", served to whoever is authenticated

	Keychain    keychain.Config
	Users       keychain.Config // local users; a Path that is not there is none unless Required
	KeyBrand    string          // how API keys begin; "" is "wave"
	KeyChecksum bool            // new API keys end in a checksum
	Admins      []string        // who may see and end everybody's sessions: e-mail, subject or access-key ID
	Store       string          // where sessions are kept: "" is SQLite in DataDir; see store.Config
	SignIn      SignIn
	TLS         tlsconf.Config // zero value: plain HTTP

	LogFormat string    // "json" (default) or "text"
	LogLevel  string    // "debug", "info" (default), "warn", "error"
	Demo      bool      // guard the built-in sample app; Listen must be a loopback address
	Announce  io.Writer // where the demo says where to click; nil says nothing
}

// SignIn are the settings of sign-in in the browser. The flags name one
// provider; the policy may name more.
type SignIn struct {
	Issuer, ClientID, ClientSecret string // of the flags' provider; all "" for none
	RedirectURL                    string // absolute, ends in "_auth/callback"
	EndSessionURL                  string // "" is what the provider announces
	PostLogoutRedirectURL          string // where a browser goes after signing out; "" is our own page
	Scopes                         []string
	AuthURLParams                  []string // "key:value"
	UsernameClaim, GroupsClaim     string   // "" are the usual ones, see oidc.Config
	EmailDomains                   []string // whose verified addresses may sign in; empty is everybody
	SkipLogin                      bool     // no page of ours where there is one provider
	NoTLSVerify                    bool     // of the provider's certificate

	Lifetime time.Duration // of a session, at most; 0 is 720 h
	Idle     time.Duration // of a session without a request; 0 is 30 min

	// FreshLogin is how long ago a person may have signed in who does something
	// dangerous in the browser; 0 is any time ago.
	FreshLogin time.Duration
}

// A SettingsError says what is wrong with what the operator wrote, be it in a
// setting or in the policy file. Every other error of New is about the machine:
// a file that cannot be read, a folder that cannot be written.
type SettingsError struct{ error }

// Unwrap returns the problems.
func (e SettingsError) Unwrap() error { return e.error }

// Validate reports every setting that cannot work, joined. It opens nothing.
func (c Config) Validate() error {
	c = c.withDefaults()
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	addresses := map[string]string{}
	for _, a := range []struct{ flag, addr string }{
		{"-listen", c.Listen}, {"--http-redirect-listen", c.RedirectListen}, {"--metrics-listen", c.MetricsListen},
	} {
		if err := validateAddress(a.addr); err != nil {
			bad("%s %q: %w", a.flag, a.addr, err)
		}
		if other := addresses[a.addr]; other != "" && !strings.HasSuffix(a.addr, ":0") {
			bad("%s and %s are both %s: each needs an address of its own", other, a.flag, a.addr)
		}
		if a.addr != "" {
			addresses[a.addr] = a.flag
		}
	}
	if b := c.BaseURL; b != "" && (!strings.HasPrefix(b, "/") || !strings.HasSuffix(b, "/") || strings.ContainsAny(b, "?#%\\;") || path.Clean(b)+"/" != b && b != "/") {
		bad("-base-url %q: write it as a path that begins and ends with a slash, such as /gate/", b)
	}
	if err := validatePublicURL(c.PublicURL); err != nil {
		bad("--public-url %q: %w", c.PublicURL, err)
	}
	if c.RequireHTTPS && !c.TLS.Enabled() && len(c.TrustedProxies) == 0 {
		bad("--require-https would refuse every request: serve TLS (--tls-cert-file, --tls-self-signed or --tls-acme-domains), or name the proxy that does with --trusted-proxies")
	}
	if c.RedirectListen != "" && !c.TLS.Enabled() {
		bad("--http-redirect-listen redirects to https, which this server does not serve: give --tls-cert-file, --tls-self-signed or --tls-acme-domains")
	}
	if c.MaxRequestSize < 0 {
		bad("-max-request-size must not be negative")
	}
	if c.Demo && !isLoopbackAddress(c.Listen) {
		bad("--demo listens on a loopback address only: leave -listen out, or give 127.0.0.1:PORT")
	}
	if c.LogFormat != "" && c.LogFormat != "json" && c.LogFormat != "text" {
		bad("--log-format %q: choose json or text", c.LogFormat)
	}
	if err := new(slog.Level).UnmarshalText([]byte(cmp.Or(c.LogLevel, "info"))); err != nil {
		bad("--log-level %q: choose debug, info, warn or error", c.LogLevel)
	}
	return errors.Join(append(problems, c.Keychain.Validate(), c.Users.Validate(), c.TLS.Validate(),
		store.Config{URL: c.Store, Dir: c.DataDir}.Validate(), validateAdmins(c.Admins), c.SignIn.validate())...)
}

func validateAdmins(list []string) error {
	_, err := policy.NewAdmins(list)
	return prefixed("--admins", err)
}

// prefixed puts the flag before every problem that err joins.
func prefixed(flag string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if err != nil {
			err = fmt.Errorf("%s: %w", flag, err)
		}
		return err
	}
	var problems []error
	for _, e := range joined.Unwrap() {
		problems = append(problems, fmt.Errorf("%s: %w", flag, e))
	}
	return errors.Join(problems...)
}

// validate reports what is missing or wrong of a provider that was begun, and
// times that would end every session at once.
func (c SignIn) validate() error {
	var problems, missing []error
	given := false
	for _, f := range []struct{ flag, value string }{
		{"-oidc-provider-url", c.Issuer},
		{"-oidc-client-id", c.ClientID},
		{"-oidc-client-secret", c.ClientSecret},
		{"-oidc-redirect-url", c.RedirectURL},
	} {
		given = given || f.value != ""
		if f.value == "" {
			missing = append(missing, fmt.Errorf("sign-in is configured by half: %s is missing", f.flag))
		}
	}
	if given {
		problems = append(append(problems, missing...), c.validateProvider())
	}
	if c.Lifetime < 0 || c.Idle < 0 || c.FreshLogin < 0 {
		problems = append(problems, errors.New("-session-expiry, -session-inactivity-timeout and --fresh-login must not be negative"))
	}
	return errors.Join(problems...)
}

// validateProvider reports what is wrong with what is there of a provider.
func (c SignIn) validateProvider() error {
	_, problems := c.emailDomains()
	c.EmailDomains = nil
	c.Issuer, c.ClientID, c.ClientSecret = cmp.Or(c.Issuer, "https://missing.invalid"), cmp.Or(c.ClientID, "-"), cmp.Or(c.ClientSecret, "-")
	spec, _, err := c.provider()
	if err == nil {
		err = clientConfig(spec).Validate()
	}
	return errors.Join(problems, prefixed(spec.Origin, err))
}

// validateAddress accepts "", "host:port", ":port" and "unix:/path".
func validateAddress(addr string) error {
	if addr == "" {
		return nil
	}
	if p, ok := strings.CutPrefix(addr, "unix:"); ok {
		if p == "" {
			return errors.New("name the socket's path, as in unix:/run/wavegate.sock")
		}
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("write it as host:port or :port, such as 127.0.0.1:10101")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("the port must be a number from 0 to 65535, not %q", port)
	}
	return nil
}

func validatePublicURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("write it as https://host or https://host/path, without user, query and fragment")
	}
	return nil
}

func isLoopbackAddress(addr string) bool {
	if strings.HasPrefix(addr, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
