package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"wavegate/server/identity"
)

// compiler gathers what the sections say and makes a Policy of it. A section
// may name what a later one declares, so names are looked up at the end.
type compiler struct {
	reader
	policy    Policy
	routes    []fileRoute
	endpoints []endpointUse
	names     []nameUse
	roles     map[string]bool // declared
	scopes    map[string]bool // declared, and "*"
	tiers     map[string]bool // declared

	issuerNodes []*yaml.Node // of the policy's issuers
}

// fileRoute is a route of the file with its place.
type fileRoute struct {
	route *Route
	node  *yaml.Node
}

// nameUse is a mention of a scope, role or tier that must be declared.
type nameUse struct {
	kind    string // "scope", "role" or "tier"
	word    word
	builtin bool // one that there is without being declared will do too
}

func newCompiler(name string) *compiler {
	return &compiler{
		reader: reader{file: name},
		policy: Policy{keys: map[string]keyRule{}, mayAll: true, needAll: []string{identity.ScopeAll}},
		roles:  map[string]bool{},
		scopes: map[string]bool{identity.ScopeAll: true},
		tiers:  map[string]bool{},
	}
}

// A section is one top-level field of the file.
type section struct {
	name string
	read func(*compiler, *yaml.Node)
}

// sections lists what a policy may hold.
func sections() []section {
	return []section{
		{"upstreams", (*compiler).readUpstreams},
		{"scopes", (*compiler).readScopes},
		{"roles", (*compiler).readRoles},
		{"access_keys", (*compiler).readAccessKeys},
		{"tiers", (*compiler).readTiers},
		{"defaults", (*compiler).readDefaults},
		{"trial", (*compiler).readTrial},
		{"issuers", (*compiler).readIssuers},
		{"providers", (*compiler).readProviders},
		{"branding", (*compiler).readBranding},
		{"webhooks", (*compiler).readWebhooks},
		{"retention", (*compiler).readRetention},
		{"oauth", (*compiler).readOAuth},
		{"session_tokens", (*compiler).readSessionTokens},
	}
}

// parse reads the file's text section by section.
func (c *compiler) parse(data []byte) {
	root := c.document(data)
	if root == nil {
		return
	}
	var known []string
	for _, s := range sections() {
		known = append(known, s.name)
	}
	file := c.object(root, "the policy", known...)
	for _, s := range sections() {
		if n := file.fields[s.name]; n != nil {
			s.read(c, n)
		}
	}
}

// finish checks what the sections say of each other, adds the routes from
// flags, and returns the policy or every problem.
func (c *compiler) finish(extra []Route) (*Policy, error) {
	p := &c.policy
	c.placeRoutes(extra)
	c.checkNames()
	c.checkIssuers()
	c.noteRequired()
	c.compileEndpoints()
	slices.SortFunc(p.scopes, func(a, b Scope) int { return cmp.Compare(a.Name, b.Name) })
	if err := c.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// placeRoutes enters all routes into the table; each place can be taken once.
func (c *compiler) placeRoutes(extra []Route) {
	p := &c.policy
	lines := map[*Route]int{}
	for _, f := range c.routes {
		lines[f.route] = f.node.Line
		p.routes = append(p.routes, f.route)
	}
	for _, r := range extra {
		r.Path = cmp.Or(r.Path, "/")
		r.Name = cmp.Or(r.Name, r.Host+r.Path)
		p.routes = append(p.routes, &r)
	}
	for _, r := range p.routes {
		if first := p.table.add(r); first != nil {
			line := max(lines[first], lines[r])
			c.failAt(line, "route %s is taken twice: by %s and by %s; keep one", r.Name, first.Origin, r.Origin)
		}
	}
}

// use notes that names of a kind must be declared, and returns them.
func (c *compiler) use(kind string, words []word) []string {
	for _, w := range words {
		c.names = append(c.names, nameUse{kind: kind, word: w})
	}
	return texts(words)
}

// useAny is use where names that are built in will do too: the permissions
// among scopes, the four roles, the tiers.
func (c *compiler) useAny(kind string, words []word) []string {
	for _, w := range words {
		c.names = append(c.names, nameUse{kind, w, true})
	}
	return texts(words)
}

// useOne is useAny for a field that holds one name; "" where it is left out.
func (c *compiler) useOne(kind string, o object, field string) string {
	name := o.text(field)
	if name != "" {
		c.useAny(kind, []word{{name, o.fields[field]}})
	}
	return name
}

// checkNames looks up every scope, role and tier that was mentioned.
func (c *compiler) checkNames() {
	for _, n := range c.names {
		declared, builtin := c.known(n)
		if declared[n.word.text] || slices.Contains(builtin, n.word.text) {
			continue
		}
		hint := ""
		if len(c.problems) < maxProblems { // what comes later is not shown
			hint = didYouMean(n.word.text, slices.AppendSeq(builtin, maps.Keys(declared)))
		}
		c.fail(n.word.node, "%s %q is not declared under %ss%s", n.kind, n.word.text, n.kind, hint)
	}
}

// known returns the names that a mention may be of.
func (c *compiler) known(n nameUse) (declared map[string]bool, builtin []string) {
	switch n.kind {
	case "scope":
		declared, builtin = c.scopes, permissionNames()
	case "role":
		declared, builtin = c.roles, builtinRoles()
	case "tier":
		declared = c.tiers
		for _, t := range builtinTiers() {
			builtin = append(builtin, t.Name)
		}
	}
	if !n.builtin {
		builtin = nil
	}
	return declared, builtin
}

// checkName refuses names that could not be told apart in a list or a header.
func (c *compiler) checkName(what string, key *yaml.Node) bool {
	name, ok := c.text(key, "the name of a "+what)
	if !ok {
		return false
	}
	plain := func(r rune) bool { return r > ' ' && r < 0x7f && !strings.ContainsRune(`",\`, r) }
	if strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		c.fail(key, "%s %q: a name has no spaces, commas, quotes, backslashes or letters beyond ASCII", what, name)
		return false
	}
	return true
}
