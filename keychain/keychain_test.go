package keychain

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// opens reports whether the pair opens the keychain.
func opens(t *testing.T, c *Keychain, id, secret string) bool {
	t.Helper()
	key, err := c.Verify(t.Context(), id, secret, nil)
	if err != nil && !errors.Is(err, ErrRefused) {
		t.Fatalf("Verify(%s) = %v", id, err)
	}
	return key != nil && err == nil
}

func TestValidateNamesEveryProblemAndNoSecret(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
	secret := strings.Repeat("canary", 20)
	err := Config{Required: true, ID: "a:b", Secret: secret, Workers: -1, Queue: -1}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"no file is named", "ID holds a ':'", "longer than 72", "workers", "queue"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("error shows the secret: %v", err)
	}
	for _, c := range []Config{{ID: "a"}, {Secret: "b"}} {
		if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "without its") {
			t.Errorf("half a pair: %v", err)
		}
	}
}

func TestEmptyOrMissingKeychainOpensNothing(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	must(t, os.WriteFile(empty, []byte("# nobody\n"), 0o600))
	for _, path := range []string{"", empty, filepath.Join(dir, "missing")} {
		c, err := Open(Config{Path: path, compare: new(counter).compare})
		must(t, err)
		if c.Len() != 0 || c.Published() || opens(t, c, DefaultID, DefaultSecret) || opens(t, c, "", "x") {
			t.Errorf("keychain %q opens", path)
		}
	}
	if _, err := Open(Config{Path: empty, Required: true, AllowPublished: true}); !errors.Is(err, ErrNoKeys) || !strings.Contains(err.Error(), empty) {
		t.Errorf("required and empty: %v", err)
	}
	if _, err := Open(Config{Path: filepath.Join(dir, "missing"), Required: true, AllowPublished: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("required and missing: %v", err)
	}
}

func TestBrokenKeychainIsAnErrorAlsoWhenNotRequired(t *testing.T) {
	path := tempPath(t)
	must(t, os.WriteFile(path, []byte("broken\n"), 0o600))
	_, err := Open(Config{Path: path, AllowPublished: true})
	if e, ok := errors.AsType[*LineError](err); !ok || e.Line != 1 {
		t.Errorf("got %v, want the line", err)
	}
}

func TestPublishedPairIsThereOnlyWhileThereWereNoKeys(t *testing.T) {
	path := tempPath(t)
	c, err := Open(Config{Path: path, AllowPublished: true, compare: new(counter).compare})
	must(t, err)
	key, err := c.Verify(t.Context(), DefaultID, DefaultSecret, nil)
	if err != nil || !key.Published || !c.Published() || c.Len() != 1 {
		t.Fatalf("published pair: %+v, %v", key, err)
	}
	if opens(t, c, DefaultID, "wrong") {
		t.Error("a wrong secret opens")
	}
	must(t, c.Reload())
	if key.Ended().Err() != nil || !opens(t, c, DefaultID, DefaultSecret) {
		t.Error("a reload without change ended the published key")
	}
	write(t, path, "mine", "secret")
	must(t, c.Reload())
	if opens(t, c, DefaultID, DefaultSecret) || c.Published() || key.Ended().Err() == nil {
		t.Error("the published pair stays beside real keys")
	}
	if !opens(t, c, "mine", "secret") {
		t.Error("the real key does not open")
	}
	must(t, Remove(path, "mine"))
	must(t, c.Reload())
	if c.Len() != 0 || opens(t, c, DefaultID, DefaultSecret) || opens(t, c, "mine", "secret") {
		t.Error("a keychain whose keys were all removed opens")
	}
}

func TestPublishedPairIsMarkedHoweverItGotIn(t *testing.T) {
	c, err := Open(Config{ID: DefaultID, Secret: DefaultSecret})
	must(t, err)
	key, err := c.Verify(t.Context(), DefaultID, DefaultSecret, nil)
	if err != nil || !key.Published || !c.Published() {
		t.Errorf("from flags: %+v, %v", key, err)
	}
	c, _ = open(t, DefaultID, DefaultSecret, "other", DefaultSecret)
	key, err = c.Verify(t.Context(), DefaultID, DefaultSecret, nil)
	if err != nil || !key.Published || !c.Published() {
		t.Errorf("from the file: %+v, %v", key, err)
	}
	if key, err := c.Verify(t.Context(), "other", DefaultSecret, nil); err != nil || key.Published {
		t.Errorf("another ID with the published secret: %+v, %v", key, err)
	}
	for _, pair := range [][2]string{{DefaultID, "of my own"}, {"mine", DefaultSecret}} {
		c, err := Open(Config{ID: pair[0], Secret: pair[1]})
		must(t, err)
		if key, err := c.Verify(t.Context(), pair[0], pair[1], nil); err != nil || key.Published || c.Published() {
			t.Errorf("%v: %+v, %v", pair, key, err)
		}
	}
}

func TestPairFromFlagsLivesBesideTheFile(t *testing.T) {
	path := tempPath(t)
	write(t, path, "file", "secret one")
	n := new(counter)
	c, err := Open(Config{Path: path, ID: "flag", Secret: "secret two", AllowPublished: true, compare: n.compare})
	must(t, err)
	if !opens(t, c, "file", "secret one") || !opens(t, c, "flag", "secret two") || c.Len() != 2 {
		t.Error("the two do not open")
	}
	if opens(t, c, DefaultID, DefaultSecret) || opens(t, c, "flag", "secret one") {
		t.Error("something else opens")
	}
	key, err := c.Verify(t.Context(), "flag", "secret two", nil)
	must(t, err)
	must(t, Remove(path, "file"))
	must(t, c.Reload())
	if !opens(t, c, "flag", "secret two") || key.Ended().Err() != nil {
		t.Error("the pair from flags went with the file's keys")
	}
}

// TestPairFromFlagsMayBeInTheFileToo is the workflow of -create-access-key >>.env
// and then a start with that .env.
func TestPairFromFlagsMayBeInTheFileToo(t *testing.T) {
	path := tempPath(t)
	write(t, path, "both", "secret", "other", "another")
	n := new(counter)
	c, err := Open(Config{Path: path, Required: true, ID: "both", Secret: "secret", compare: n.compare})
	must(t, err)
	if runs, _ := n.reset(); runs != 1 {
		t.Errorf("%d comparisons at load, want 1", runs)
	}
	key, err := c.Verify(t.Context(), "both", "secret", nil)
	must(t, err)
	must(t, c.Reload())
	if !opens(t, c, "both", "secret") || c.Len() != 2 {
		t.Error("the pair does not open")
	}
	if runs, _ := n.reset(); runs != 0 {
		t.Errorf("%d comparisons for a pair that was compared at load", runs)
	}
	if opens(t, c, "both", "another") || opens(t, c, "other", "secret") {
		t.Error("something else opens")
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"the line goes", func() error { return Remove(path, "both") }},
		{"the line comes back", func() error { return (File{Path: path}).put("both", "secret", minCost, false) }},
		{"the line has a new hash", func() error { return (File{Path: path}).put("both", "secret", minCost, true) }},
	} {
		must(t, step.do())
		must(t, c.Reload())
		if !opens(t, c, "both", "secret") || opens(t, c, "both", "wrong") || key.Ended().Err() != nil {
			t.Errorf("%s: the pair that was given changed", step.name)
		}
	}
}

