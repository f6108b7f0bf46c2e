package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"wavegate/server/policy"
)

// A setter takes over the values of one option: the one that counts for a
// single value, all of them for the others. Its error says what is wrong with
// the value and what a right one looks like; it does not name the option.
type setter = func(*settings, []string) error

// last returns the value that counts where only one can.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

func toText(at func(*settings) *string) setter {
	return func(s *settings, values []string) error {
		*at(s) = last(values)
		return nil
	}
}

func toBool(at func(*settings) *bool) setter {
	return func(s *settings, values []string) error {
		on, err := parseBool(last(values))
		*at(s) = on
		return err
	}
}

// parseBool reads a switch as waved documents it: 1, t, true, 0, f, false in
// any case.
func parseBool(v string) (bool, error) {
	on, err := strconv.ParseBool(strings.ToLower(v))
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", v)
	}
	return on, nil
}

// checked is toText with a look at the value first; a bad one is not taken.
func checked(check func(string) error, at func(*settings) *string) setter {
	return func(s *settings, values []string) error {
		v := last(values)
		if v == "" {
			*at(s) = ""
			return nil
		}
		if err := check(v); err != nil {
			return err
		}
		*at(s) = v
		return nil
	}
}

func toAddress(at func(*settings) *string) setter { return checked(checkAddress, at) }

func toURL(at func(*settings) *string) setter { return checked(checkURL, at) }

func toBasePath(at func(*settings) *string) setter {
	return func(s *settings, values []string) error {
		base, err := parseBasePath(last(values))
		if err == nil {
			*at(s) = base
		}
		return err
	}
}

func toSize(at func(*settings) *int64) setter {
	return func(s *settings, values []string) error {
		n, err := policy.ParseSize(last(values))
		*at(s) = n
		return err
	}
}

func toDuration(at func(*settings) *time.Duration) setter {
	return func(s *settings, values []string) error {
		d, err := parseDuration(last(values))
		if err == nil {
			*at(s) = d
		}
		return err
	}
}

// toSpan is toDuration for what 0 turns off.
func toSpan(at func(*settings) *time.Duration) setter {
	above := toDuration(at)
	return func(s *settings, values []string) error {
		if d, err := time.ParseDuration(last(values)); err == nil && d == 0 {
			*at(s) = 0
			return nil
		}
		return above(s, values)
	}
}

// commas returns the entries of comma-separated values, blanks trimmed, empty
// ones dropped.
func commas(values []string) []string {
	var entries []string
	for _, v := range values {
		for e := range strings.SplitSeq(v, ",") {
			if e = strings.TrimSpace(e); e != "" {
				entries = append(entries, e)
			}
		}
	}
	return entries
}

func toList(at func(*settings) *[]string) setter {
	return func(s *settings, values []string) error {
		*at(s) = commas(values)
		return nil
	}
}

// every is toList with a look at each entry; all bad ones are named and none is
// kept, so that nobody else complains.
func every(check func(string) error, at func(*settings) *[]string) setter {
	return func(s *settings, values []string) error {
		list := commas(values)
		err := checkAll(list, check)
		*at(s) = slices.DeleteFunc(list, func(v string) bool { return check(v) != nil })
		return err
	}
}

// toDomains reads --oidc-email-domains. A list without an entry would let
// everybody in.
func toDomains(s *settings, values []string) error {
	var errs []error
	for _, v := range commas(values) {
		domain, err := policy.ParseEmailDomain(v)
		errs = append(errs, err)
		if err == nil {
			s.server.SignIn.EmailDomains = append(s.server.SignIn.EmailDomains, domain)
		}
	}
	if len(errs) == 0 {
		return errors.New("no domain is named: write for example example.com, or leave it out")
	}
	return errors.Join(errs...)
}

// toAdmins reads --admins. It keeps no bad list, so that nobody else complains.
func toAdmins(s *settings, values []string) error {
	list := commas(values)
	_, err := policy.NewAdmins(list)
	if err == nil {
		s.server.Admins = list
	}
	return err
}

func toOrigins(at func(*settings) *[]string) setter { return every(checkOrigin, at) }

func toPairs(at func(*settings) *[]string) setter { return every(checkPair, at) }

// toMany takes the values of a repeatable flag; all bad ones are named.
func toMany(check func(string) error, at func(*settings) *[]string) setter {
	return func(s *settings, values []string) error {
		values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
		*at(s) = values
		return checkAll(values, check)
	}
}

func checkAll(values []string, check func(string) error) error {
	var errs []error
	for _, v := range values {
		errs = append(errs, check(v))
	}
	return errors.Join(errs...)
}

// toPrefixes reads the networks of --trusted-proxies.
func toPrefixes(s *settings, values []string) error {
	var prefixes []netip.Prefix
	var errs []error
	for _, v := range commas(values) {
		p, err := parsePrefix(v)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		prefixes = append(prefixes, p)
	}
	s.server.TrustedProxies = prefixes
	return errors.Join(errs...)
}

// some is toList that must name something: a list without an entry would be taken
// for none at all. Such is what the error gives as an example.
func some(such string, at func(*settings) *[]string) setter {
	return func(s *settings, values []string) error {
		if *at(s) = commas(values); len(*at(s)) == 0 {
			return fmt.Errorf("%q names none: write for example %s, or leave it out", last(values), such)
		}
		return nil
	}
}

// toKeyLifetime reads --expires-in: whole days, or a duration.
func toKeyLifetime(s *settings, values []string) error {
	text := last(values)
	wrong := fmt.Errorf("%q is no span of time: write for example 90d, 12h or 30m", text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		const most = 100 * 366 // far beyond what a key may live, which the server says
		n, err := strconv.ParseUint(days, 10, 64)
		if err != nil || n == 0 {
			return wrong
		}
		s.order.ExpiresIn = time.Duration(min(n, most)) * 24 * time.Hour
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		return wrong
	}
	s.order.ExpiresIn = d
	return nil
}
