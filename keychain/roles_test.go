package keychain

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/google/go-cmp/cmp"
)

// playRole is what the processes do that the tests start. Each write that has
// succeeded is reported in a line of its own: "+ID" or "-ID".
func playRole(role, path string) {
	report := func(sign, id string, err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Stdout.WriteString(sign + id + "\n")
	}
	add := func() string {
		id, _, err := create(path, "", bcrypt.MinCost)
		report("+", id, err)
		return id
	}
	remove := func(id string) { report("-", id, Remove(path, id)) }
	switch role {
	case "create": // eight keys, then the end
		for range 8 {
			add()
		}
	case "create and remove": // eight keys, every second of them removed
		for i := range 8 {
			if id := add(); i%2 == 1 {
				remove(id)
			}
		}
	case "for ever": // until it is killed; the file stays small
		addFast := func() string { // without bcrypt: more of the time is spent writing
			id := randomText(idText, idLen)
			report("+", id, File{Path: path}.putHash(id, []byte(hash2a), false))
			return id
		}
		for {
			remove(addFast())
			addFast()
			ids, err := List(path)
			if err == nil && len(ids) > 10 {
				remove(ids[rand.IntN(len(ids))])
			}
		}
	}
}

// process returns this test binary in a role.
func process(t testing.TB, role, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "KEYCHAIN_TEST_ROLE="+role, "KEYCHAIN_TEST_PATH="+path, "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	return cmd
}

// apply makes the changes that whole lines of output report.
func apply(keys map[string]bool, output string) {
	for line := range strings.Lines(output) {
		id, whole := strings.CutSuffix(line, "\n")
		switch {
		case !whole:
		case id[0] == '+':
			keys[id[1:]] = true
		case id[0] == '-':
			delete(keys, id[1:])
		}
	}
}

func TestConcurrentKeychainWritersLoseNothing(t *testing.T) {
	path := tempPath(t)
	must(t, os.WriteFile(path, []byte("# kept\nfirst:"+hash2a), 0o600))
	want := map[string]bool{"first": true}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 12 {
		cmd := process(t, []string{"create", "create and remove"}[i%2], path)
		wg.Go(func() {
			output, err := cmd.Output()
			if err != nil {
				t.Errorf("writer: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			apply(want, string(output))
		})
	}
	wg.Wait()
	ids, err := List(path)
	must(t, err)
	if len(want) != 1+6*8+6*4 {
		t.Fatalf("writers reported %d keys, want %d", len(want), 1+6*8+6*4)
	}
	for _, id := range ids {
		if !want[id] {
			t.Errorf("key %s was removed and is there", id)
		}
		delete(want, id)
	}
	if len(want) != 0 {
		t.Errorf("%d acknowledged keys are lost", len(want))
	}
	if !strings.HasPrefix(read(t, path), "# kept\nfirst:") {
		t.Error("the lines that were there have changed")
	}
}

// TestKilledWriterLeavesTheOldOrTheNewFile kills a writer at random moments.
// Each time the file must parse and hold what was acknowledged, give or take
// the one write that was under way.
func TestKilledWriterLeavesTheOldOrTheNewFile(t *testing.T) {
	kills, lanes := 1000, 4
	if testing.Short() {
		kills = 40
	}
	begin := time.Now()
	var wg sync.WaitGroup
	for range lanes {
		dir := t.TempDir()
		wg.Go(func() {
			path := filepath.Join(dir, "keychain")
			keys := map[string]bool{}
			for range kills / lanes {
				if err := killOnce(process(t, "for ever", path), path, keys); err != nil {
					t.Error(err)
					return
				}
			}
			names, err := leftBeside(path)
			if err != nil || len(names) > 1 {
				t.Errorf("killed writers leave files behind: %v, %v", names, err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d kills in %v", kills, time.Since(begin).Round(time.Millisecond))
}

// killOnce starts a writer, kills it some time after its first write and checks
// the file. keys is what the file held; it is brought up to date.
func killOnce(cmd *exec.Cmd, path string, keys map[string]bool) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	first, readErr := lines.ReadString('\n')
	kill := time.AfterFunc(time.Duration(rand.IntN(6000))*time.Microsecond, func() { cmd.Process.Kill() })
	defer kill.Stop()
	rest, _ := io.ReadAll(lines) // until the writer is dead
	waitErr := cmd.Wait()
	if readErr != nil {
		return fmt.Errorf("the writer ended before its first write: %w", waitErr)
	}
	apply(keys, first+string(rest))
	ids, err := List(path)
	if err != nil {
		return fmt.Errorf("after a kill: %w", err)
	}
	different := 0
	now := map[string]bool{}
	for _, id := range ids {
		now[id] = true
		if !keys[id] {
			different++
		}
	}
	for id := range keys {
		if !now[id] {
			different++
		}
	}
	if different > 1 {
		return fmt.Errorf("after a kill the file differs from what was acknowledged by %d keys", different)
	}
	clear(keys)
	for id := range now {
		keys[id] = true
	}
	return nil
}

// leftBeside returns the temporary files beside a keychain.
func leftBeside(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	var names []string
	for _, e := range entries {
		if e.Name() != filepath.Base(path) && e.Name() != filepath.Base(path)+".lock" {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func TestApplyCountsWholeLinesOnly(t *testing.T) {
	keys := map[string]bool{"a": true}
	apply(keys, "+b\n-a\n+c\n+half")
	got := []string{}
	for id := range keys {
		got = append(got, id)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"b", "c"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
