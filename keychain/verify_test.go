package keychain

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestLookupsAreByteExact(t *testing.T) {
	c, _ := open(t, "KeyID", "SecretText")
	if !opens(t, c, "KeyID", "SecretText") {
		t.Fatal("the right pair is refused")
	}
	for _, pair := range [][2]string{
		{"keyID", "SecretText"},
		{"KEYID", "SecretText"},
		{"KeyID", "secretText"},
		{"KeyID", "SECRETTEXT"},
		{"KeyID ", "SecretText"},
		{" KeyID", "SecretText"},
		{"KeyID", "SecretText "},
		{"KeyID", "SecretTex"},
		{"KeyID\x00", "SecretText"},
		{"KeyID", "SecretText\x00"},
		{"KeyID", "SecretText\x00SecretText"},
		{"KeyIDS", "ecretText"},
		{"KeyI", "DSecretText"},
		{"", "SecretText"},
		{"KeyID", ""},
		{"", ""},
	} {
		if opens(t, c, pair[0], pair[1]) {
			t.Errorf("%q opens", pair)
		}
	}
	secret := []byte("SecretText")
	for bit := range len(secret) * 8 {
		flipped := bytes.Clone(secret)
		flipped[bit/8] ^= 1 << (bit % 8)
		if opens(t, c, "KeyID", string(flipped)) {
			t.Errorf("bit %d flipped: opens", bit)
		}
	}
}

func TestSecretOfMoreThan72BytesIsRefusedBeforeBcrypt(t *testing.T) {
	full := strings.Repeat("x", 72)
	c, n := open(t, "id", full)
	for _, secret := range []string{full + "y", full + full, "", "x\x00x"} {
		for _, id := range []string{"id", "unknown"} {
			if _, err := c.Verify(t.Context(), id, secret, nil); err != ErrRefused {
				t.Errorf("%d bytes for %s: %v, want ErrRefused", len(secret), id, err)
			}
		}
	}
	if runs, _ := n.reset(); runs != 0 {
		t.Errorf("%d comparisons, want 0", runs)
	}
	if !opens(t, c, "id", full) || opens(t, c, "id", full[1:]) {
		t.Error("72 bytes do not open, or 71 do")
	}
}

func TestWrongAndUnknownCostTheSame(t *testing.T) {
	c, n := open(t, "known", "secret")
	verifyWrong := func(id string) (runs, costs int64) {
		if _, err := c.Verify(t.Context(), id, "wrong", nil); err != ErrRefused {
			t.Errorf("%.20q: got %v, want ErrRefused itself", id, err)
		}
		return n.reset()
	}
	n.reset()
	wantRuns, wantCosts := verifyWrong("known")
	for _, id := range []string{"unknown", "Known", "", "known:x", "\x00", "\xff", strings.Repeat("x", 255), strings.Repeat("x", 1<<20)} {
		if runs, costs := verifyWrong(id); runs != wantRuns || costs != wantCosts || runs != 1 {
			t.Errorf("%.20q costs %d comparisons (%d), a known ID %d (%d)", id, runs, costs, wantRuns, wantCosts)
		}
	}
	must(t, c.Reload())
	opens(t, c, "known", "secret") // remembered from here on
	n.reset()
	if runs, costs := verifyWrong("known"); runs != wantRuns || costs != wantCosts {
		t.Errorf("a wrong secret for a remembered key costs %d (%d)", runs, costs)
	}
}

func TestPairFromFlagsCostsTheSameWhenItIsGuessedWrong(t *testing.T) {
	for _, cfg := range []Config{{ID: "flag", Secret: "secret"}, {AllowPublished: true}} {
		n := new(counter)
		cfg.compare = n.compare
		c, err := Open(cfg)
		must(t, err)
		for _, id := range []string{"flag", DefaultID, "unknown"} {
			if opens(t, c, id, "wrong") {
				t.Errorf("%s opens", id)
			}
			if runs, costs := n.reset(); runs != 1 || costs != 1<<bcrypt.DefaultCost {
				t.Errorf("%s costs %d comparisons (%d)", id, runs, costs)
			}
		}
	}
}

func TestUnknownIDsOfAMixedKeychainCostWhatItsKeysDo(t *testing.T) {
	path, n := tempPath(t), new(counter)
	var content []byte
	for i, cost := range []int{5, 5, 5, 7} {
		content = fmt.Appendf(content, "key%d:%s\n", i, unmatchable(cost))
	}
	must(t, os.WriteFile(path, content, 0o600))
	c, err := Open(Config{Path: path, compare: n.compare})
	must(t, err)
	seen := map[int64]int{}
	for i := range 400 {
		id := fmt.Sprint("unknown", i)
		opens(t, c, id, "wrong")
		_, first := n.reset()
		opens(t, c, id, "wrong again")
		if _, second := n.reset(); first != second {
			t.Fatalf("%s costs %d and then %d", id, first, second)
		}
		seen[first]++
	}
	if seen[1<<5]+seen[1<<7] != 400 || seen[1<<7] < 50 || seen[1<<7] > 150 {
		t.Errorf("costs came up as %v, want a quarter of 2^7 and the rest 2^5", seen)
	}
}

