package main

import (
	"fmt"
	"strings"
)

// manDate is the day on which the manual's own text last changed. The flags in
// it come from the table.
const manDate = "November 27, 2026"

const manHead = `.Dd %s
.Dt WAVEGATE 1
.Os
.Sh NAME
.Nm wavegate
.Nd sign-in, keys, TLS and routing in front of any HTTP app
.Sh SYNOPSIS
.Nm wavegate
.Fl Fl upstream Ar URL
.Op Ar flags
.Nm wavegate
.Fl Fl demo
.Nm wavegate
.Fl Fl create-access-key | Fl Fl list-access-keys | Fl Fl remove-access-key Ar ID
.Nm wavegate
.Fl Fl create-user Ar NAME Op Fl Fl generate
.Nm wavegate
.Fl Fl list-users | Fl Fl remove-user Ar NAME
.Nm wavegate
.Fl Fl create-api-key Fl Fl name Ar TEXT
.Op Fl Fl scopes Ar SCOPE,...
.Op Fl Fl role Ar ROLE
.Op Fl Fl env Ar ENV
.Op Fl Fl expires-in Ar TIME
.Op Fl Fl allowed-ips Ar CIDR,...
.Op Fl Fl tier Ar TIER
.Op Fl Fl output Cm json
.Nm wavegate
.Fl Fl list-api-keys | Fl Fl revoke-api-key Ar ID
.Op Fl Fl output Cm json
.Nm wavegate
.Fl Fl explain Ar REQUEST Op Fl Fl as Ar WHO
.Nm wavegate
.Fl Fl verify-audit
.Sh DESCRIPTION
.Nm
is a gate for HTTP apps.
It asks programs for an access key or an API key and lets people sign in, at an
OpenID Connect provider or with a password, decides by a policy what they may do
and how much of it, and passes requests on to the app with headers that say who
they are from.
It can serve TLS, and it can answer other proxies that ask who may pass.
.Pp
Flags may be written with one dash or two.
`

const manMiddle = `.Sh ENVIRONMENT
Each setting can come from the variable of its name:
.Ev WAVEGATE_
and the flag's name in capitals, with an underscore for each dash, such as
.Ev WAVEGATE_TLS_CERT_FILE .
The flags of waved answer to
.Ev H2O_WAVE_
too.
The flag wins over the environment, the environment over the file of settings,
the file over the default.
A variable that is set to nothing counts as not set.
.Sh FILES
.Bl -tag -width Ds
.It Pa .env
settings, one KEY=value a line, with the keys of the environment.
.It Pa .wave-keychain
access keys, one ID:bcrypt-hash a line.
.It Pa .wave-users
users who sign in here, one NAME:bcrypt-hash a line.
.It Pa ./data
the master secret, the certificates made here and, in
.Pa wavegate.db ,
API keys, sessions, usage, webhooks and the audit log.
.It Pa ./www
files served at the base URL, where the folder exists.
.El
.Sh SIGNALS
.Bl -tag -width Ds
.It Dv SIGTERM , Dv SIGINT
finish the requests under way, then exit; a second one kills.
.It Dv SIGHUP
read keychain, users file, policy, headers file and certificates again.
.El
.Sh EXIT STATUS
.Bl -tag -width Ds
.It 0
done, or stopped by a signal.
.It 1
a port, a file or the task failed.
.It 2
the flags or settings are wrong; nothing was started.
.El
.Sh EXAMPLES
Make an access key, then guard the app on port 3000:
.Bd -literal -offset indent
wavegate -create-access-key
wavegate --upstream http://127.0.0.1:3000
curl -u ID:SECRET http://127.0.0.1:10101/
.Ed
.Pp
Make an API key that lasts 90 days, here or over HTTP, and use it:
.Bd -literal -offset indent
wavegate --create-api-key --name ci --expires-in 90d
curl -u ID:SECRET http://127.0.0.1:10101/v1/auth/keys -d '{"name": "ci"}'
curl -H "Authorization: Bearer wave_live_..." http://127.0.0.1:10101/
.Ed
.Pp
Ask why somebody may not do something:
.Bd -literal -offset indent
wavegate --policy policy.yaml --explain "GET /v1/streams" --as jane@example.com
.Ed
`

// manPage returns the manual page, as mdoc source.
func manPage(options table) string {
	var b strings.Builder
	fmt.Fprintf(&b, manHead, manDate)
	for g, title := range groupTitles() {
		fmt.Fprintf(&b, ".Ss %s\n.Bl -tag -width Ds\n", roff(title))
		for _, o := range options.inGroup(group(g)) {
			b.WriteString(manOption(o))
		}
		b.WriteString(".El\n")
	}
	b.WriteString(manMiddle)
	return b.String()
}

func manOption(o *option) string {
	item := ".It Fl Fl " + roff(o.name)
	if o.short != "" {
		item = ".It Fl " + o.short + " , Fl Fl " + roff(o.name)
	}
	if o.kind != toggle {
		item += " Ar " + roff(o.arg)
	}
	text := strings.TrimSuffix(o.explanation(), ".") + "."
	for sentence := range strings.SplitAfterSeq(text, ". ") { // each begins a line
		for _, row := range wrap(sentence, 78) {
			item += "\n" + roff(row)
		}
	}
	return item + "\n"
}

// roff protects text from being read as roff: backslashes everywhere, dots and
// quotes at the beginning of a line.
func roff(text string) string {
	text = strings.ReplaceAll(text, `\`, `\e`)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
