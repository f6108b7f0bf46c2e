package policy

import (
	"fmt"
	"net/http"
	"strings"
)

// methodWS is how endpoints name WebSocket handshakes. It is no HTTP method.
const methodWS = "WS"

// endpoint is a parsed pattern such as "GET /v1/streams/:id".
type endpoint struct {
	method   string
	segments []segment // at least one; only the last can be tail or slash
}

// segment is one part of an endpoint's path.
type segment struct {
	kind    segmentKind
	literal string // for literal
}

type segmentKind uint8

const (
	literal  segmentKind = iota // these very letters
	wildcard                    // one segment that is not empty: ":id", "{id}"
	tail                        // whatever follows the slash, nothing too: "*", "{rest...}", a trailing slash
	slash                       // the trailing slash and nothing behind it: "{$}"
)

// parseEndpoint reads "METHOD /path" or "WS /path".
func parseEndpoint(s string) (endpoint, error) {
	method, path, ok := strings.Cut(s, " ")
	if !ok || !strings.HasPrefix(path, "/") {
		return endpoint{}, fmt.Errorf(`want a method, one space and a path, such as "GET /v1/streams/:id"`)
	}
	if method == http.MethodHead {
		return endpoint{}, fmt.Errorf("HEAD counts as GET: write GET")
	}
	if method != methodWS {
		if err := checkMethod(method); err != nil {
			return endpoint{}, err
		}
	}
	if err := checkPath(path); err != nil {
		return endpoint{}, fmt.Errorf("the path %w", err)
	}
	e := endpoint{method: method}
	parts := strings.Split(path[1:], "/")
	for i, part := range parts {
		seg, err := parseSegment(part)
		if err != nil {
			return endpoint{}, err
		}
		if i < len(parts)-1 && (seg.kind == tail || seg.kind == slash) {
			return endpoint{}, fmt.Errorf("%s can only stand at the end; one segment is :name", part)
		}
		e.segments = append(e.segments, seg)
	}
	return e, nil
}

// parseSegment reads what is between two slashes.
func parseSegment(s string) (segment, error) {
	switch s {
	case "", "*":
		return segment{kind: tail}, nil
	case "{$}":
		return segment{kind: slash}, nil
	}
	if name, ok := strings.CutPrefix(s, ":"); ok && isName(name) {
		return segment{kind: wildcard}, nil
	}
	if name, ok := strings.CutPrefix(s, "{"); ok {
		if name, ok = strings.CutSuffix(name, "}"); ok && isName(name) {
			return segment{kind: wildcard}, nil
		}
		if name, ok = strings.CutSuffix(name, "..."); ok && isName(name) {
			return segment{kind: tail}, nil
		}
	}
	if strings.ContainsAny(s, "{}*") || s[0] == ':' {
		return segment{}, fmt.Errorf("%q: a wildcard is a whole segment: :name, {name}, or * at the end", s)
	}
	return segment{literal: s}, nil
}

// isName reports whether s can name a wildcard.
func isName(s string) bool {
	return s != "" && !isDigit(rune(s[0])) && !strings.ContainsFunc(s, func(r rune) bool {
		return !isLower(r) && !isUpper(r) && !isDigit(r) && r != '_'
	})
}

// pattern returns the endpoint as net/http's ServeMux writes it, the same for
// all endpoints that match the same requests.
func (e endpoint) pattern() string {
	var b strings.Builder
	b.WriteString(e.method + " ")
	for i, s := range e.segments {
		switch s.kind {
		case literal:
			b.WriteString("/" + s.literal)
		case wildcard:
			fmt.Fprintf(&b, "/{p%d}", i)
		case tail:
			b.WriteString("/")
		case slash:
			b.WriteString("/{$}")
		}
	}
	return b.String()
}

// endpointTable finds the scopes for a request. It chooses as ServeMux does.
type endpointTable struct {
	methods map[string]*endpointNode // methodWS is the WebSocket handshakes'
}

// endpointNode is one segment of a tree of endpoints. The lists hold the
// scopes of the endpoint that ends there, nil where none does.
type endpointNode struct {
	next  map[string]*endpointNode
	wild  *endpointNode
	here  []string
	tail  []string
	slash []string
}

// add enters an endpoint of a scope.
func (t *endpointTable) add(e endpoint, scope string) {
	if t.methods == nil {
		t.methods = map[string]*endpointNode{}
	}
	node := t.methods[e.method]
	if node == nil {
		node = &endpointNode{}
		t.methods[e.method] = node
	}
	for _, s := range e.segments {
		switch s.kind {
		case tail:
			node.tail = append(node.tail, scope)
			return
		case slash:
			node.slash = append(node.slash, scope)
			return
		case wildcard:
			if node.wild == nil {
				node.wild = &endpointNode{}
			}
			node = node.wild
		case literal:
			if node.next == nil {
				node.next = map[string]*endpointNode{}
			}
			if node.next[s.literal] == nil {
				node.next[s.literal] = &endpointNode{}
			}
			node = node.next[s.literal]
		}
	}
	node.here = append(node.here, scope)
}

// lookup returns the scopes, one of which the request needs, or nil where no
// endpoint covers it.
func (t *endpointTable) lookup(ask Ask) []string {
	method := ask.Method
	switch {
	case ask.WebSocket:
		method = methodWS
	case method == methodWS:
		return nil // a made-up method must not pass for a handshake
	case method == http.MethodHead:
		method = http.MethodGet
	}
	node := t.methods[method]
	if node == nil || !strings.HasPrefix(ask.Path, "/") {
		return nil
	}
	return node.find(ask.Path)
}

// find returns the scopes for the rest of a path, which is empty or begins
// with a slash. A literal goes before a wildcard, that before a tail; each
// node is visited once at most, so odd paths cost no more than the tree.
func (n *endpointNode) find(rest string) []string {
	switch rest {
	case "":
		return n.here
	case "/":
		if n.slash != nil {
			return n.slash
		}
		return n.tail
	}
	segment, rest := rest[1:], ""
	if i := strings.IndexByte(segment, '/'); i >= 0 {
		segment, rest = segment[:i], segment[i:]
	}
	if c := n.next[segment]; c != nil {
		if scopes := c.find(rest); scopes != nil {
			return scopes
		}
	}
	if n.wild != nil && segment != "" {
		if scopes := n.wild.find(rest); scopes != nil {
			return scopes
		}
	}
	return n.tail
}
