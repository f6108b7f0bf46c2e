// Package oauthtest holds tests alone: clients that others wrote, against the
// authorization server of the program as it is shipped. They are the npm packages
// openid-client and oauth4webapi, golang.org/x/oauth2 with go-oidc, Apache with
// mod_auth_openidc, oidc-agent, the npm package oidc-client-ts in Chromium, and a second
// wavegate. None of them is told anything about wavegate but its address.
//
// What the npm packages do is in scripts of testdata/clients, which run first
// against the npm package oidc-provider: where they fail there, they are wrong.
//
// Its other tests have people go through the pages in Chromium, each flow from the
// app's link to what comes of it: consent, devices, connected apps, signing out.
//
// The tests need Node.js, Chromium, Apache and oidc-agent. Where one is not installed
// they are skipped with its name; with CI=true in the environment it is a failure.
package oauthtest
