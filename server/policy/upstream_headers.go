package policy

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// readResponseHeaders reads which headers of an answer are taken off and set.
func (c *compiler) readResponseHeaders(n *yaml.Node) ResponseHeaders {
	o := c.object(n, "response_headers", "set", "remove")
	var out ResponseHeaders
	seen := map[string]bool{}
	name := func(at *yaml.Node, s string) (string, bool) {
		canonical := http.CanonicalHeaderKey(s)
		switch {
		case !isToken(s):
			c.fail(at, "response_headers: %q is no header name", s)
		case isFraming(canonical):
			c.fail(at, "response_headers: %s belongs to the connection and cannot be changed", canonical)
		case seen[canonical]:
			c.fail(at, "response_headers: %s is named twice", canonical)
		default:
			seen[canonical] = true
			return canonical, true
		}
		return "", false
	}
	if set := o.fields["set"]; set != nil {
		for _, p := range c.pairs(set, "set") {
			value, ok := c.text(p.value, "header "+p.name)
			if canonical, good := name(p.key, p.name); ok && good {
				out.Set = append(out.Set, HeaderField{canonical, value})
			}
		}
	}
	for _, w := range o.list("remove") {
		if canonical, ok := name(w.node, w.text); ok {
			out.Remove = append(out.Remove, canonical)
		}
	}
	return out
}

// isFraming reports whether a header says how the message itself is sent.
func isFraming(canonical string) bool {
	switch canonical {
	case "Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// readCORS reads which origins' scripts may call the route.
func (c *compiler) readCORS(n *yaml.Node) *CORS {
	o := c.object(n, "cors", "origins", "methods", "headers", "credentials", "max_age")
	cors := &CORS{Credentials: o.boolean("credentials", false), MaxAge: o.duration("max_age", 0)}
	for _, w := range o.list("origins") {
		origin, err := parseOrigin(w.text)
		if err != nil {
			c.fail(w.node, "cors: %v", err)
		}
		cors.Origins = append(cors.Origins, origin)
	}
	for _, w := range o.list("headers") {
		if !isToken(w.text) {
			c.fail(w.node, "cors: %q is no header name", w.text)
		}
		cors.Headers = append(cors.Headers, http.CanonicalHeaderKey(w.text))
	}
	if cors.Methods = c.methods(o, "methods"); cors.Methods == nil {
		cors.Methods = []string{"GET", "HEAD", "POST"}
	}
	c.checkCORS(o, cors)
	return cors
}

// checkCORS refuses settings that browsers ignore or that say two things.
func (c *compiler) checkCORS(o object, cors *CORS) {
	anyOrigin, anyHeader := slices.Contains(cors.Origins, "*"), slices.Contains(cors.Headers, "*")
	if len(cors.Origins) == 0 {
		c.fail(o.at("origins"), `cors needs origins, such as [https://app.example.com]`)
	}
	if anyOrigin && len(cors.Origins) > 1 {
		c.fail(o.at("origins"), `cors: "*" covers the other origins: list it alone or leave it out`)
	}
	if anyOrigin && cors.Credentials {
		c.fail(o.at("origins"), `cors: "*" cannot go with credentials: list the origins that may send them`)
	}
	if anyHeader && len(cors.Headers) > 1 {
		c.fail(o.at("headers"), `cors: "*" covers the other headers: list it alone or leave it out`)
	}
	if anyHeader && cors.Credentials {
		c.fail(o.at("headers"), `cors: browsers do not take "*" together with credentials: list the headers`)
	}
}

// checkCORSHeaders refuses CORS headers that are set both ways.
func (c *compiler) checkCORSHeaders(o object, route *Route) {
	for _, h := range route.ResponseHeaders.Set {
		if strings.HasPrefix(h.Name, "Access-Control-") {
			c.fail(o.fields["response_headers"], "response_headers: %s is set by cors already", h.Name)
		}
	}
}

// parseOrigin returns an origin as browsers write it: lower case, without the
// scheme's usual port.
func parseOrigin(s string) (string, error) {
	if s == "*" {
		return s, nil
	}
	u, err := url.Parse(strings.ToLower(s))
	if err != nil || u.Scheme == "" || u.Host == "" || u.Hostname() == "" || strings.Contains(u.Host, "*") {
		return "", fmt.Errorf(`origin %q: want scheme and host, such as https://app.example.com, or just "*"`, redact(s))
	}
	if u.Scheme+"://"+u.Host != strings.ToLower(s) {
		return "", fmt.Errorf("origin %q: leave out everything behind the host, the last slash too", redact(s))
	}
	host := u.Host
	switch u.Scheme + u.Port() {
	case "https443", "http80":
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return u.Scheme + "://" + host, nil
}

// readTLS reads how to speak TLS to the upstream.
func (c *compiler) readTLS(n *yaml.Node) UpstreamTLS {
	o := c.object(n, "tls", "ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify")
	t := UpstreamTLS{
		CAFile: o.text("ca_file"), CertFile: o.text("cert_file"), KeyFile: o.text("key_file"),
		InsecureSkipVerify: o.boolean("insecure_skip_verify", false),
	}
	if name := o.text("server_name"); name != "" {
		host, err := parseHost(name)
		if err != nil || strings.HasPrefix(host, "*") {
			c.fail(o.fields["server_name"], "server_name %q is not one host name", name)
		}
		t.ServerName = host
	}
	switch {
	case o.has("cert_file") && !o.has("key_file"):
		c.fail(o.fields["cert_file"], "tls: cert_file needs its key_file")
	case o.has("key_file") && !o.has("cert_file"):
		c.fail(o.fields["key_file"], "tls: key_file needs its cert_file")
	}
	if t.InsecureSkipVerify && (o.has("ca_file") || o.has("server_name")) {
		c.fail(o.fields["insecure_skip_verify"], "tls: insecure_skip_verify checks no certificate, so ca_file and server_name would do nothing: keep one or the other")
	}
	return t
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2: a method
// or a header name.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !isLower(r) && !isUpper(r) && !isDigit(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// checkMethod refuses what no client sends as a method.
func checkMethod(s string) error {
	usual := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}
	switch {
	case slices.Contains(usual, s):
		return nil
	case !isToken(s) || strings.Contains(s, "*"):
		return fmt.Errorf("%q is no method: name each one, such as GET", s)
	case strings.ToUpper(s) != s:
		return fmt.Errorf("%q: methods are upper case; write %s", s, strings.ToUpper(s))
	}
	for _, m := range usual {
		if Slips(s, m) == 1 {
			return fmt.Errorf("%q is unknown (did you mean %q?)", s, m)
		}
	}
	return nil
}
