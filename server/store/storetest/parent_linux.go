package storetest

import "syscall"

// endWithParent ends the server when the test binary dies without a word.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
