package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"text/tabwriter"

	"wavegate/keychain"
	"wavegate/server"
)

// checkOnly tries everything that a start would, and starts nothing.
func (s *settings) checkOnly(in surroundings) int {
	for _, text := range s.warnings {
		fmt.Fprintf(in.stderr, "wavegate: warning: %s\n", text)
	}
	routes, err := server.Check(s.server)
	if err != nil {
		return fail(in, err)
	}
	fmt.Fprintln(in.stdout, "configuration is good")
	s.summarise(in.stdout)
	if len(routes) == 0 {
		fmt.Fprintln(in.stdout, "  routes    none: name an app with --upstream, or write a policy")
		return exitOK
	}
	fmt.Fprintln(in.stdout, "  routes")
	t := tabwriter.NewWriter(in.stdout, 0, 8, 2, ' ', 0)
	for _, r := range routes {
		fmt.Fprintf(t, "    %s\t%s\t%s\n", cmp.Or(r.Name, "/"), r.Access, redact(r.Target.String()))
	}
	_ = t.Flush()
	return exitOK
}

// summarise says where the server would listen, whose keys it would take, and
// who could sign in.
func (s *settings) summarise(w io.Writer) {
	c := s.server
	how := "plain HTTP"
	if c.TLS.Enabled() {
		how = "TLS"
	}
	fmt.Fprintf(w, "  listen    %s, %s\n", c.Listen, how)
	fmt.Fprintf(w, "  keychain  %s, %s\n", c.Keychain.Path, keysIn(c.Keychain))
	if names, err := keychain.Users(c.Users.Path).List(); err == nil {
		fmt.Fprintf(w, "  users     %s, users: %d\n", c.Users.Path, len(names))
	}
	if c.SignIn.Issuer != "" {
		fmt.Fprintf(w, "  provider  %s\n", c.SignIn.Issuer)
	}
	if c.Store != "" {
		fmt.Fprintf(w, "  store     %s\n", redact(c.Store))
	}
}

// keysIn says how many keys the server would take.
func keysIn(c keychain.Config) string {
	ids, err := keychain.List(c.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "unreadable" // not reached: the server's check has read it
	}
	n := len(ids)
	switch {
	case c.ID != "" && n == 0:
		return "empty, and the access key of the settings"
	case c.ID != "" && !slices.Contains(ids, c.ID):
		return fmt.Sprintf("access keys: %d, and the one of the settings", n)
	case n == 0:
		return "empty: the published default pair works, from this machine alone"
	}
	return fmt.Sprintf("access keys: %d", n)
}
