package keychain

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// TestMain runs the tests, or, when the environment says so, is one of the
// processes that the tests start.
func TestMain(m *testing.M) {
	if role := os.Getenv("KEYCHAIN_TEST_ROLE"); role != "" {
		playRole(role, os.Getenv("KEYCHAIN_TEST_PATH"))
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hashOf returns a cheap hash of a secret.
func hashOf(t testing.TB, secret string, cost int) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), cost)
	must(t, err)
	return string(hash)
}

// write makes a keychain file of alternating IDs and secrets.
func write(t testing.TB, path string, pairs ...string) {
	t.Helper()
	var content []byte
	for i := 0; i < len(pairs); i += 2 {
		content = fmt.Appendf(content, "%s:%s\n", pairs[i], hashOf(t, pairs[i+1], bcrypt.MinCost))
	}
	must(t, os.WriteFile(path, content, 0o600))
}

func tempPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), ".wave-keychain")
}

// A counter counts the bcrypt comparisons and their cost.
type counter struct {
	runs  atomic.Int64
	costs atomic.Int64 // sum of 2^cost
}

func (c *counter) compare(hash, secret string) bool {
	c.runs.Add(1)
	c.costs.Add(1 << costOf(hash))
	if costOf(hash) > bcrypt.MinCost {
		return false // stand-ins of real cost, which nothing matches
	}
	return compareBcrypt(hash, secret)
}

// reset returns the number of comparisons and the sum of their costs so far and
// begins at zero.
func (c *counter) reset() (runs, costs int64) { return c.runs.Swap(0), c.costs.Swap(0) }

// open makes a Keychain of the pairs whose comparisons are counted.
func open(t testing.TB, pairs ...string) (*Keychain, *counter) {
	t.Helper()
	path, n := tempPath(t), new(counter)
	write(t, path, pairs...)
	c, err := Open(Config{Path: path, Required: true, compare: n.compare})
	must(t, err)
	return c, n
}
