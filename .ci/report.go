// Command report reads what `go test -json` writes and prints what a person
// wants of it: one line a package, the whole output of every test that failed,
// every skipped test with its reason, and one count of all at the end. With
// CI=true in the environment a skipped test is a failure. It runs no tests.
//
// Exit code 1: a test or package failed, did not build, or no test ran at all;
// with CI=true also when a test was skipped.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	os.Exit(run(os.Stdin, os.Stdout, os.Getenv("CI") == "true"))
}

// event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action  string
	Package string
	Test    string // "" when the event is the package's own
	Elapsed float64
	Output  string
}

// report gathers events. Outputs of running tests are held until the verdict.
type report struct {
	out                     io.Writer
	held                    map[[2]string]*strings.Builder // by package and test
	broken                  map[string]bool                // packages of which a test failed
	skips                   []string
	passed, failed, skipped int
}

func run(in io.Reader, out io.Writer, ci bool) int {
	r := &report{out: out, held: map[[2]string]*strings.Builder{}, broken: map[string]bool{}}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if err != nil {
			break
		}
	}
	return r.close(ci)
}

func (r *report) line(line string) {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		fmt.Fprint(r.out, line) // the Go command's own words
		return
	}
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if r.held[key] == nil {
			r.held[key] = &strings.Builder{}
		}
		r.held[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
		} else {
			r.endTest(e)
		}
		delete(r.held, key)
	}
}

func (r *report) endTest(e event) {
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		r.broken[e.Package] = true
		r.release(e.Package, e.Test)
	case "skip":
		r.skipped++
		r.skips = append(r.skips, fmt.Sprintf("SKIP %s %s: %s", e.Package, e.Test, reason(r.held[[2]string{e.Package, e.Test}])))
	}
}

func (r *report) endPackage(e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(r.out, "ok   %-32s %7.1f s\n", e.Package, e.Elapsed)
	case "skip":
		fmt.Fprintf(r.out, "--   %-32s no tests\n", e.Package)
	case "fail":
		if !r.broken[e.Package] {
			r.failed++ // it did not build, panicked, or ran out of time
		}
		for key := range r.held {
			if key[0] == e.Package {
				r.release(key[0], key[1])
			}
		}
		fmt.Fprintf(r.out, "FAIL %-32s %7.1f s\n", e.Package, e.Elapsed)
	}
}

// release prints what a test wrote.
func (r *report) release(pkg, test string) {
	if b := r.held[[2]string{pkg, test}]; b != nil {
		fmt.Fprint(r.out, b.String())
		delete(r.held, [2]string{pkg, test})
	}
}

// close prints the skips and the count, and returns the exit code.
func (r *report) close(ci bool) int {
	for _, s := range r.skips {
		fmt.Fprintln(r.out, s)
	}
	switch {
	case r.passed+r.failed == 0:
		fmt.Fprintln(r.out, "no test ran")
	case ci && r.skipped > 0:
		fmt.Fprintln(r.out, "a skipped test is a failure here: `make deps` installs what the tests need")
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	if r.failed > 0 || r.passed == 0 || (ci && r.skipped > 0) {
		return 1
	}
	return 0
}

// reason is what a skipped test said, without the framework's own lines.
func reason(b *strings.Builder) string {
	if b == nil {
		return "no reason given"
	}
	var said []string
	for line := range strings.SplitSeq(b.String(), "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			said = append(said, line)
		}
	}
	return strings.Join(said, " ")
}
