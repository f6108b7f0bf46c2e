// Package bench measures the server as its users meet it: whole processes on
// loopback ports, with the load, the upstream and what they are compared with
// on the same machine. It holds tests alone and prints one table, `make bench`;
// a plain `go test` runs the rows that need no build for a moment, and judges nothing.
//
// It fails for what does not work, never for what is slow: figures depend on the
// machine, so the rows that count are ratios of two things measured in turns.
// It needs Linux: the processor time of other processes is read the way it has it.
package bench
