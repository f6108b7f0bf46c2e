// Package browsertest shows pages to a real browser in tests: at the sizes of a
// phone and a desktop, light and dark, and says what a person or the browser
// would complain about. Only tests may import it; it is not part of the program.
package browsertest

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// A Look is a way of looking at a page.
type Look struct {
	Name          string // "phone-dark", also part of a screenshot's name
	Width, Height int64  // CSS pixels
	Phone, Dark   bool
	NoScript      bool   // the browser runs no scripts of pages
	Agent         string // what the browser calls itself; "" is the truth
}

// Looks returns the four looks that every page must bear.
func Looks() []Look {
	return []Look{
		{Name: "desktop-light", Width: 1280, Height: 800},
		{Name: "desktop-dark", Width: 1280, Height: 800, Dark: true},
		{Name: "phone-light", Width: 390, Height: 844, Phone: true},
		{Name: "phone-dark", Width: 390, Height: 844, Phone: true, Dark: true},
	}
}

// A Browser is a running headless Chromium. It ends with its test.
type Browser struct {
	ctx context.Context
}

// An Option changes how a browser is started.
type Option = chromedp.ExecAllocatorOption

// Trusting makes the browser take a certificate as if a known authority had
// signed it: everything is cached and remembered as on any other site.
func Trusting(cert *x509.Certificate) Option {
	key := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(key[:]))
}

// Start starts a browser. Where there is none the test is skipped, and in
// continuous integration (CI is set) it fails.
func Start(t *testing.T, options ...Option) *Browser {
	t.Helper()
	b, stop, err := launch(chromium(t), t.TempDir(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// launch starts the browser at a path. What it keeps is in dir; stop ends it.
func launch(path, dir string, options ...Option) (b *Browser, stop func() error, err error) {
	alloc, end := chromedp.NewExecAllocator(context.Background(), append([]Option{
		chromedp.ExecPath(path), chromedp.UserDataDir(dir),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("lang", "en-US"),
	}, options...)...)
	ctx, cancel := chromedp.NewContext(alloc)
	stop = func() error {
		defer end()
		defer cancel()
		if err := chromedp.Cancel(ctx); err != nil {
			return fmt.Errorf("stop the browser: %w", err)
		}
		return nil
	}
	if err := chromedp.Do(ctx); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start %s: %w", path, err), stop())
	}
	return &Browser{ctx: ctx}, stop, nil
}

// Private returns a window of b that shares nothing with the others: it has
// cookies, a cache and a history of its own, as another person's browser has. It
// ends with the test.
func (b *Browser) Private(t *testing.T) *Browser {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a private window: %v", err)
	}
	return &Browser{ctx: ctx}
}

// chromium returns the browser's path, and ends the test where there is none.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("WAVEGATE_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	Missing(t, "Chromium", "apt-get install chromium")
	return ""
}

// Missing ends a test that lacks a part of the machine: it skips, and in
// continuous integration it fails.
func Missing(t *testing.T, what, get string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing; get it with: %s", what, get)
	}
	t.Skipf("%s is missing; get it with: %s", what, get)
}

// Open shows the page at url. Requests carry the header, which may be nil.
func (b *Browser) Open(t *testing.T, url string, look Look, header map[string]string) *Page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	p := &Page{ctx: ctx, url: url, Look: look, documents: map[string]bool{url: true}}
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	p.look(t, header)
	p.do(t, chromedp.Navigate(url))
	return p
}

// upwards finds a file in the working folder or one above it, "" if there is
// none.
func upwards(name string) string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
