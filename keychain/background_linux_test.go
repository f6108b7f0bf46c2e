package keychain

import (
	"runtime"
	"syscall"
	"testing"
)

// nice returns the nice value of the calling thread.
func nice(t *testing.T) int {
	t.Helper()
	raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Error(err)
	}
	return 20 - raw // as the system call returns it
}

func TestComparisonsStepAsideAndNobodyElse(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, inside := nice(t), 0
	if !inBackground(func() bool { inside = nice(t); return true }) {
		t.Error("the result was lost")
	}
	if want := max(before, backgroundNice); inside != want {
		t.Errorf("comparisons run at nice %d, want %d", inside, want)
	}
	for range 100 {
		done := make(chan int)
		go func() { done <- nice(t) }()
		if got := <-done; got != before {
			t.Fatalf("another goroutine runs at nice %d, want %d as before", got, before)
		}
	}
}
