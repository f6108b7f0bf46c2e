package policy

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Route says which requests go where, who may send them, and how they are
// passed on. Once a Policy holds it, it must not be changed.
type Route struct {
	Name   string   // Host+Path, for logs, metrics and the assertion's audience
	Host   string   // lower case, no port; "*.example.com" is any one label; "" is any host
	Path   string   // prefix at a segment boundary, decoded, without trailing slash; "/" is all
	Target *url.URL // scheme http, https, h2c, file (Path is the folder) or static (see StaticCode)
	Origin string   // where it was written: "policy.yaml:4" or "--upstream /x=…"

	Access        Access
	Require       Require
	AllowUnlisted bool     // requests that no scope covers pass with any credential
	AnonymousTier string   // of each address on this public route; "" is the default
	Methods       []string // upper case, HEAD beside GET; empty is every method

	Identity    Families // identity headers for the upstream; 0 is none
	Tokens      bool     // pass Wave-Access-Token and Wave-Refresh-Token upstream
	StripPrefix bool     // take Path off before the request is passed on
	PassHost    bool     // the client's Host goes upstream, not the target's

	Timeout         time.Duration // until the upstream's response headers; 0 is none
	IdleTimeout     time.Duration // between bytes of a stream; 0 is none
	MaxRequestSize  int64         // bytes of a request body; 0 is no limit, ServerDefault the server's
	AllowInPath     PathFeature   // what this route's paths may hold beside plain segments
	ResponseHeaders ResponseHeaders
	CORS            *CORS       // nil leaves CORS to the upstream
	TLS             UpstreamTLS // for https targets

	App      bool   // an app that announced itself has it; its name is of the app's choosing
	AppKey   string // ID of the access key that announced it; "" for configured routes
	GivesWay bool   // apps may announce themselves at it and below it
}

// ServerDefault as Route.MaxRequestSize stands for the server's own limit.
const ServerDefault int64 = -1

// DefaultTimeout is how long a route waits for the upstream's response headers
// where nothing else is said.
const DefaultTimeout = 60 * time.Second

// newRoute returns a route to target with every default filled in.
func newRoute(host, path string, target *url.URL) Route {
	return Route{
		Name: host + path, Host: host, Path: path, Target: target,
		Identity:       Wave,
		StripPrefix:    target != nil && target.Scheme == "file",
		PassHost:       true,
		Timeout:        DefaultTimeout,
		MaxRequestSize: ServerDefault,
	}
}

// StaticCode returns the status that a static:// route answers with, or 0 for
// every other kind.
func (r *Route) StaticCode() int {
	if r.Target == nil || r.Target.Scheme != "static" {
		return 0
	}
	code, _ := strconv.Atoi(r.Target.Host)
	return code
}

// allowsMethod reports whether the route takes the method; HEAD comes with GET.
func (r *Route) allowsMethod(method string) bool {
	return len(r.Methods) == 0 || slices.Contains(r.Methods, method) ||
		method == "HEAD" && slices.Contains(r.Methods, "GET")
}

// Access says who may use a route at all. The zero value is authenticated.
type Access uint8

// The kinds of access.
const (
	Authenticated Access = iota // whoever has any valid credential
	Public                      // everybody; nothing is checked but the method
	SignedIn                    // browser sessions only
	Keys                        // access keys and API keys only
)

// String returns the word that the policy file uses.
func (a Access) String() string {
	switch a {
	case Authenticated:
		return "authenticated"
	case Public:
		return "public"
	case SignedIn:
		return "signed-in"
	case Keys:
		return "keys"
	}
	return "access(" + strconv.Itoa(int(a)) + ")"
}

// Require lists what a caller must have beside access. Each empty list asks
// for nothing.
type Require struct {
	Scopes []string // all of them
	Roles  []string // one of them
	Groups []string // one of them
}

// Empty reports whether nothing is required.
func (r Require) Empty() bool {
	return len(r.Scopes) == 0 && len(r.Roles) == 0 && len(r.Groups) == 0
}

// Families is a set of identity-header families.
type Families uint8

// The families of identity headers.
const (
	Wave      Families = 1 << iota // Wave-Subject-ID, Wave-Email, …
	Remote                         // Remote-User, Remote-Email, …
	Forwarded                      // X-Forwarded-User, X-Auth-Request-User, …
)

// String returns the families as the policy file lists them: "wave,remote".
func (f Families) String() string {
	return bitNames(f, []bit[Families]{{Wave, "wave"}, {Remote, "remote"}, {Forwarded, "forwarded"}})
}

// PathFeature is a set of things that are refused in a request's path unless
// the route allows them.
type PathFeature uint16

// What a route may allow in a path. Dot segments, NUL, control characters and
// bad escapes have no name here: no route can allow them.
const (
	EncodedSlash     PathFeature = 1 << iota // "%2f", which stays encoded and separates nothing
	EncodedBackslash                         // "%5c", and a bare backslash
	DoubleSlash                              // "//"
	EncodedPercent                           // "%25" before hex that decodes to . / \ % or NUL
)

// String returns the features as the policy file lists them: "%2f,//".
func (f PathFeature) String() string { return bitNames(f, pathFeatures()) }

// pathFeatures pairs each feature with its spelling in the policy file.
func pathFeatures() []bit[PathFeature] {
	return []bit[PathFeature]{
		{EncodedSlash, "%2f"}, {EncodedBackslash, "%5c"}, {DoubleSlash, "//"}, {EncodedPercent, "%25"},
	}
}

// ResponseHeaders changes the headers of an upstream's answer.
type ResponseHeaders struct {
	Remove []string      // canonical names
	Set    []HeaderField // after Remove; in the file's order
}

// A HeaderField is one header line. The name is in canonical form.
type HeaderField struct{ Name, Value string }

// CORS says which origins' scripts may call a route.
type CORS struct {
	Origins     []string      // "https://a.example", lower case, default port left out; or just "*"
	Methods     []string      // for preflights; GET, HEAD, POST where the file says nothing
	Headers     []string      // request headers that scripts may set, canonical; or just "*"
	Credentials bool          // never together with "*"
	MaxAge      time.Duration // how long browsers may remember a preflight; 0 leaves it to them
}

// UpstreamTLS says how to speak TLS to an https target. The zero value checks
// the upstream's certificate against the system's roots. It is comparable, so
// that equal settings can share a transport.
type UpstreamTLS struct {
	CAFile             string // PEM roots instead of the system's
	CertFile, KeyFile  string // client certificate; both or neither
	ServerName         string // name to ask for and to check; "" is the target's host
	InsecureSkipVerify bool   // accept any certificate
}

// bit is one member of a bitset and its name.
type bit[T ~uint8 | ~uint16] struct {
	value T
	name  string
}

// bitNames returns the names of the members of set, joined by commas.
func bitNames[T ~uint8 | ~uint16](set T, names []bit[T]) string {
	var out []string
	for _, b := range names {
		if set&b.value != 0 {
			out = append(out, b.name)
		}
	}
	return strings.Join(out, ",")
}
