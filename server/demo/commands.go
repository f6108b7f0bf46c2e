package demo

import (
	"cmp"
	"strings"
)

// Caller is what the commands fill in. Login and Reader are put between the
// shell's double quotes, so they may be variables.
type Caller struct {
	URL    string // of the gate, without a final slash
	API    string // the same of the gate's own API, which makes API keys; "" leaves its commands out
	Login  string // "ID:SECRET", or the variable that holds it: "$WAVE_KEY"
	Reader string // the same of a key that may only read; "" leaves its command out
	Curl   string // "" is "curl"; "curl -k" where the certificate is self-signed
}

// A Command is something to paste into a terminal.
type Command struct {
	Title string // what it does
	Note  string // what to expect
	Line  string // the command; a long one goes on over more lines
}

// Commands returns the commands that show the gate at work, for the page and
// for the terminal alike.
func Commands(c Caller) []Command {
	curl := cmp.Or(c.Curl, "curl")
	as := func(login string) string { return curl + ` -u "` + login + `"` }
	streams, sample := shellQuote(c.URL+"/v1/streams"), shellQuote(c.URL+"/v1/streams/"+sampleID)
	list := []Command{
		{"Knock without a key", "401: the gate answers, the app never hears of it.", curl + " -i " + streams},
		{"List the streams", "The key goes to the gate, the answer comes from the app.", as(c.Login) + " " + streams},
		{
			"Go live", "The start page shows it within a second.",
			as(c.Login) + " -X POST" + newline + shellQuote(c.URL+"/v1/streams/"+sampleID+"/start"),
		},
		{
			"Create a stream", "201, and the app knows who made it.",
			as(c.Login) + " " + streams + newline + "-H 'Content-Type: application/json'" + newline + `-d '{"name": "Roof terrace"}'`,
		},
		{
			"Pretend to be somebody", "The gate takes the made-up header away.",
			curl + " -H 'Wave-Subject-ID: mallory'" + newline + shellQuote(c.URL+"/public/headers"),
		},
	}
	if c.Reader != "" {
		list = append(list, Command{"Try too much", "403: this key may look, not touch.", as(c.Reader) + " -X DELETE" + newline + sample})
	}
	list = append(list, Command{
		"Follow the clock", "Server-sent events, one each second, not held back.",
		as(c.Login) + " -N " + shellQuote(c.URL+"/events"),
	})
	if c.API == "" {
		return list
	}
	return append(list, keyCommands(c, curl, streams)...)
}

// keyCommands are about API keys, which the gate makes without asking the app.
func keyCommands(c Caller, curl, streams string) []Command {
	return []Command{
		{
			"Make an API key", "For a script that reads the streams. The key is in the answer, this once.",
			curl + ` -u "` + c.Login + `" ` + shellQuote(c.API+"/v1/auth/keys") + newline + "-H 'Content-Type: application/json'" + newline +
				`-d '{"name": "my script", "scopes": ["streams:read"]}'`,
		},
		{
			"Use the API key", "Put it into API_KEY first. X-RateLimit-… says what it has left.",
			curl + " -i " + streams + newline + `-H "Authorization: Bearer $API_KEY"`,
		},
		{
			"Come without an account", "A trial key for whoever asks: ten requests, in 30 minutes.",
			curl + " -X POST" + newline + shellQuote(c.API+"/api/v1/onboarding/temp-key"),
		},
	}
}

// newline continues a command on the next line.
const newline = " \\\n"

// shellQuote returns s as one word of a POSIX shell.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._/:@%+=,", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
