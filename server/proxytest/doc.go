// Package proxytest holds tests alone: wavegate as it is used together with
// other proxies. nginx, Caddy and HAProxy are started as real processes from the
// files in examples/, of which only addresses are changed (examples_test.go says
// which), and wavegate answers their questions. Traefik and Envoy have no Debian
// package: in their place stand small servers that ask as those two document,
// and read the same example files for what an operator configures. The same
// scenarios run through all five.
//
// The tests need Linux: clients have addresses of their own in 127.0.0.0/8. A
// proxy that is not installed is skipped with the name of its package; with
// CI=true in the environment it is a failure.
package proxytest
