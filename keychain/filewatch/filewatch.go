// Package filewatch tells when the content behind some paths may have changed,
// by whichever way: a write, a rename over the file, a symlink on the way that
// was turned, a folder that was swapped, a file that went and came. It reports
// that something changed, never what, and does not read the files.
package filewatch

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// pollEvery is how often the files are looked at, whatever the kernel
	// reports: network file systems report nothing, and a folder that was
	// moved away reports for the wrong one.
	pollEvery = time.Second

	// settle is how long a burst of events is gathered before it is reported.
	settle = 50 * time.Millisecond
)

// A Watcher knows how some files looked when it was made. Make it before the
// files are read and run it afterwards: no change in between goes unseen.
type Watcher struct {
	paths []string
	state []look // of each path, as it was last reported
	names map[string]bool
	dirs  map[string]fs.FileInfo // folders that the kernel watches for us

	newNotifier func() (*fsnotify.Watcher, error) // for tests
}

// A look is what one poll sees of a file, symlinks followed. Nil: nothing there
// that can be looked at.
type look struct{ info fs.FileInfo }

// New looks at the files. They need not exist, nor their folders; an empty path
// is no file. The error is that of os.Getwd, for a relative path.
func New(paths []string) (*Watcher, error) {
	w := &Watcher{dirs: make(map[string]fs.FileInfo), newNotifier: fsnotify.NewWatcher}
	for _, path := range paths {
		if path == "" {
			continue
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		w.paths = append(w.paths, abs)
	}
	w.state = w.lookAll()
	return w, nil
}

// Run calls changed, in its own goroutine, within two seconds of every change,
// once for a burst of them, until ctx ends; then it returns nil. changed may be
// called without need, as after a write of the same bytes. Where the kernel's
// notification cannot be had, Run polls. Run may be called once.
func (w *Watcher) Run(ctx context.Context, changed func()) error {
	var events <-chan fsnotify.Event
	var failures <-chan error
	notifier, err := w.newNotifier()
	if err == nil {
		defer notifier.Close()
		events, failures = notifier.Events, notifier.Errors
	} else {
		notifier = nil
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	var due <-chan time.Time // set while a burst is being gathered

	w.follow(notifier)
	touched := w.differs() // since New
	for {
		if touched && due == nil {
			due = time.After(settle)
		}
		touched = false
		select {
		case <-ctx.Done():
			return nil
		case event := <-events:
			touched = w.concerns(event)
		case <-failures:
			touched = true // events may have been dropped
		case <-poll.C:
			w.follow(notifier)
			touched = w.differs()
		case <-due:
			due = nil
			w.follow(notifier)
			w.state = w.lookAll() // before the report: a later change differs from it
			changed()
		}
	}
}

// concerns reports whether an event is about one of the files or about a link
// on the way to one. Changes of mode alone are left to the poll: backups and
// indexers cause events of that kind all the time.
func (w *Watcher) concerns(event fsnotify.Event) bool {
	return event.Op&^fsnotify.Chmod != 0 && w.names[filepath.Clean(event.Name)]
}

// follow brings names and folders up to date with where the links lead now, and
// asks the kernel to watch the folders. A folder that is not the one it was
// under its name is watched anew.
func (w *Watcher) follow(notifier *fsnotify.Watcher) {
	w.names = make(map[string]bool)
	for _, path := range w.paths {
		for _, name := range trail(path) {
			w.names[name] = true
		}
	}
	if notifier == nil {
		return
	}
	wanted := make(map[string]bool)
	for name := range w.names {
		wanted[filepath.Dir(name)] = true
	}
	for dir, was := range w.dirs {
		now, err := os.Stat(dir)
		if !wanted[dir] || err != nil || !os.SameFile(was, now) {
			notifier.Remove(dir) // fails when the kernel dropped it already
			delete(w.dirs, dir)
		}
	}
	for dir := range wanted {
		if w.dirs[dir] != nil {
			continue
		}
		if info, err := os.Stat(dir); err == nil && notifier.Add(dir) == nil {
			w.dirs[dir] = info
		}
	}
}

func (w *Watcher) lookAll() []look {
	looks := make([]look, len(w.paths))
	for i, path := range w.paths {
		if info, err := os.Stat(path); err == nil {
			looks[i].info = info
		}
	}
	return looks
}

// differs reports whether any file looks other than when it was last reported.
func (w *Watcher) differs() bool {
	for i, now := range w.lookAll() {
		if !w.state[i].same(now) {
			return true
		}
	}
	return false
}

func (l look) same(other look) bool {
	a, b := l.info, other.info
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
}
