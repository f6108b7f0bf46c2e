package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamplesLoad loads every example that is a policy, and writes down what
// each decides for one telling request.
func TestExamplesLoad(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("got %d examples, %v; want at least 5", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(data), "\nupstreams:") {
				return // another program's configuration
			}
			p, err := Load(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Routes()) == 0 {
				t.Error("no routes")
			}
		})
	}
}
