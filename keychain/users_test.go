package keychain

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/google/go-cmp/cmp"
)

// usersFile makes a users file of alternating names and passwords.
func usersFile(t testing.TB, pairs ...string) File {
	t.Helper()
	f := Users(filepath.Join(t.TempDir(), ".wave-users"))
	write(t, f.Path, pairs...)
	return f
}

func openUsers(t testing.TB, f File) *Keychain {
	t.Helper()
	c, err := Open(Config{Kind: LocalUsers, Path: f.Path, Required: true, compare: new(counter).compare})
	must(t, err)
	return c
}

func TestUserIsAddedVerifiedListedAndRemoved(t *testing.T) {
	f := usersFile(t)
	must(t, f.put("jane doe", "correct horse", minCost, false))
	must(t, f.put("ünï@example.com", "battery staple", minCost, false))
	c := openUsers(t, f)
	if !opens(t, c, "jane doe", "correct horse") || opens(t, c, "jane doe", "battery staple") || opens(t, c, "Jane Doe", "correct horse") {
		t.Error("not the right password, and that alone, opens")
	}
	must(t, f.Remove("jane doe"))
	names, err := f.List()
	must(t, err)
	if diff := cmp.Diff([]string{"ünï@example.com"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	must(t, c.Reload())
	if opens(t, c, "jane doe", "correct horse") {
		t.Error("a removed user opens")
	}
}

func TestNamesThatDifferOnlyByCaseAreNotTwoUsers(t *testing.T) {
	f := usersFile(t, "Jané", "x")
	before := read(t, f.Path)
	for _, name := range []string{"jané", "JANÉ", "Jané"} {
		for what, err := range map[string]error{"CanAdd": f.CanAdd(name), "Add": f.put(name, "correct horse", minCost, false)} {
			if !errors.Is(err, ErrIDExists) || !strings.Contains(err.Error(), `users file `+f.Path+`: user "Jané" is there`) {
				t.Errorf("%s of %q: %v", what, name, err)
			}
		}
	}
	if err := f.put("JANÉ", "correct horse", minCost, true); !errors.Is(err, ErrIDExists) || !strings.Contains(err.Error(), "only by case") {
		t.Errorf("Set: %v", err)
	}
	if read(t, f.Path) != before {
		t.Error("the file was changed")
	}
	keys := File{Path: f.Path}
	if err := keys.CanAdd("jané"); err != nil {
		t.Errorf("access keys are compared byte by byte: %v", err)
	}
}

func TestCanAdd(t *testing.T) {
	f := usersFile(t, "jane", "x")
	if err := f.CanAdd("john"); err != nil {
		t.Errorf("a new name: %v", err)
	}
	if err := Users(f.Path + "none").CanAdd("john"); err != nil {
		t.Errorf("without a file: %v", err)
	}
	for _, name := range []string{"", " jane", "jane ", "\u00a0jane", "a:b", "a\nb", "a\tb", "#jane", "a\u200bb", "\xff", strings.Repeat("x", 256)} {
		if err := f.CanAdd(name); !errors.Is(err, ErrInvalid) || !strings.HasPrefix(err.Error(), "the name ") {
			t.Errorf("%q: %v, want ErrInvalid", name, err)
		}
	}
	must(t, os.WriteFile(f.Path, []byte("broken\n"), 0o600))
	if e, ok := errors.AsType[*LineError](f.CanAdd("john")); !ok || e.Line != 1 || !strings.Contains(e.Reason, "the name and its hash") {
		t.Errorf("a broken file: %v", e)
	}
}

func TestCheckPassword(t *testing.T) {
	for _, good := range []string{"12345678", "püssword", " 8 chars", "日本語日本語日本", strings.Repeat("x", 72)} {
		if err := CheckPassword(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"":                       "the password is empty",
		"1234567":                "the password has fewer than 8 characters",
		"日本語日本語日":                "the password has fewer than 8 characters",
		strings.Repeat("x", 73):  "the password is longer than 72 bytes",
		strings.Repeat("日", 25):  "the password is longer than 72 bytes",
		"canary\x00canary":       "the password holds a NUL byte",
		"canary\xffcanarycanary": "the password is not UTF-8 text",
	} {
		err := CheckPassword(bad)
		if !errors.Is(err, ErrInvalid) || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v, want %s", bad, err, want)
		}
	}
	f := usersFile(t)
	for what, err := range map[string]error{"Add": f.Add("jane", "1234567"), "Set": f.Set("jane", "1234567"), "Change": f.Change("jane", "", "1234567")} {
		if !errors.Is(err, ErrInvalid) || err.Error() != "the password has fewer than 8 characters" {
			t.Errorf("%s takes a short password: %v", what, err)
		}
	}
}

func TestErrorsSpeakOfUsersWhereTheFileIsOfUsers(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	must(t, os.WriteFile(empty, nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "broken"), []byte("jane: x\n"), 0o600))
	openAt := func(path string) error {
		_, err := Open(Config{Kind: LocalUsers, Path: path, Required: true})
		return err
	}
	_, listErr := Users(dir).List()
	for want, err := range map[string]error{
		"holds no users: add a user with --create-user NAME, or leave --users-file out": openAt(empty),
		"no such file or directory: add a user with --create-user NAME":                 openAt(filepath.Join(dir, "none")),
		"name a file with --users-file":                                                 openAt(dir),
		"broken:1: what follows the ':' is not a bcrypt":                                openAt(filepath.Join(dir, "broken")),
		`: user "bob" is not there`:                                                     Users(empty).Remove("bob"),
		"users file: ":                                                                  listErr,
		"users come from the file alone":                                                Config{Kind: LocalUsers, ID: "a", Secret: "b"}.Validate(),
		"users file: users come":                                                        Config{Kind: LocalUsers, AllowPublished: true}.Validate(),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "key") {
			t.Errorf("got %v, want %q and no word of keys", err, want)
		}
	}
	if err := openAt(empty); !errors.Is(err, ErrNoKeys) {
		t.Errorf("got %v, want ErrNoKeys", err)
	}
	if err := openAt(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestNoUserIsThePublishedPair(t *testing.T) {
	c := openUsers(t, usersFile(t, DefaultID, DefaultSecret))
	if key := c.Key(DefaultID); key == nil || key.Published || c.Published() {
		t.Error("a user of that name counts as published")
	}
}

func TestStampChangesWhenTheLineDoes(t *testing.T) {
	f := usersFile(t, "jane", "first password", "john", "other password")
	c := openUsers(t, f)
	first, ok := c.Stamp("jane")
	if !ok || len(first) != 16 || strings.Trim(first, "0123456789abcdef") != "" {
		t.Fatalf("stamp %q, %v", first, ok)
	}
	key, err := c.Verify(t.Context(), "jane", "first password", nil)
	must(t, err)
	if key.Stamp != first || c.Key("jane") != key {
		t.Errorf("the verified key has stamp %q, want %q", key.Stamp, first)
	}
	if again, _ := openUsers(t, f).Stamp("jane"); again != first {
		t.Error("a restart changes the stamp")
	}
	john, _ := c.Stamp("john")
	if john == first {
		t.Error("two users have one stamp")
	}
	must(t, os.WriteFile(f.Path, []byte("# moved\r\n"+strings.ReplaceAll(read(t, f.Path), "\n", " \r\n")), 0o600))
	must(t, c.Reload())
	if same, _ := c.Stamp("jane"); same != first || key.Ended().Err() != nil {
		t.Error("the stamp is of more than name and hash")
	}
	must(t, f.put("jane", "first password", minCost, true)) // the same again: a new salt
	must(t, c.Reload())
	second, _ := c.Stamp("jane")
	if second == first || key.Ended().Err() == nil {
		t.Error("a password that was set anew keeps the stamp, or the key")
	}
	if same, _ := c.Stamp("john"); same != john {
		t.Error("another user's stamp changed")
	}
	must(t, f.Remove("jane"))
	must(t, c.Reload())
	if stamp, ok := c.Stamp("jane"); ok || stamp != "" || c.Key("jane") != nil {
		t.Error("a removed user has a stamp or a key")
	}
}

func TestStampOfThePairFromFlagsIsOfItsSecret(t *testing.T) {
	stamp := func(cfg Config) string {
		c, err := Open(cfg)
		must(t, err)
		s, ok := c.Stamp("flag")
		if key := c.Key("flag"); !ok || len(s) != 16 || key.Stamp != s {
			t.Errorf("stamp %q, %v", s, ok)
		}
		return s
	}
	path := tempPath(t)
	write(t, path, "flag", "secret")
	first := stamp(Config{ID: "flag", Secret: "secret"})
	if again := stamp(Config{ID: "flag", Secret: "secret", Path: path}); again != first {
		t.Error("another process, which finds the pair in the file too, makes another stamp")
	}
	if other := stamp(Config{ID: "flag", Secret: "Secret"}); other == first {
		t.Error("another secret has the same stamp")
	}
	c, err := Open(Config{AllowPublished: true})
	must(t, err)
	if s, ok := c.Stamp(DefaultID); ok || s != "" {
		t.Errorf("the published pair that stands in has the stamp %q", s)
	}
}

func TestStampDoesNotAllocate(t *testing.T) {
	c := openUsers(t, usersFile(t, "jane", "x"))
	if n := testing.AllocsPerRun(100, func() { c.Stamp("jane"); c.Stamp("nobody") }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestChangeTakesTheNewPasswordAndNotTheOld(t *testing.T) {
	f := usersFile(t, "jane", "first password", "john", "other password")
	c := openUsers(t, f)
	key := c.Key("jane")
	must(t, f.change("jane", key.Stamp, "second password", minCost))
	must(t, c.Reload())
	if opens(t, c, "jane", "first password") || !opens(t, c, "jane", "second password") || !opens(t, c, "john", "other password") {
		t.Error("the passwords are not the new ones")
	}
	if key.Ended().Err() == nil || c.Key("jane").Stamp == key.Stamp {
		t.Error("the old key goes on")
	}
}

func TestChangeOfAChangedLineIsRefused(t *testing.T) {
	f := usersFile(t, "jane", "first password")
	stamp, _ := openUsers(t, f).Stamp("jane")
	must(t, f.put("jane", "by the operator", minCost, true))
	before := read(t, f.Path)
	err := f.change("jane", stamp, "second password", minCost)
	if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), `user "jane" was changed`) || strings.Contains(err.Error(), "password") {
		t.Errorf("got %v, want ErrChanged", err)
	}
	if err := f.change("jane", "", "second password", minCost); !errors.Is(err, ErrChanged) {
		t.Errorf("without a stamp: %v", err)
	}
	if read(t, f.Path) != before {
		t.Error("the file was changed")
	}
}

func TestChangeDoesNotBringARemovedUserBack(t *testing.T) {
	f := usersFile(t, "jane", "first password", "john", "other password")
	stamp, _ := openUsers(t, f).Stamp("jane")
	must(t, f.Remove("jane"))
	if err := f.change("jane", stamp, "second password", minCost); !errors.Is(err, ErrUnknownID) {
		t.Errorf("got %v, want ErrUnknownID", err)
	}
	must(t, os.Remove(f.Path))
	if err := f.change("jane", stamp, "second password", minCost); !errors.Is(err, ErrUnknownID) {
		t.Errorf("without a file: %v", err)
	}
	if _, err := os.Stat(f.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was made")
	}
}

func TestRacingChangesHaveOneWinner(t *testing.T) {
	f := usersFile(t, "jane", "first password")
	stamp, _ := openUsers(t, f).Stamp("jane")
	errs := make([]error, 20)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = f.change("jane", stamp, "password of "+string(rune('a'+i)), minCost) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatal("two changes of one line succeeded")
		case err == nil:
			winner = i
		case !errors.Is(err, ErrChanged):
			t.Error(err)
		}
	}
	if winner < 0 || !opens(t, openUsers(t, f), "jane", "password of "+string(rune('a'+winner))) {
		t.Errorf("the password is not the winner's (%d)", winner)
	}
}

func TestChangeWritesAnHonestHash(t *testing.T) {
	f := usersFile(t, "jane", "first password")
	stamp, _ := openUsers(t, f).Stamp("jane")
	must(t, f.Change("jane", stamp, "second password"))
	records, err := f.records()
	must(t, err)
	if cost := costOf(records[0].hash); cost != bcrypt.DefaultCost || !compareBcrypt(records[0].hash, "second password") {
		t.Errorf("cost %d, or another password", cost)
	}
}

func TestNewPasswordIsOneThatCheckPasswordTakes(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		p := NewPassword()
		if err := CheckPassword(p); err != nil || seen[p] || strings.ContainsAny(p, "ilo01ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			t.Fatalf("%q: %v", p, err)
		}
		if groups := strings.Split(p, "-"); len(groups) != 4 || len(p) != personLen+3 {
			t.Fatalf("%q: want four groups of five", p)
		}
		seen[p] = true
	}
}
