package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"wavegate/server/policy"
)

// pathSeparator stands between the folders of one text, as in $PATH.
const pathSeparator = os.PathListSeparator

// parseDuration reads a span of time, more than none.
func parseDuration(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	switch {
	case err == nil && d > 0:
		return d, nil
	case err == nil:
		return 0, fmt.Errorf("%q is no span of time: it must be above zero", v)
	}
	if _, numErr := strconv.ParseFloat(v, 64); numErr == nil {
		return 0, fmt.Errorf("%q lacks a unit: write %ss for seconds or %sm for minutes", v, v, v)
	}
	if days, ok := strings.CutSuffix(v, "d"); ok {
		if n, numErr := strconv.Atoi(days); numErr == nil && n > 0 && n < 1e5 {
			return 0, fmt.Errorf("%q: days are no unit here: write %dh", v, n*24)
		}
	}
	return 0, fmt.Errorf("%q is not a duration: write for example 90s, 30m or 720h", v)
}

// parsePrefix reads a network, or an address as the network of itself.
func parsePrefix(v string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(v); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(v)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is neither a network nor an address: write for example 10.0.0.0/8 or 192.168.1.7", v)
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q: leave ::ffff: out and write the IPv4 network itself", v)
	case p.Masked() != p:
		return netip.Prefix{}, fmt.Errorf("%q names an address inside the network: write %s for the network or %s for the address", v, p.Masked(), p.Addr())
	}
	return p, nil
}

// checkAddress knows what people write for an address to listen on. Whether it
// is one is for the server's own check to say.
func checkAddress(v string) error {
	if strings.Contains(v, "://") {
		return fmt.Errorf("%q is a URL: write HOST:PORT or :PORT", redact(v))
	}
	if _, err := strconv.ParseUint(v, 10, 16); err == nil {
		return fmt.Errorf("%q lacks a colon: write :%s", v, v)
	}
	return nil
}

// checkURL looks at an absolute http or https URL.
func checkURL(v string) error {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is not a URL: write for example https://gate.example.com", redact(v))
	case u.User != nil:
		return fmt.Errorf("%q holds a user name or password: leave them out", redact(v))
	case u.Fragment != "":
		return fmt.Errorf("%q holds a fragment (#…): leave it out", v)
	}
	return nil
}

// checkTarget looks at an absolute URL or a path of this server.
func checkTarget(v string) error {
	if !strings.HasPrefix(v, "/") {
		if checkURL(v) != nil {
			return fmt.Errorf("%q is neither a URL nor a path: write for example https://www.example.com/ or /goodbye", redact(v))
		}
		return nil
	}
	odd := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '#' }
	if strings.HasPrefix(v, "//") || strings.ContainsFunc(v, odd) {
		return fmt.Errorf("%q is no plain path: write for example /goodbye", redact(v))
	}
	return nil
}

// checkOrigin looks at an entry of --allowed-origins.
func checkOrigin(v string) error {
	if v == "*" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is not an origin: write scheme and host alone, such as https://app.example.com", redact(v))
	}
	return nil
}

// checkPair looks at an entry of --oidc-auth-url-params.
func checkPair(v string) error {
	if key, value, ok := strings.Cut(v, ":"); !ok || key == "" || value == "" {
		return fmt.Errorf("%q is not KEY:VALUE", v)
	}
	return nil
}

// checkUpstream looks at a value of --upstream.
func checkUpstream(v string) error {
	_, err := policy.ParseUpstream(v)
	return withoutFlag(err, "--upstream ")
}

// checkMount looks at a value of --public-dir or --private-dir.
func checkMount(v string) error {
	_, err := policy.ParseDir(v, policy.Public, "/")
	return withoutFlag(err, "-public-dir ")
}

// withoutFlag takes the flag off the head of an error: the value may have come
// from elsewhere, and whoever reports it says from where.
func withoutFlag(err error, flag string) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), flag))
}

// parseBasePath reads --base-url: a path, to which slashes at both ends are
// added where they are missing.
func parseBasePath(v string) (string, error) {
	if strings.Contains(v, "://") {
		return "", fmt.Errorf("%q: write the path alone, such as /gate/ (the whole address goes to --public-url)", redact(v))
	}
	base := "/" + strings.Trim(v, "/")
	if path.Clean(base) != base || strings.ContainsFunc(base, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`%?#\"<>`, r)
	}) {
		return "", fmt.Errorf("%q is not a plain path: write for example /gate/", v)
	}
	if base == "/" {
		return base, nil
	}
	return base + "/", nil
}

// passwordParam is a password among the parameters of a URL.
var passwordParam = regexp.MustCompile(`(?i)((?:^|[?&\s])(?:ssl)?password\s*=\s*)('[^']*'|[^&\s]*)`)

// redact hides user and password of every URL in v, and passwords among its
// parameters.
func redact(v string) string {
	v = passwordParam.ReplaceAllString(v, "${1}"+masked)
	start := strings.Index(v, "://")
	end := strings.LastIndex(v, "@")
	if start < 0 || end < start {
		return v
	}
	return v[:start+3] + masked + v[end:]
}