func TestGoodPairIsRememberedAndWrongOnesAreNot(t *testing.T) {
	c, n := open(t, "id", "secret")
	for range 10 {
		opens(t, c, "id", "secret")
	}
	if runs, _ := n.reset(); runs != 1 {
		t.Errorf("a good pair ten times costs %d comparisons, want 1", runs)
	}
	for range 10 {
		opens(t, c, "id", "wrong")
	}
	if runs, _ := n.reset(); runs != 10 {
		t.Errorf("a wrong pair ten times costs %d comparisons, want 10", runs)
	}
}

func TestWrongGuessesEvictNothing(t *testing.T) {
	path := tempPath(t)
	write(t, path, "one", "secret 1", "two", "secret 2")
	runs := 0
	c, err := Open(Config{Path: path, compare: func(_, secret string) bool {
		runs++
		return strings.HasPrefix(secret, "secret ")
	}})
	must(t, err)
	opens(t, c, "one", "secret 1")
	opens(t, c, "two", "secret 2")
	for i := range 5000 {
		opens(t, c, []string{"one", fmt.Sprint("unknown", i)}[i%2], fmt.Sprint("guess", i))
	}
	if runs != 5002 {
		t.Fatalf("%d comparisons, want 5002", runs)
	}
	if !opens(t, c, "one", "secret 1") || !opens(t, c, "two", "secret 2") || runs != 5002 {
		t.Error("a pair that was remembered is not any more")
	}
	if len(c.checks.open) != 0 || len(c.table.Load().entries) != 2 {
		t.Error("the flood left something behind")
	}
}

func TestTagIsHMACOfTheFramedTriple(t *testing.T) {
	tags := newTagger()
	var key [sha256.BlockSize]byte
	for i := range key {
		key[i] = tags.inner[i] ^ 0x36
	}
	for _, c := range [][3]string{{hash2a, "id", "secret"}, {hash2a, "", ""}, {hash2a, strings.Repeat("i", maxID), strings.Repeat("s", maxSecret)}} {
		mac := hmac.New(sha256.New, key[:])
		for _, part := range c {
			mac.Write([]byte{byte(len(part) >> 8), byte(len(part))})
			mac.Write([]byte(part))
		}
		if got := tags.of(c[0], c[1], c[2]); !hmac.Equal(got[:], mac.Sum(nil)) {
			t.Errorf("tag of %.20q is not its HMAC", c)
		}
	}
	if newTagger().of(hash2a, "id", "secret") == tags.of(hash2a, "id", "secret") {
		t.Error("two processes make the same tag")
	}
	if tags.of(hash2a, "ab", "c") == tags.of(hash2a, "a", "bc") || tags.of(hash2a, "id", "s") == tags.of(hash2b, "id", "s") {
		t.Error("different triples have the same tag")
	}
}

func TestKeyRemovedDuringItsComparisonDoesNotOpen(t *testing.T) {
	path := tempPath(t)
	write(t, path, "id", "secret", "other", "secret")
	entered, let := make(chan bool), make(chan bool)
	c, err := Open(Config{Path: path, Required: true, compare: func(hash, secret string) bool {
		entered <- true
		<-let
		return compareBcrypt(hash, secret)
	}})
	must(t, err)
	result := make(chan error)
	go func() {
		_, err := c.Verify(t.Context(), "id", "secret", nil)
		result <- err
	}()
	<-entered
	must(t, Remove(path, "id"))
	must(t, c.Reload())
	let <- true
	<-entered // compared again with what the file says now
	let <- true
	if err := <-result; err != ErrRefused {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

func TestCanarySecretIsInNoErrorOfVerify(t *testing.T) {
	c, _ := open(t, "id", "right")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), ended} {
		for _, secret := range []string{"canary", strings.Repeat("canary", 20)} {
			if _, err := c.Verify(ctx, "canary", secret, nil); err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v", err)
			}
		}
	}
}

func TestParallelVerifyAndReload(t *testing.T) {
	c, _ := open(t, "a", "secret a", "b", "secret b")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				switch (g + i) % 4 {
				case 0:
					must(t, c.Reload())
				case 1:
					c.Verify(t.Context(), "b", "wrong", nil)
				default:
					if _, err := c.Verify(t.Context(), "a", "secret a", nil); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestRememberedPairDoesNotAllocate(t *testing.T) {
	id, secret := randomText(idText, idLen), randomText(secretText, secretLen)
	c, _ := open(t, id, secret)
	ctx := t.Context()
	c.Verify(ctx, id, secret, nil)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := c.Verify(ctx, id, secret, nil); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
