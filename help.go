package main

import (
	"fmt"
	"strings"
)

const (
	helpWidth  = 88 // columns of the help
	helpIndent = 30 // column at which the explanations begin
)

// tie stands for a blank at which no row breaks.
const tie = "\x00"

const helpHead = `wavegate puts sign-in, keys, TLS and routing in front of any HTTP app.

Usage:
  wavegate --upstream URL [flags]    guard an app
  wavegate --demo                    guard a sample app, to look around
  wavegate COMMAND                   one of the commands below

Flags may be written with one dash or two. Each can be set in other ways too: by an
environment variable, such as WAVEGATE_TLS_CERT_FILE for --tls-cert-file (the names
that waved uses, H2O_WAVE_..., work as well), or by the same KEY=value in the file that
-conf names. The flag wins over the environment, the environment over the file.
`

const helpTail = `
Examples:
  # make an access key
  wavegate -create-access-key

  # guard the app on port 3000; whoever has the key may pass
  wavegate --upstream http://127.0.0.1:3000
  curl -u ID:SECRET http://127.0.0.1:10101/

  # make an API key, here or over HTTP; then use it
  wavegate --create-api-key --name ci --expires-in 90d
  curl -u ID:SECRET http://127.0.0.1:10101/v1/auth/keys -d '{"name": "ci"}'
  curl -H "Authorization: Bearer wave_live_..." http://127.0.0.1:10101/

  # people sign in with a name and a password, which is asked for
  wavegate --create-user jane
  wavegate --upstream http://127.0.0.1:3000

  # or at an OpenID Connect provider (the client secret is better in the environment)
  wavegate --upstream http://127.0.0.1:3000 -oidc-provider-url https://id.example.com \
    -oidc-redirect-url https://gate.example.com/_auth/callback \
    -oidc-client-id wavegate -oidc-client-secret SECRET

  # two apps, over TLS with a certificate made for this machine
  wavegate --upstream http://127.0.0.1:3000 --upstream /api=http://127.0.0.1:8000 \
    --tls-self-signed

  # a public site with certificates from Let's Encrypt, rules in a file
  wavegate -listen :443 --http-redirect-listen :80 --tls-acme-domains gate.example.com \
    --policy policy.yaml

  # see what a server would do with these settings, without starting one, and why
  wavegate --policy policy.yaml --check
  wavegate --policy policy.yaml --explain "GET /v1/streams" --as jane@example.com
`

// help returns what --help prints.
func help(options table) string {
	var b strings.Builder
	b.WriteString(helpHead)
	for g, title := range groupTitles() {
		fmt.Fprintf(&b, "\n%s:\n", title)
		for _, o := range options.inGroup(group(g)) {
			writeOption(&b, o)
		}
	}
	b.WriteString(helpTail)
	return b.String()
}

// writeOption writes an option with its explanation, wrapped, beside it or,
// where the flag is long, below it.
func writeOption(b *strings.Builder, o *option) {
	flag := "  " + o.synopsis()
	indent := strings.Repeat(" ", helpIndent)
	rows := wrap(o.explanation(), helpWidth-helpIndent)
	if len(flag) > helpIndent-2 {
		b.WriteString(flag + "\n")
		flag = ""
	}
	fmt.Fprintf(b, "%-*s%s\n", helpIndent, flag, rows[0])
	for _, row := range rows[1:] {
		b.WriteString(indent + row + "\n")
	}
}

// explanation returns all that the help says about the option.
func (o *option) explanation() string {
	text := o.usage
	if o.def != "" && !o.secret {
		text += " (default" + tie + o.def + ")"
	}
	if o.more != "" {
		text += ". " + o.more
	}
	return text
}

// wrap breaks text into rows of at most width letters, at blanks.
func wrap(text string, width int) []string {
	var rows []string
	row := ""
	for word := range strings.FieldsSeq(text) {
		if row != "" && len(row)+1+len(word) > width {
			rows = append(rows, row)
			row = ""
		}
		if row != "" {
			row += " "
		}
		row += word
	}
	rows = append(rows, row)
	for i := range rows {
		rows[i] = strings.ReplaceAll(rows[i], tie, " ")
	}
	return rows
}
