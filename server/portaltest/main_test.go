package portaltest

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"wavegate/server/gatetest"
	"wavegate/server/portal/browsertest"
)

// patience is how long something may take that must happen: usage is written every
// ten seconds.
const patience = 30 * time.Second

// program is wavegate as it is shipped, built by TestMain.
var program gatetest.Program

// chromium is what all tests open windows of.
var chromium browsertest.Shared

// proved holds the kinds of pages that axe-core has seen, by how they are looked at.
var proved sync.Map

func TestMain(m *testing.M) {
	gatetest.Main(m, &program)
	if err := chromium.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
