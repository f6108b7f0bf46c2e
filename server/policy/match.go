package policy

import "strings"

// routeTable finds routes by host and path prefix.
type routeTable struct {
	hosts map[string]*prefixNode // exact hosts
	wild  map[string]*prefixNode // ".example.com" for "*.example.com"
	any   *prefixNode
}

// prefixNode is one segment of a tree of path prefixes.
type prefixNode struct {
	route *Route // nil where no prefix ends here
	next  map[string]*prefixNode
}

// add enters a route and returns the one that has its place already, or nil.
func (t *routeTable) add(r *Route) *Route {
	node := t.root(r.Host)
	if r.Path != "/" {
		for segment := range strings.SplitSeq(r.Path[1:], "/") {
			node = node.child(segment)
		}
	}
	if node.route != nil {
		return node.route
	}
	node.route = r
	return nil
}

// root returns the tree of a host as routes write it, made when needed.
func (t *routeTable) root(host string) *prefixNode {
	if host == "" {
		if t.any == nil {
			t.any = &prefixNode{}
		}
		return t.any
	}
	trees, key := &t.hosts, host
	if suffix, ok := strings.CutPrefix(host, "*"); ok {
		trees, key = &t.wild, suffix
	}
	if *trees == nil {
		*trees = map[string]*prefixNode{}
	}
	node := (*trees)[key]
	if node == nil {
		node = &prefixNode{}
		(*trees)[key] = node
	}
	return node
}

// child returns the node of a segment, made when needed.
func (n *prefixNode) child(segment string) *prefixNode {
	c := n.next[segment]
	if c == nil {
		if n.next == nil {
			n.next = map[string]*prefixNode{}
		}
		c = &prefixNode{}
		n.next[segment] = c
	}
	return c
}

// Match returns the route that serves a request, or nil. The host is compared
// without case, port and trailing dot. Path is normalised; a prefix matches at
// a segment boundary only: /a takes /a and /a/b, never /ab. The routes of the
// exact host come first, then those of its "*." host, then those of any host;
// among equals the longest prefix wins. Empty segments are skipped: many
// upstreams do so, and //admin must not slip past the rules of /admin. Match
// allocates nothing for a host in lower case.
func (p *Policy) Match(host, path string) *Route {
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	if len(p.table.hosts) > 0 || len(p.table.wild) > 0 {
		host = plainHost(host)
		if r := p.table.hosts[host].find(path); r != nil {
			return r
		}
		if i := strings.IndexByte(host, '.'); i > 0 {
			if r := p.table.wild[host[i:]].find(path); r != nil {
				return r
			}
		}
	}
	return p.table.any.find(path)
}

// find returns the route with the longest prefix of path, or nil; a nil tree
// has none.
func (n *prefixNode) find(path string) *Route {
	if n == nil {
		return nil
	}
	found := n.route
	for rest := path; rest != "" && len(n.next) > 0; {
		segment := rest[1:]
		rest = ""
		if i := strings.IndexByte(segment, '/'); i >= 0 {
			segment, rest = segment[:i], segment[i:]
		}
		if segment == "" {
			continue
		}
		if n = n.next[segment]; n == nil {
			break
		}
		if n.route != nil {
			found = n.route
		}
	}
	return found
}

// plainHost returns a host as routes are kept: lower case, no port, no
// brackets, no trailing dot.
func plainHost(host string) string {
	if strings.HasPrefix(host, "[") {
		if i := strings.IndexByte(host, ']'); i > 0 {
			host = host[1:i]
		}
	} else if i := strings.IndexByte(host, ':'); i >= 0 && i == strings.LastIndexByte(host, ':') {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
