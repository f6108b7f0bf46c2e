//go:build !linux

package storetest

import "syscall"

// endWithParent cannot be had here: a test binary that is killed leaves the
// server running.
func endWithParent(*syscall.SysProcAttr) {}
