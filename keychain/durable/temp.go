package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxTemps is how many fresh names createTemp tries while sweepers of other
// processes take them away.
const maxTemps = 100

var errNoTemp = errors.New("other writers keep taking the temporary file away")

// createTemp makes an empty file beside target, mode 0600, and removes what
// killed writers left there. The file is locked until it is closed: the lock is
// how a sweeper tells a file in use from a leftover, also across containers
// that share the folder but not their process ids.
func createTemp(target string) (*os.File, error) {
	dir, prefix := filepath.Dir(target), tempPrefix(target)
	sweep(dir, prefix)
	for range maxTemps {
		f, err := os.CreateTemp(dir, prefix+"*")
		if err != nil {
			return nil, err
		}
		if claim(f) {
			return f, nil
		}
		os.Remove(f.Name())
		f.Close()
	}
	return nil, errNoTemp
}

func tempPrefix(target string) string { return "." + filepath.Base(target) + ".tmp-" }

// claim locks f and reports whether it still has its name: between its making
// and its locking a sweeper may have taken it for a leftover. A file system
// without locks gives true; there, sweep removes nothing.
func claim(f *os.File) bool {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false
	}
	named, statErr := os.Lstat(f.Name())
	own, ownErr := f.Stat()
	return statErr == nil && ownErr == nil && os.SameFile(named, own)
}

// sweep removes temporary files that nobody holds. It is tidiness, so it stays
// silent about what it cannot do.
func sweep(dir, prefix string) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return
	}
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			removeLeftover(filepath.Join(dir, name))
		}
	}
}

func removeLeftover(path string) {
	const safely = syscall.O_NOFOLLOW | syscall.O_NONBLOCK // whatever has the name
	f, err := os.OpenFile(path, os.O_RDWR|safely, 0)       // NFS locks only what can be written
	if errors.Is(err, fs.ErrPermission) {
		f, err = os.OpenFile(path, os.O_RDONLY|safely, 0)
	}
	if err != nil {
		return
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		os.Remove(path)
	}
}
