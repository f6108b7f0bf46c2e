package filewatch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
)

// within is the promise. CI machines may be slow, so tests wait longer before
// they call it broken.
const within = 10 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

// A watch runs a Watcher for a test.
type watch struct {
	t       *testing.T
	path    string
	reports chan string // what the file held at each report
	seen    int         // reports that expect has taken
}

func start(t *testing.T, path string, newNotifier func() (*fsnotify.Watcher, error)) *watch {
	t.Helper()
	w, err := New([]string{path})
	must(t, err)
	w.newNotifier = newNotifier
	s := &watch{t: t, path: path, reports: make(chan string, 1000)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- w.Run(ctx, func() {
			data, _ := os.ReadFile(path)
			s.reports <- string(data)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	return s
}

// expect waits for the report that finds the content.
func (s *watch) expect(content string) {
	s.t.Helper()
	deadline := time.After(within)
	for {
		select {
		case got := <-s.reports:
			s.seen++
			if got == content {
				return
			}
		case <-deadline:
			s.t.Fatalf("no report of %q", content)
		}
	}
}

// each runs a test with the kernel's notification and without.
func each(t *testing.T, test func(t *testing.T, notifier func() (*fsnotify.Watcher, error))) {
	t.Run("notified", func(t *testing.T) {
		t.Parallel()
		test(t, fsnotify.NewWatcher)
	})
	t.Run("polled", func(t *testing.T) {
		t.Parallel()
		test(t, func() (*fsnotify.Watcher, error) { return nil, errors.New("no more watches") })
	})
}

func TestReportsWriteRenameRemoveAndReturn(t *testing.T) {
	each(t, func(t *testing.T, notifier func() (*fsnotify.Watcher, error)) {
		dir := t.TempDir()
		path := filepath.Join(dir, "keys")
		s := start(t, path, notifier)
		write(t, path, "made")
		s.expect("made")
		write(t, path, "written")
		s.expect("written")
		write(t, filepath.Join(dir, "other"), "renamed")
		must(t, os.Rename(filepath.Join(dir, "other"), path))
		s.expect("renamed")
		must(t, os.Remove(path))
		s.expect("")
		write(t, path, "back")
		s.expect("back")
	})
}

func TestReportsSymlinkSwap(t *testing.T) {
	each(t, func(t *testing.T, notifier func() (*fsnotify.Watcher, error)) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "one"), "one")
		write(t, filepath.Join(dir, "two"), "two")
		path := filepath.Join(dir, "keys")
		must(t, os.Symlink("one", path))
		s := start(t, path, notifier)
		must(t, os.Symlink("two", filepath.Join(dir, "new")))
		must(t, os.Rename(filepath.Join(dir, "new"), path))
		s.expect("two")
		write(t, filepath.Join(dir, "two"), "two changed")
		s.expect("two changed")
	})
}

func TestReportsKubernetesVolumeUpdate(t *testing.T) {
	each(t, func(t *testing.T, notifier func() (*fsnotify.Watcher, error)) {
		dir := t.TempDir()
		for _, v := range []string{"..v1", "..v2"} {
			must(t, os.Mkdir(filepath.Join(dir, v), 0o700))
			write(t, filepath.Join(dir, v, "keys"), v)
		}
		must(t, os.Symlink("..v1", filepath.Join(dir, "..data")))
		path := filepath.Join(dir, "keys")
		must(t, os.Symlink("..data/keys", path))
		s := start(t, path, notifier)
		must(t, os.Symlink("..v2", filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		must(t, os.RemoveAll(filepath.Join(dir, "..v1")))
		s.expect("..v2")
		write(t, filepath.Join(dir, "..v2", "keys"), "changed in place")
		s.expect("changed in place")
	})
}

func TestReportsFolderReplacedOrMadeLater(t *testing.T) {
	each(t, func(t *testing.T, notifier func() (*fsnotify.Watcher, error)) {
		dir := t.TempDir()
		folder := filepath.Join(dir, "deep", "folder")
		path := filepath.Join(folder, "keys")
		s := start(t, path, notifier)
		must(t, os.MkdirAll(folder, 0o700))
		write(t, path, "made")
		s.expect("made")
		must(t, os.Rename(folder, folder+".old"))
		must(t, os.Mkdir(folder, 0o700))
		write(t, path, "replaced")
		s.expect("replaced")
		write(t, path, "and written")
		s.expect("and written")
	})
}

func TestReportsModeThatLetsTheFileBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, "content")
	must(t, os.Chmod(path, 0))
	s := start(t, path, fsnotify.NewWatcher)
	must(t, os.Chmod(path, 0o600))
	s.expect("content")
}

func TestNoChangeBetweenNewAndRunIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, "old")
	w, err := New([]string{path})
	must(t, err)
	write(t, path, "newer")
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	reported := false
	must(t, w.Run(ctx, func() { reported = true; cancel() }))
	if !reported {
		t.Error("the change was not reported")
	}
}

func TestBurstIsCoalesced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	s := start(t, path, fsnotify.NewWatcher)
	begin := time.Now()
	for range 200 {
		write(t, path, "burst")
	}
	write(t, path, "end")
	took := time.Since(begin)
	s.expect("end")
	if most := 2 + int(took/settle); s.seen > most {
		t.Errorf("%d reports of a burst of %v, want at most %d", s.seen, took, most)
	}
}

func TestOtherFilesOfTheFolderAreNotReported(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	write(t, path, "content")
	s := start(t, path, fsnotify.NewWatcher)
	write(t, filepath.Join(dir, "noise"), "changed")
	must(t, os.Rename(filepath.Join(dir, "noise"), path))
	s.expect("changed")
	if s.seen != 1 {
		t.Errorf("%d reports, want that of the change alone", s.seen)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w, err := New([]string{"no such file", ""})
	must(t, err)
	if err := w.Run(ctx, func() {}); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestTrailNamesEveryLinkOnTheWay(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(dir, "a", "v1"), 0o700))
	must(t, os.Symlink("v1", filepath.Join(dir, "a", "..data")))
	must(t, os.Symlink("../a/./..data/keys", filepath.Join(dir, "a", "keys")))
	must(t, os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "abs")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	write(t, filepath.Join(dir, "a", "v1", "keys"), "")
	at := func(names ...string) []string {
		for i := range names {
			names[i] = filepath.Join(dir, names[i])
		}
		return names
	}
	for path, want := range map[string][]string{
		"abs/keys":         at("abs", "a/keys", "a/..data", "a/v1/keys"),
		"a/v1/keys":        at("a/v1/keys"),
		"missing/x/y":      at("missing"),
		"a/..data/missing": at("a/..data", "a/v1/missing"),
	} {
		if diff := cmp.Diff(want, trail(filepath.Join(dir, path))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	if got := trail(filepath.Join(dir, "loop")); len(got) != maxHops+1 {
		t.Errorf("a loop gives %d names, want %d", len(got), maxHops+1)
	}
}
