package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// topLevel is what may lie at the root of the tree beside dot files and the Go
// files of package main.
var topLevel = []string{
	"server", "keychain", "oidc", "tlsconf", "testdata", "docs", "examples",
	"go.mod", "go.sum", "Makefile", "README.md", "LICENSE", "CHANGELOG.md",
}

// vagueNames are package and folder names that say nothing about what they own.
var vagueNames = []string{
	"util", "utils", "common", "helper", "helpers", "misc", "shared",
	"model", "models", "types", "tools", "pkg", "internal",
}

// TestRules holds the rules of this repository. They are about the tree, not
// about what the program does: docs/architecture.md and docs/dependencies.md
// say what is allowed, and these tests compare.
func TestRules(t *testing.T) {
	packages := listPackages(t)
	files := parseFiles(t)
	t.Run("imports", func(t *testing.T) { testImports(t, packages) })
	t.Run("layers", func(t *testing.T) { testLayers(t, packages) })
	t.Run("package comments", func(t *testing.T) { testPackageComments(t, packages) })
	t.Run("names", func(t *testing.T) { testNames(t, packages) })
	t.Run("dependencies", testDependencies)
	t.Run("top level", testTopLevel)
	t.Run("no init", func(t *testing.T) { testNoInit(t, files) })
	t.Run("no default http", func(t *testing.T) { testNoDefaultHTTP(t, files) })
	t.Run("file length", testFileLength)
	t.Run("function length", func(t *testing.T) { testFunctionLength(t, files) })
	t.Run("no loose ends", testNoLooseEnds)
	t.Run("changelog", testChangelog)
	t.Run("links", testLinks)
}

// A pkg is what the rules need of `go list -json`.
type pkg struct {
	ImportPath string
	Name       string
	Doc        string
	Imports    []string // of the package itself, tests not counted
	Deps       []string // the same, recursively
}

// name is the import path as docs/architecture.md writes it.
func (p pkg) name() string {
	if p.ImportPath == "wavegate" {
		return "main"
	}
	return strings.TrimPrefix(p.ImportPath, "wavegate/")
}

// run returns the standard output of a command that must succeed. The lists
// are those of one platform, so that they do not change with the machine.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, exit.Stderr)
		}
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(run(t, "go", "list", "-json=ImportPath,Name,Doc,Imports,Deps", "./...")))
	var packages []pkg
	for {
		var p pkg
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages
		case err != nil:
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// treeFiles returns the files of the tree, new ones included, ignored ones not.
func treeFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for name := range strings.SplitSeq(string(run(t, "git", "ls-files", "-co", "--exclude-standard", "-z")), "\x00") {
		if _, err := os.Stat(name); name != "" && err == nil { // listed and removed: not yet committed
			files = append(files, name)
		}
	}
	return files
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// testImports compares what packages import with the map in
// docs/architecture.md. The standard library is open to all.
func testImports(t *testing.T, packages []pkg) {
	const file = "docs/architecture.md"
	allowed := map[string][]string{}
	for _, row := range tableRows(t, file, "## Map") {
		if len(row) != 3 {
			t.Fatalf("%s: the row of %s has %d cells, want 3", file, row[0], len(row))
		}
		allowed[row[0]] = []string{}
		for _, m := range codeSpan.FindAllStringSubmatch(row[2], -1) {
			allowed[row[0]] = append(allowed[row[0]], m[1])
		}
	}
	for _, p := range packages {
		may, known := allowed[p.name()]
		if !known {
			t.Errorf("%s: package %s has no row in the map", file, p.name())
			continue
		}
		delete(allowed, p.name())
		for _, imp := range p.Imports {
			if !isAllowed(imp, may) {
				t.Errorf("package %s imports %s, which %s does not allow", p.name(), imp, file)
			}
		}
	}
	for name := range allowed {
		t.Errorf("%s: the map has a row for %s, which is no package", file, name)
	}
}

// isAllowed reports whether imp is of the standard library or on the list, on
// which a module stands for all its packages.
func isAllowed(imp string, list []string) bool {
	if own, ok := strings.CutPrefix(imp, "wavegate/"); ok {
		return slices.Contains(list, own)
	}
	first, _, _ := strings.Cut(imp, "/")
	if !strings.Contains(first, ".") {
		return true
	}
	return slices.ContainsFunc(list, func(module string) bool {
		return imp == module || strings.HasPrefix(imp, module+"/")
	})
}

// testLayers checks what no chain of imports may bring in.
func testLayers(t *testing.T, packages []pkg) {
	never := []struct{ below, reach string }{
		{"keychain", "net/http"},
		{"keychain", "wavegate/server"},
		{"oidc", "wavegate/server"},
		{"tlsconf", "wavegate/server"},
		{"server/policy", "wavegate/server/gateway"},
		{"server/limit", "net/http"},
		{"main", "testing"},
	}
	for _, p := range packages {
		for _, rule := range never {
			if p.name() != rule.below && !strings.HasPrefix(p.name(), rule.below+"/") {
				continue
			}
			for _, dep := range p.Deps {
				if dep == rule.reach || strings.HasPrefix(dep, rule.reach+"/") {
					t.Errorf("package %s depends on %s, and must not", p.name(), dep)
				}
			}
		}
	}
}

func testPackageComments(t *testing.T, packages []pkg) {
	for _, p := range packages {
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "" // the manual of the command
		}
		if p.Doc == "" || !strings.HasPrefix(p.Doc, want) {
			t.Errorf("package %s: its comment is %q, want one that begins with %q and says what it owns", p.name(), p.Doc, want)
		}
	}
}

