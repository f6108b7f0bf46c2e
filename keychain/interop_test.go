package keychain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"wavegate/keychain/filewatch"
)

// htpasswd runs Apache's program on a file. ok is false where it is missing and
// that may be.
func htpasswd(t *testing.T, args ...string) (output string, err error, ok bool) {
	t.Helper()
	program, err := exec.LookPath("htpasswd")
	if err != nil {
		missing := "htpasswd is missing, so the exchange with it is not tested: apt-get install apache2-utils"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Log(missing)
		return "", nil, false
	}
	all, err := exec.Command(program, args...).CombinedOutput()
	return string(all), err, true
}

func TestFileOfHtpasswdLoadsHere(t *testing.T) {
	path := tempPath(t)
	for i, pair := range [][2]string{{"jane", "secret one"}, {"john.doe@example.com", "sécret two"}} {
		flags := "-bB"
		if i == 0 {
			flags = "-bcB"
		}
		output, err, ok := htpasswd(t, flags, "-C", "4", path, pair[0], pair[1])
		if !ok {
			return
		}
		if err != nil {
			t.Fatalf("htpasswd: %v: %s", err, output)
		}
	}
	if !strings.Contains(read(t, path), ":$2y$") {
		t.Error("htpasswd wrote no $2y$ hash, which this test is about")
	}
	c, err := Open(Config{Path: path, Required: true})
	must(t, err)
	if !opens(t, c, "jane", "secret one") || !opens(t, c, "john.doe@example.com", "sécret two") || opens(t, c, "jane", "sécret two") {
		t.Error("the pairs of htpasswd do not open as they should")
	}
}

func TestFileWrittenHereLoadsInHtpasswd(t *testing.T) {
	path := tempPath(t)
	id, secret, err := Create(path)
	must(t, err)
	output, err, ok := htpasswd(t, "-vb", path, id, secret)
	if !ok {
		return
	}
	if err != nil {
		t.Errorf("htpasswd refuses the pair: %v: %s", err, output)
	}
	if _, err, _ := htpasswd(t, "-vb", path, id, secret+"x"); err == nil {
		t.Error("htpasswd takes a wrong secret")
	}
	if output, err, _ := htpasswd(t, "-bB", "-C", "4", path, "jane", "doe"); err != nil {
		t.Fatalf("htpasswd cannot add to the file: %v: %s", err, output)
	}
	if output, err, _ := htpasswd(t, "-D", path, id); err != nil {
		t.Fatalf("htpasswd cannot remove from the file: %v: %s", err, output)
	}
	c, err := Open(Config{Path: path, Required: true})
	must(t, err)
	if c.Len() != 1 || !opens(t, c, "jane", "doe") {
		t.Error("the file that htpasswd changed does not open as it should")
	}
}

// wavedSave and wavedLoad are the file format of waved: each line is ID, colon,
// hash and newline in any order of keys; a reader that skips empty lines, cuts
// at the first colon, and knows nothing else.
func wavedSave(keys map[string]string) []byte {
	var b bytes.Buffer
	for id, hash := range keys {
		fmt.Fprintf(&b, "%s:%s\n", id, hash)
	}
	return b.Bytes()
}

func wavedLoad(data []byte) (map[string]string, error) {
	keys := map[string]string{}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		id, hash, ok := strings.Cut(string(line), ":")
		switch {
		case len(line) == 0:
		case !ok || id == "" || hash == "":
			return nil, errors.New("invalid entry found in keychain")
		default:
			keys[id] = hash
		}
	}
	return keys, nil
}

func TestFilesGoToWavedAndComeBack(t *testing.T) {
	path := tempPath(t)
	theirs := map[string]string{
		randomText(idText, 20): hashOf(t, "secret one", bcrypt.MinCost),
		randomText(idText, 20): hashOf(t, "secret one", bcrypt.MinCost),
	}
	for _, content := range [][]byte{wavedSave(theirs), bytes.TrimSuffix(wavedSave(theirs), []byte("\n"))} {
		must(t, os.WriteFile(path, content, 0o600))
		c, err := Open(Config{Path: path, Required: true})
		must(t, err)
		for id := range theirs {
			if !opens(t, c, id, "secret one") {
				t.Errorf("waved's key does not open here")
			}
		}
		id, secret, err := create(path, "", bcrypt.MinCost)
		must(t, err)
		back, err := wavedLoad([]byte(read(t, path)))
		must(t, err)
		if len(back) != 3 || bcrypt.CompareHashAndPassword([]byte(back[id]), []byte(secret)) != nil {
			t.Errorf("waved finds %d keys, or not the new one", len(back))
		}
	}
}

func TestRunningKeychainFollowsItsFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "link")
	target := func(name string) string { return filepath.Join(dir, name) }
	write(t, target("v1"), "one", "secret")
	must(t, os.Symlink("v1", path))
	watcher, err := filewatch.New([]string{path})
	must(t, err)
	c, err := Open(Config{Path: path, Required: true})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	reloads := make(chan bool, 1000)
	go func() { ended <- watcher.Run(ctx, func() { c.Reload(); reloads <- true }) }()
	defer func() {
		cancel()
		must(t, <-ended)
	}()
	wait := func(what, id string, want bool) {
		t.Helper()
		deadline := time.After(10 * time.Second) // 2 s is promised; the machine may be slow
		for c.Has(id) != want {
			select {
			case <-reloads:
			case <-deadline:
				t.Fatalf("%s: Has(%s) = %v", what, id, !want)
			}
		}
	}
	must(t, (File{Path: path}).put("two", "secret", minCost, false))
	wait("added", "two", true)
	must(t, Remove(path, "one"))
	wait("removed", "one", false)
	write(t, target("v1"), "written", "secret")
	wait("written in place", "written", true)
	write(t, target("v2"), "swapped", "secret")
	must(t, os.Symlink("v2", target("link.new")))
	must(t, os.Rename(target("link.new"), path))
	wait("symlink swapped", "swapped", true)
	write(t, target("v3"), "renamed", "secret")
	must(t, os.Rename(target("v3"), target("v2")))
	wait("renamed over", "renamed", true)
	must(t, os.Remove(target("v2")))
	write(t, target("v2"), "back", "secret")
	wait("removed and made again", "back", true)
}
