package keychain

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

func TestCreateMakesAFileThatOpens(t *testing.T) {
	path := tempPath(t)
	id, secret, err := Create(path)
	must(t, err)
	if len(id) != 20 || strings.Trim(id, idText) != "" || len(secret) != 40 || strings.Trim(secret, secretText) != "" {
		t.Errorf("ID of %d and secret of %d characters, or other characters", len(id), len(secret))
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	content := read(t, path)
	if strings.Contains(content, secret) {
		t.Error("the file holds the secret")
	}
	if _, hash, _ := strings.Cut(content, ":"); costOf(hash) != bcrypt.DefaultCost || !strings.HasSuffix(content, "\n") {
		t.Errorf("line %q, want cost 10 and a newline", content)
	}
	c, err := Open(Config{Path: path, Required: true})
	must(t, err)
	if !opens(t, c, id, secret) {
		t.Error("the pair does not open")
	}
}

func TestEditingKeepsTheLinesThatItDoesNotTouch(t *testing.T) {
	path := tempPath(t)
	before := "\ufeff# ours\r\n\r\nb:" + hash2b + "\r\n  # old\na:" + hash2a + " \nc:" + hash2y
	must(t, os.WriteFile(path, []byte(before), 0o600))
	must(t, (File{Path: path}).put("d", "secret", minCost, false))
	got := read(t, path)
	if head := before + "\nd:$2a$04$"; !strings.HasPrefix(got, head) || len(got) != len(before)+1+2+hashLen+1 {
		t.Errorf("after Add:\n%q", got)
	}
	must(t, Remove(path, "a"))
	want := "\ufeff# ours\r\n\r\nb:" + hash2b + "\r\n  # old\nc:" + hash2y + "\nd:"
	if got = read(t, path); !strings.HasPrefix(got, want) {
		t.Errorf("after Remove:\n%q", got)
	}
	must(t, (File{Path: path}).put("b", "secret", minCost, true))
	want = "\ufeff# ours\r\n\r\nb:$2a$04$"
	if got = read(t, path); !strings.HasPrefix(got, want) || !strings.Contains(got, "\r\n  # old\nc:"+hash2y+"\nd:") {
		t.Errorf("after Set:\n%q", got)
	}
	ids, err := List(path)
	must(t, err)
	if diff := cmp.Diff([]string{"b", "c", "d"}, ids); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	for _, id := range ids {
		must(t, Remove(path, id))
	}
	if got, want := read(t, path), "\ufeff# ours\r\n\r\n  # old\n"; got != want {
		t.Errorf("without keys: %q, want %q", got, want)
	}
}

func TestAddAndSet(t *testing.T) {
	path := tempPath(t)
	must(t, (File{Path: path}).put("jane doe", "first", minCost, true))
	must(t, (File{Path: path}).put("john", "secret", minCost, false))
	if err := (File{Path: path}).Add("john", "other"); !errors.Is(err, ErrIDExists) || !strings.Contains(err.Error(), `"john"`) || strings.Contains(err.Error(), "other") {
		t.Errorf("Add of an ID in use: %v", err)
	}
	must(t, Set(path, "jane doe", "second"))
	c, err := Open(Config{Path: path})
	must(t, err)
	for pair, want := range map[[2]string]bool{
		{"jane doe", "first"}: false, {"jane doe", "second"}: true, {"john", "secret"}: true, {"john", "other"}: false,
	} {
		if got := opens(t, c, pair[0], pair[1]); got != want {
			t.Errorf("%v opens: %v, want %v", pair, got, want)
		}
	}
}

func TestWhatCouldNotBeReadBackIsNotWritten(t *testing.T) {
	path := tempPath(t)
	for _, pair := range [][2]string{
		{"", "s"},
		{"a:b", "s"},
		{" a", "s"},
		{"a\n", "s"},
		{"#a", "s"},
		{"\ufeffa", "s"},
		{strings.Repeat("x", 256), "s"},
		{"a", ""},
		{"a", strings.Repeat("s", 73)},
		{"a", "s\x00"},
	} {
		if err := (File{Path: path}).Add(pair[0], pair[1]); !errors.Is(err, ErrInvalid) {
			t.Errorf("Add(%q) = %v, want ErrInvalid", pair, err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was made")
	}
}

func TestRemoveOfAnUnknownIDNamesIt(t *testing.T) {
	path := tempPath(t)
	if err := Remove(path, "nobody"); !errors.Is(err, ErrUnknownID) || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("without a file: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	write(t, path, "somebody", "secret")
	before := read(t, path)
	if err := Remove(path, "nobody"); !errors.Is(err, ErrUnknownID) || !strings.Contains(err.Error(), `"nobody"`) || strings.Contains(err.Error(), "somebody") {
		t.Errorf("got %v", err)
	}
	if read(t, path) != before {
		t.Error("the file was changed")
	}
}

func TestListIsSortedAndNamesAMissingFile(t *testing.T) {
	path := tempPath(t)
	if _, err := List(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("without a file: %v", err)
	}
	write(t, path, "c", "x", "a", "x", "B", "x")
	ids, err := List(path)
	must(t, err)
	if diff := cmp.Diff([]string{"B", "a", "c"}, ids); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBrokenFileIsNeverRewritten(t *testing.T) {
	path := tempPath(t)
	content := "a:" + hash2a + "\nbroken line\n"
	must(t, os.WriteFile(path, []byte(content), 0o600))
	_, _, createErr := Create(path)
	_, listErr := List(path)
	for name, err := range map[string]error{"Create": createErr, "List": listErr, "Remove": Remove(path, "a")} {
		if e, ok := errors.AsType[*LineError](err); !ok || e.Line != 2 || e.Path != path {
			t.Errorf("%s: %v, want line 2", name, err)
		}
	}
	if read(t, path) != content {
		t.Error("the file was changed")
	}
}

func TestModeIsNeverWidened(t *testing.T) {
	for _, c := range []struct{ before, want fs.FileMode }{{0o600, 0o600}, {0o400, 0o400}, {0o644, 0o600}, {0o666, 0o600}, {0o640, 0o600}} {
		path := tempPath(t)
		write(t, path, "a", "x", "b", "x")
		must(t, os.Chmod(path, c.before))
		must(t, Remove(path, "a"))
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode() != c.want {
			t.Errorf("mode %v became %v, want %v", c.before, info.Mode(), c.want)
		}
	}
}

func TestSymlinkedKeychainStaysALink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	write(t, target, "a", "x")
	must(t, os.Symlink("real", link))
	must(t, (File{Path: link}).put("b", "x", minCost, false))
	if got, err := os.Readlink(link); err != nil || got != "real" {
		t.Errorf("the link is now %q, %v", got, err)
	}
	ids, err := List(target)
	if err != nil || !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("the target holds %v, %v", ids, err)
	}
}

func TestFileDoesNotGrowBeyondWhatCanBeRead(t *testing.T) {
	path := tempPath(t)
	must(t, os.WriteFile(path, []byte(strings.Repeat("#", maxFile-10)+"\n"), 0o600))
	if err := (File{Path: path}).put("a", "x", minCost, false); err == nil || !strings.Contains(err.Error(), "64 MB") {
		t.Errorf("got %v", err)
	}
}

func TestCreateIDTakesAnIDOnce(t *testing.T) {
	path := tempPath(t)
	id, secret, err := CreateID(path, "backup job")
	must(t, err)
	if id != "backup job" || len(secret) != secretLen {
		t.Errorf("ID %q, secret of %d characters", id, len(secret))
	}
	before := read(t, path)
	for wanted, want := range map[string]error{"backup job": ErrIDExists, "a:b": ErrInvalid, "#a": ErrInvalid} {
		if _, _, err := CreateID(path, wanted); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", wanted, err, want)
		}
	}
	if read(t, path) != before {
		t.Error("the file was changed")
	}
	c, err := Open(Config{Path: path, ID: "flags", Secret: "x"})
	must(t, err)
	if !opens(t, c, id, secret) {
		t.Error("the pair does not open")
	}
	if got := c.IDs(); !slices.Equal(got, []string{"backup job", "flags"}) {
		t.Errorf("IDs %q", got)
	}
}