func testNames(t *testing.T, packages []pkg) {
	for _, p := range packages {
		for part := range strings.SplitSeq(p.ImportPath, "/") {
			if slices.Contains(vagueNames, part) {
				t.Errorf("package %s: %q says nothing about what is in it", p.ImportPath, part)
			}
		}
		if slices.Contains(vagueNames, p.Name) {
			t.Errorf("package %s is named %q, which says nothing", p.ImportPath, p.Name)
		}
	}
}

// testDependencies compares the modules that the Go command would link with
// docs/dependencies.md, which gives the reason for each.
func testDependencies(t *testing.T) {
	const file = "docs/dependencies.md"
	linked := modules(t, "go", "list", "-deps", ".")
	tested := modules(t, "go", "list", "-deps", "-test", "./...")
	tested = slices.DeleteFunc(tested, func(m string) bool { return slices.Contains(linked, m) })
	for heading, want := range map[string][]string{"## Linked into the binary": linked, "## Tests alone": tested} {
		var got []string
		for _, row := range tableRows(t, file, heading) {
			got = append(got, row[0])
			if len(row) != 2 || len(strings.TrimSpace(row[1])) < 10 {
				t.Errorf("%s: %s has no reason", file, row[0])
			}
			if !slices.Contains(want, row[0]) {
				t.Errorf("%s: %q lists %s, which the Go command does not bring in there", file, heading, row[0])
			}
		}
		for _, module := range want {
			if !slices.Contains(got, module) {
				t.Errorf("%s: %q lacks %s", file, heading, module)
			}
		}
	}
}

// modules returns the paths of the modules, this one left out, that a go list
// command mentions.
func modules(t *testing.T, name string, args ...string) []string {
	t.Helper()
	args = slices.Insert(args, 1, "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}")
	list := strings.Fields(string(run(t, name, args...)))
	slices.Sort(list)
	return slices.Compact(list)
}

func testTopLevel(t *testing.T) {
	for _, name := range treeFiles(t) {
		top, _, inside := strings.Cut(name, "/")
		goFile := !inside && strings.HasSuffix(top, ".go")
		if !strings.HasPrefix(top, ".") && !goFile && !slices.Contains(topLevel, top) {
			t.Errorf("%s: %s does not belong at the top of the tree", name, top)
		}
	}
}
