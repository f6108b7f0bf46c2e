// Package keystest holds tests alone: the scripts of examples/keys/, which run
// the documented commands of four systems, against the program as it is shipped.
// Each script has a wavegate of its own, started by the command that the head of
// the script names, with that folder's policy.
//
// The tests need bash, curl and jq. Where one of them is not installed they are
// skipped with its name; with CI=true in the environment it is a failure.
package keystest
