//go:build !linux

package keychain

// inBackground runs f. Threads have no priority of their own here.
func inBackground(f func() bool) bool { return f() }
