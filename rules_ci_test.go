package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReport feeds .ci/report.go, which decides whether `make test` is green,
// with the events of test runs.
func TestReport(t *testing.T) {
	const (
		pass  = `{"Action":"pass","Package":"p","Test":"TestA"}`
		fail  = `{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: got 1, want 2\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestB"}`
		skip  = `{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:9: needs chromium\n"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestC"}`
		good  = `{"Action":"pass","Package":"p","Elapsed":1.5}`
		bad   = `{"Action":"fail","Package":"p","Elapsed":1.5}`
		build = `{"Action":"build-output","ImportPath":"p","Output":"p.go:3: undefined: x\n"}`
	)
	tool := filepath.Join(t.TempDir(), "report")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", tool, ".ci/report.go").CombinedOutput(); err != nil {
		t.Fatalf("go build .ci/report.go: %v\n%s", err, out)
	}
	tests := []struct {
		name   string
		events []string
		ci     string
		code   int
		want   []string
	}{
		{"green", []string{pass, good}, "true", 0, []string{"ok   p", "1 passed, 0 failed, 0 skipped"}},
		{"a failed test shows its output", []string{pass, fail, bad}, "", 1, []string{"got 1, want 2", "FAIL p", "1 passed, 1 failed, 0 skipped"}},
		{"a skip is named", []string{pass, skip, good}, "", 0, []string{"SKIP p TestC: c_test.go:9: needs chromium", "1 passed, 0 failed, 1 skipped"}},
		{"a skip fails in CI", []string{pass, skip, good}, "true", 1, []string{"1 passed, 0 failed, 1 skipped"}},
		{"a package that does not build", []string{pass, build, bad}, "", 1, []string{"undefined: x", "1 passed, 1 failed, 0 skipped"}},
		{"nothing ran", nil, "", 1, []string{"no test ran"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), tool)
			cmd.Env = append(os.Environ(), "CI="+tt.ci)
			cmd.Stdin = strings.NewReader(strings.Join(tt.events, "\n") + "\n")
			out, err := cmd.Output()
			code := 0
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != tt.code {
				t.Errorf("exit code %d, want %d; it printed:\n%s", code, tt.code, out)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("it printed:\n%swant %q in it", out, want)
				}
			}
		})
	}
}