func TestPairFromFlagsWithAnotherSecretThanTheFileIsRefused(t *testing.T) {
	path := tempPath(t)
	write(t, path, "other", "x", "both", "secret-of-the-file")
	c := Config{Path: path, ID: "both", Secret: "secret-that-was-given"}
	_, err := Open(c)
	e, ok := errors.AsType[*LineError](err)
	if !ok || e.Path != path || e.Line != 2 {
		t.Fatalf("got %v, want the line", err)
	}
	for _, want := range []string{"both", "correct -access-key-secret", "remove this line with -remove-access-key both"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secret-") {
		t.Errorf("error shows a secret: %v", err)
	}

	must(t, Remove(path, "both"))
	k, err := Open(c)
	must(t, err)
	write(t, path, "both", "secret-of-the-file")
	if err := k.Reload(); err == nil {
		t.Error("a reload takes another secret for the ID that was given")
	}
	if !opens(t, k, "other", "x") || !opens(t, k, "both", "secret-that-was-given") || opens(t, k, "both", "secret-of-the-file") {
		t.Error("a refused reload changed the keys")
	}
}

func TestFileThatCannotBeReadSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for path, want := range map[string]string{
		dir:                          "not a regular file: name a file with -access-keychain",
		filepath.Join(dir, "none"):   "no such file or directory: create a key in it, or leave the keychain out",
		filepath.Join(file, "below"): "not a directory: check the path given with -access-keychain",
	} {
		_, err := Open(Config{Path: path, Required: true})
		if want = "keychain " + path + ": " + want; err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestRemovedOrChangedKeyStopsAtOnceAndOthersKeepTheirMemory(t *testing.T) {
	c, n := open(t, "stays", "secret one", "goes", "secret two", "changes", "secret three")
	path := c.cfg.Path
	keys := map[string]*Key{}
	for id, secret := range map[string]string{"stays": "secret one", "goes": "secret two", "changes": "secret three"} {
		key, err := c.Verify(t.Context(), id, secret, nil)
		must(t, err)
		keys[id] = key
	}
	must(t, Remove(path, "goes"))
	must(t, (File{Path: path}).put("changes", "secret four", minCost, true))
	must(t, (File{Path: path}).put("comes", "secret five", minCost, false))
	must(t, c.Reload())
	n.reset()
	if !opens(t, c, "stays", "secret one") || keys["stays"].Ended().Err() != nil {
		t.Error("an unchanged key stopped")
	}
	if runs, _ := n.reset(); runs != 0 {
		t.Errorf("%d comparisons for a pair that was remembered before the reload", runs)
	}
	if again, _ := c.Verify(t.Context(), "stays", "secret one", nil); again != keys["stays"] {
		t.Error("an unchanged key is another *Key")
	}
	if opens(t, c, "goes", "secret two") || opens(t, c, "changes", "secret three") {
		t.Error("a removed or changed key still opens")
	}
	if keys["goes"].Ended().Err() == nil || keys["changes"].Ended().Err() == nil {
		t.Error("a removed or changed key has not ended")
	}
	if !opens(t, c, "changes", "secret four") || !opens(t, c, "comes", "secret five") || !c.Has("comes") || c.Has("goes") {
		t.Error("the new keys do not open")
	}
}

func TestSameSecretWithANewHashIsAnotherKey(t *testing.T) {
	c, _ := open(t, "id", "secret")
	before, err := c.Verify(t.Context(), "id", "secret", nil)
	must(t, err)
	write(t, c.cfg.Path, "id", "secret")
	must(t, c.Reload())
	after, err := c.Verify(t.Context(), "id", "secret", nil)
	must(t, err)
	if before == after || before.Ended().Err() == nil || after.Ended().Err() != nil {
		t.Error("the old key goes on under a new hash")
	}
}

func TestReloadOfABadOrMissingFileKeepsTheOldKeys(t *testing.T) {
	c, _ := open(t, "id", "secret")
	for name, spoil := range map[string]func(path string) error{
		"broken":     func(path string) error { return os.WriteFile(path, []byte("id:broken"), 0o600) },
		"missing":    os.Remove,
		"too large":  func(path string) error { return os.Truncate(path, maxFile+1) },
		"not a file": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		path := c.cfg.Path
		os.Remove(path)
		write(t, path, "id", "secret")
		must(t, c.Reload())
		key, err := c.Verify(t.Context(), "id", "secret", nil)
		must(t, err)
		must(t, spoil(path))
		if err := c.Reload(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if !opens(t, c, "id", "secret") || key.Ended().Err() != nil {
			t.Errorf("%s: the old key is gone", name)
		}
	}
}

func TestFileThatIsMadeLaterAndGoesIsAnError(t *testing.T) {
	path := tempPath(t)
	c, err := Open(Config{Path: path})
	must(t, err)
	must(t, c.Reload())
	write(t, path, "id", "secret")
	must(t, c.Reload())
	must(t, os.Remove(path))
	if err := c.Reload(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	if !c.Has("id") {
		t.Error("the keys went with the file")
	}
}

func TestKeysOfAFileThatIsGoneEnd(t *testing.T) {
	for _, required := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			path := tempPath(t)
			write(t, path, "id", "secret", "pair", "of settings")
			cfg := Config{Path: path, Required: required, ID: "pair", Secret: "of settings", AllowPublished: !required, compare: new(counter).compare}
			c, err := Open(cfg)
			must(t, err)
			key, pair := c.Key("id"), c.Key("pair")
			must(t, os.Remove(path))
			for _, left := range []time.Duration{grace, grace - 2*time.Second, time.Nanosecond} {
				if missing, ok := errors.AsType[*MissingError](c.Reload()); !ok || missing.Left > left || missing.Left <= 0 || !errors.Is(missing, fs.ErrNotExist) {
					t.Errorf("%v before the end: %+v", left, missing)
				}
				if key.Ended().Err() != nil || !opens(t, c, "id", "secret") {
					t.Errorf("%v before the end: the key has ended", left)
				}
				switch left {
				case grace:
					time.Sleep(2 * time.Second)
				case grace - 2*time.Second:
					time.Sleep(left - time.Nanosecond)
				default:
					time.Sleep(left)
				}
			}
			missing, ok := errors.AsType[*MissingError](c.Reload())
			if !ok || missing.Left != 0 || missing.Error() != "the keychain "+path+" is gone: its keys open nothing any more; put it back" {
				t.Errorf("at the end: %v", missing)
			}
			if key.Ended().Err() == nil || opens(t, c, "id", "secret") || opens(t, c, DefaultID, DefaultSecret) {
				t.Error("keys of a file that is gone open")
			}
			if pair.Ended().Err() != nil || !opens(t, c, "pair", "of settings") || c.Len() != 1 {
				t.Error("the pair of the settings went with the file")
			}
			must(t, c.Reload()) // it was said once
			time.Sleep(time.Hour)
			must(t, c.Reload())
			write(t, path, "id", "secret")
			must(t, c.Reload())
			if !opens(t, c, "id", "secret") || key.Ended().Err() == nil {
				t.Error("the file is back: its keys do not open, or an ended one lives again")
			}
			must(t, os.Remove(path))
			if missing, ok := errors.AsType[*MissingError](c.Reload()); !ok || missing.Left != grace || !c.Has("id") {
				t.Errorf("gone again: %v", missing)
			}
		})
	}
}

func TestFileThatIsMissingForAMomentEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := open(t, "id", "secret")
		path, key := c.cfg.Path, c.Key("id")
		for range 3 {
			must(t, os.Rename(path, path+".aside"))
			if err := c.Reload(); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v, want fs.ErrNotExist", err)
			}
			time.Sleep(grace - time.Millisecond)
			must(t, os.Rename(path+".aside", path))
			must(t, c.Reload())
			if key.Ended().Err() != nil || c.Key("id") != key {
				t.Fatal("the key has ended")
			}
		}
	})
}
