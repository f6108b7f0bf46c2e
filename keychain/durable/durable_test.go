package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// names returns the names in a folder, sorted.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteFileReplacesAndSetsTheMode(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, mode := range []fs.FileMode{0o600, 0o640, 0o400, 0o666} {
		content := fmt.Sprintf("content of %v", mode)
		must(t, WriteFile(path, []byte(content), mode))
		info, err := os.Stat(path)
		must(t, err)
		if read(t, path) != content || info.Mode() != mode {
			t.Errorf("got %q with mode %v, want %q with %v", read(t, path), info.Mode(), content, mode)
		}
	}
	if diff := cmp.Diff([]string{"file"}, names(t, dir)); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}

func TestWriteFileKeepsSymlinks(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "real"), 0o700))
	must(t, os.Symlink("real", filepath.Join(dir, "folder")))
	must(t, os.Symlink(filepath.Join(dir, "folder", "second"), filepath.Join(dir, "first")))
	must(t, os.Symlink("target", filepath.Join(dir, "real", "second")))
	for _, content := range []string{"new", "newer"} { // the first time the links dangle
		must(t, WriteFile(filepath.Join(dir, "first"), []byte(content), 0o600))
		if got := read(t, filepath.Join(dir, "real", "target")); got != content {
			t.Errorf("got %q, want %q", got, content)
		}
	}
	if diff := cmp.Diff([]string{"second", "target"}, names(t, filepath.Join(dir, "real"))); diff != "" {
		t.Errorf("real (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"first", "folder", "real"}, names(t, dir)); diff != "" {
		t.Errorf("dir (-want +got):\n%s", diff)
	}
}

func TestResolveRefusesALoop(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Symlink("b", filepath.Join(dir, "a")))
	must(t, os.Symlink("a", filepath.Join(dir, "b")))
	if got, err := Resolve(filepath.Join(dir, "a")); err == nil {
		t.Errorf("Resolve = %q, want an error", got)
	}
}

func TestWriteFileLeavesNothingBehindOnError(t *testing.T) {
	dir := t.TempDir()
	if err := WriteFile(filepath.Join(dir, "missing", "file"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a missing folder: %v", err)
	}
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	if err := WriteFile(filepath.Join(dir, "folder"), nil, 0o600); err == nil {
		t.Error("a folder was replaced")
	}
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	if err := WriteFile(filepath.Join(dir, "pipe"), nil, 0o600); err == nil {
		t.Error("a pipe was replaced")
	}
	if diff := cmp.Diff([]string{"folder", "pipe"}, names(t, dir)); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}

func TestWriteFileTakesTheTempAwayWhenTheRenameFails(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	must(t, os.Mkdir(target, 0o700)) // appears after WriteFile has looked
	if err := replace(target, nil, []byte("new"), 0o600); err == nil {
		t.Fatal("a folder was replaced")
	}
	if diff := cmp.Diff([]string{"target"}, names(t, dir)); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}

func TestWriteFileKeepsTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: that another user's file keeps its owner is not tested here")
		return
	}
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Chown(path, 1234, 2345))
	must(t, WriteFile(path, []byte("new"), 0o600))
	info, err := os.Stat(path)
	must(t, err)
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 1234 || stat.Gid != 2345 {
		t.Errorf("owner %d:%d, want 1234:2345", stat.Uid, stat.Gid)
	}
}

func TestLeftoversOfKilledWritersAreRemovedAndLiveOnesAreNot(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	live, err := createTemp(path)
	must(t, err)
	defer live.Close()
	for i := range 3 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf(".file.tmp-%d", i)), []byte("half"), 0o600))
	}
	must(t, os.WriteFile(filepath.Join(dir, ".file.tmp-read-only"), []byte("half"), 0o400))
	must(t, os.WriteFile(filepath.Join(dir, ".other.tmp-1"), nil, 0o600))
	must(t, WriteFile(path, []byte("whole"), 0o600))
	want := []string{filepath.Base(live.Name()), ".other.tmp-1", "file"}
	if diff := cmp.Diff(want, names(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParallelWritesAreWholeAndAllSucceed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	must(t, WriteFile(path, bytes.Repeat([]byte("0"), 10_000), 0o600))
	var writers sync.WaitGroup
	var running atomic.Int64
	for w := range 4 {
		running.Add(1)
		writers.Go(func() {
			defer running.Add(-1)
			for range 25 {
				if err := WriteFile(path, bytes.Repeat([]byte{byte('a' + w)}, 10_000), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for running.Load() > 0 {
		got := read(t, path)
		if len(got) != 10_000 || strings.Trim(got, got[:1]) != "" {
			t.Fatalf("read %d bytes that no writer wrote", len(got))
		}
	}
	writers.Wait()
	if diff := cmp.Diff([]string{"file"}, names(t, dir)); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}

func TestWithLockLetsInOneAtATimeThroughEveryLink(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	must(t, os.Symlink("file", link))
	var inside, calls atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			err := WithLock([]string{path, link}[i%2], func() error {
				if inside.Add(1) != 1 {
					t.Error("two are inside")
				}
				calls.Add(1)
				inside.Add(-1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if calls.Load() != 20 {
		t.Errorf("%d calls, want 20", calls.Load())
	}
	info, err := os.Stat(path + ".lock")
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("lock file has mode %v, want 0600", info.Mode())
	}
}

func TestWithLockGivesUpAndNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, WithLock(path, func() error {
		err := withLock(path, 10*time.Millisecond, func() error {
			t.Error("two are inside")
			return nil
		})
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path+".lock") {
			t.Errorf("got %v, want ErrLocked with the name", err)
		}
		return nil
	}))
}

func TestWithLockPassesErrorsOnAndUnlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	wrong := errors.New("wrong")
	for range 2 {
		if err := WithLock(path, func() error { return wrong }); !errors.Is(err, wrong) {
			t.Errorf("got %v, want %v", err, wrong)
		}
	}
}

func TestWithLockFollowsNoPlantedLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	must(t, os.Symlink(filepath.Join(dir, "elsewhere"), path+".lock"))
	if err := WithLock(path, func() error { return nil }); err == nil {
		t.Error("a symlink served as lock file")
	}
	if diff := cmp.Diff([]string{"file.lock"}, names(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
