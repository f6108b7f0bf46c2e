// Package signintest holds tests alone: people who sign in with a real browser
// (Chromium) at a real provider (the npm package oidc-provider, in a process of
// its own) and use an app behind wavegate. What the tests look at is what a
// person or a page would see, never the inside of the server.
//
// wavegate answers on https at gate.localhost and the providers on http at
// 127.0.0.1, so that the browser takes them for different sites, as they are in
// life: cookies travel, are cached and are kept back by its own rules.
//
// With WAVEGATE_SCREENSHOTS set to a folder, pictures of the pages of signing in
// are left there, in every look.
package signintest
