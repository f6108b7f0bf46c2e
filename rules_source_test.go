package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// maxFileLines is how long a Go file may be; longFiles names the exceptions.
const maxFileLines = 500

// longFiles are Go files over maxFileLines, each with the reason why it is not
// split. An entry that is not needed any more is an error.
var longFiles = map[string]string{}

// A source is a parsed Go file that is not a test.
type source struct {
	name string
	set  *token.FileSet
	ast  *ast.File
}

func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.name, s.set.Position(n.Pos()).Line)
}

func parseFiles(t *testing.T) []source {
	t.Helper()
	var sources []source
	for _, name := range treeFiles(t) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, source{name, set, f})
	}
	return sources
}

func testNoInit(t *testing.T, files []source) {
	for _, f := range files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: an init function: make what it makes where it is needed", f.at(fn))
			}
		}
	}
}

// testNoDefaultHTTP finds uses of net/http's package-wide mux, client and
// transport, by name or through the functions that use them: they are shared
// with every dependency and have no timeouts.
func testNoDefaultHTTP(t *testing.T, files []source) {
	shared := []string{
		"DefaultServeMux", "DefaultClient", "DefaultTransport", "Handle", "HandleFunc",
		"Get", "Head", "Post", "PostForm", "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS",
	}
	for _, f := range files {
		if !slices.ContainsFunc(f.ast.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"net/http"` }) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "http" && slices.Contains(shared, sel.Sel.Name) {
				t.Errorf("%s: http.%s is shared by the whole process", f.at(sel), sel.Sel.Name)
			}
			return true
		})
	}
}

func testFileLength(t *testing.T) {
	excused := map[string]bool{}
	for _, name := range treeFiles(t) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		lines := strings.Count(read(t, name), "\n")
		_, listed := longFiles[name]
		excused[name] = listed
		if lines > maxFileLines && !listed {
			t.Errorf("%s has %d lines, over %d: split it by subject, or list it in longFiles with the reason", name, lines, maxFileLines)
		}
		if lines <= maxFileLines && listed {
			t.Errorf("%s has %d lines and needs no place in longFiles", name, lines)
		}
	}
	for name := range longFiles {
		if !excused[name] {
			t.Errorf("longFiles names %s, which is not there", name)
		}
	}
}

// testFunctionLength wants nine functions of ten under 40 lines.
func testFunctionLength(t *testing.T, files []source) {
	const limit = 40
	all, long := 0, []string{}
	for _, f := range files {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			all++
			if n := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1; n >= limit {
				long = append(long, fmt.Sprintf("%s: %s has %d lines", f.at(fn), fn.Name.Name, n))
			}
		}
	}
	if 10*len(long) > all {
		t.Errorf("%d of %d functions have %d lines or more, want one of ten at most:\n%s", len(long), all, limit, strings.Join(long, "\n"))
	}
}
