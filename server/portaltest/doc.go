// Package portaltest holds tests alone: people at the portal in Chromium, against
// the program as it is shipped, with an app behind it, a receiver of webhooks, and a
// store on SQLite or PostgreSQL. Each flow goes from signing in to what comes of it,
// with and without JavaScript.
//
// A test starts a gate (newGate), sends people to it (gate.person), and has them read
// and press what a person would: fields by their labels, buttons by their names.
// Every page that is loaded on the way is checked: what the browser complains about,
// what it asked of others, its weight, whether it fits, and with axe-core whether
// everybody can use it. gate.as calls the API, gate.send sends requests to the app, and
// gate.fill makes a small world to look at.
//
// With WAVEGATE_SCREENSHOTS set to a folder, person.shot puts pictures there: NAME.png
// as on a desktop, and NAME-LOOK.png for each other look.
package portaltest
