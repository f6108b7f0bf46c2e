package keychain

import (
	"runtime"
	"syscall"
)

// backgroundNice is the nice value of comparisons: they get what the processors
// have left, and a tenth of one when everybody wants it.
const backgroundNice = 10

// inBackground runs f on a thread of its own that steps aside for all others.
// A comparison takes a processor for a tenth of a second, in which requests
// that need none would wait for it.
func inBackground(f func() bool) bool {
	result := make(chan bool, 1)
	go func() {
		runtime.LockOSThread()                                                             // and never unlocked: the thread ends here
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0 /* this thread */, backgroundNice) // else it is only slower for others
		result <- f()
	}()
	return <-result
}
