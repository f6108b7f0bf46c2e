package browsertest

import (
	"errors"
	"os"
	"sync"
	"testing"
)

// A Shared is a browser for all tests of a package: to start one takes longer than
// most tests do. The zero value has not started yet.
type Shared struct {
	once    sync.Once
	dir     string
	browser *Browser
	stop    func() error
	err     error
}

// Private returns a window that shares nothing with the others, as Browser.Private
// does. The browser starts for the first test that asks.
func (s *Shared) Private(t *testing.T) *Browser {
	t.Helper()
	path := chromium(t)
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp("", "wavegate-browser-"); s.err == nil {
			s.browser, s.stop, s.err = launch(path, s.dir)
		}
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.browser.Private(t)
}

// Close ends the browser, for TestMain. It does nothing if no test asked.
func (s *Shared) Close() error {
	var err error
	if s.stop != nil {
		err = s.stop()
	}
	if s.dir == "" {
		return err
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
