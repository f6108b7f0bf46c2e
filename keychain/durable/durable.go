// Package durable writes files so that a reader, a crash or a kill at any
// instant finds either the old content or the new, whole. It owns the temporary
// file, the rename and the lock beside a file; it knows nothing of what the
// files hold, and it neither reads nor merges content.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxHops is how many symlinks Resolve follows before it calls them a loop.
const maxHops = 40

// WriteFile replaces the content of the file at path, or makes it, with exactly
// the given permission bits (the umask does not count). A symlink at path stays
// and the file it leads to is replaced. An existing file keeps its owner; when
// its group cannot be kept, the new group is given no rights. Nothing is left
// behind on error, and what a killed process left is removed by the next write.
//
// The system calls are
//
//	openat(".name.tmp-RANDOM", O_RDWR|O_CREAT|O_EXCL, 0600)  in the folder of the target
//	flock(LOCK_EX|LOCK_NB)                                   tells the next writer that it is in use
//	fchown, fchmod, write, fsync                             the content is on disk
//	renameat(".name.tmp-RANDOM", "name")                     old or new, never half
//	open(folder), fsync, close                               the name is on disk
//	close
//
// Writers that read before they write must hold WithLock around both.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	target, err := Resolve(path)
	if err != nil {
		return err
	}
	old, err := os.Lstat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = nil
	case err != nil:
		return err
	case !old.Mode().IsRegular():
		return fmt.Errorf("write %s: it is not a regular file", target)
	}
	return replace(target, old, data, mode.Perm())
}

func replace(target string, old fs.FileInfo, data []byte, mode fs.FileMode) (err error) {
	tmp, err := createTemp(target)
	if err != nil {
		return err
	}
	renamed := false
	defer func() {
		if !renamed {
			os.Remove(tmp.Name())
		}
		tmp.Close() // gives up the lock; the content was synced before
	}()
	if mode, err = keepOwner(tmp, old, mode); err != nil {
		return err
	}
	if err := tmp.Chmod(mode); err != nil {
		return err
	}
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), target); err != nil {
		return explainRename(target, err)
	}
	renamed = true
	return syncFolder(filepath.Dir(target))
}

// keepOwner gives tmp the owner and group of the file that it will replace, so
// that root can edit a file that a service account reads. It returns the mode
// that is safe to set.
func keepOwner(tmp *os.File, old fs.FileInfo, mode fs.FileMode) (fs.FileMode, error) {
	if old == nil {
		return mode, nil
	}
	now, err := tmp.Stat()
	if err != nil {
		return 0, err
	}
	want, ok := old.Sys().(*syscall.Stat_t)
	have, ok2 := now.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || want.Uid == have.Uid && want.Gid == have.Gid {
		return mode, nil
	}
	err = tmp.Chown(int(want.Uid), int(want.Gid))
	switch {
	case err == nil:
		return mode, nil
	case want.Uid != have.Uid:
		return 0, fmt.Errorf("%s belongs to user %d and would change hands: run this as that user or as root", old.Name(), want.Uid)
	default:
		return mode &^ 0o070, nil // another group: what the old one could read is not for this one
	}
}

func explainRename(target string, err error) error {
	if errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("%w: a file that is mounted by itself cannot be replaced, mount its folder %s instead", err, filepath.Dir(target))
	}
	return err
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Resolve returns the absolute path, free of symlinks, of the file that path
// leads to. The file need not exist, its folder must.
func Resolve(path string) (string, error) {
	current, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for range maxHops {
		dir, err := filepath.EvalSymlinks(filepath.Dir(current))
		if err != nil {
			return "", err
		}
		current = filepath.Join(dir, filepath.Base(current))
		link, err := os.Readlink(current)
		if err != nil {
			return current, nil // no symlink, or nothing there; other troubles show at open
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(dir, link)
		}
		current = link
	}
	return "", fmt.Errorf("%s: more than %d symlinks in a row", path, maxHops)
}
