package main

import (
	"wavegate/keychain"
	"wavegate/server"
)

// behindSecret is what the flags of secrets say about a word behind the secret.
const behindSecret = "the word behind the secret belongs to no flag (it is not shown): a value with blanks needs quotes"

// options returns the table of everything that can be set.
func options() table {
	var t table
	t = append(t, commandOptions()...)
	t = append(t, listenOptions()...)
	t = append(t, guardOptions()...)
	t = append(t, keyOptions()...)
	t = append(t, tlsOptions()...)
	t = append(t, trafficOptions()...)
	t = append(t, signInOptions()...)
	t = append(t, runOptions()...)
	return append(t, retiredOptions()...)
}

func commandOptions() table {
	return table{
		{
			name: "create-access-key", kind: toggle, group: commands, waved: true, command: true, aka: "add-access-key new-access-key",
			usage: "make an access key, add it to the keychain and print it",
			more:  "The secret is shown this once. The two lines on standard output are ready for a file of settings.",
			set:   toBool(func(s *settings) *bool { return &s.createKey }),
		},
		{
			name: "list-access-keys", kind: toggle, group: commands, waved: true, command: true,
			usage: "print the IDs of the keychain's access keys",
			set:   toBool(func(s *settings) *bool { return &s.listKeys }),
		},
		{
			name: "remove-access-key", kind: single, arg: "ID", group: commands, waved: true, emptyIsNone: true, command: true, aka: "delete-access-key revoke-access-key",
			usage: "remove an access key from the keychain",
			more:  "A running server stops accepting it within two seconds.",
			set:   toText(func(s *settings) *string { return &s.removeKey }),
		},
		{
			name: "create-user", kind: single, arg: "NAME", group: commands, command: true, aka: "add-user new-user adduser useradd",
			hides: "the word behind the user name belongs to no flag (it is not shown): the password is asked for, and a name with blanks needs quotes",
			usage: "add a user to the users file, who signs in with a password",
			more:  "The password is asked for twice. Where standard input is no terminal it is one line of that.",
			set:   checked(keychain.CheckName, func(s *settings) *string { return &s.createUser }),
		},
		{
			name: "generate", kind: toggle, group: commands,
			usage: "with --create-user: make the password and print it",
			more:  "It is shown this once.",
			set:   toBool(func(s *settings) *bool { return &s.generate }),
		},
		{
			name: "list-users", kind: toggle, group: commands, command: true,
			usage: "print the names of the users file",
			set:   toBool(func(s *settings) *bool { return &s.listUsers }),
		},
		{
			name: "remove-user", kind: single, arg: "NAME", group: commands, command: true, aka: "delete-user deluser userdel",
			usage: "remove a user from the users file",
			more:  "On a running server their sessions end within two seconds.",
			set:   toText(func(s *settings) *string { return &s.removeUser }),
		},
		{
			name: "create-api-key", kind: toggle, group: commands, command: true, aka: "add-api-key new-api-key",
			usage: "make an API key and print it",
			more:  "The key is shown this once, on standard output. \"API keys\" below has the flags that go with it; --name is needed.",
			set:   toBool(func(s *settings) *bool { return &s.createAPIKey }),
		},
		{
			name: "list-api-keys", kind: toggle, group: commands, command: true,
			usage: "print the API keys, without their secrets",
			set:   toBool(func(s *settings) *bool { return &s.listAPIKeys }),
		},
		{
			name: "revoke-api-key", kind: single, arg: "ID", group: commands, command: true, aka: "remove-api-key delete-api-key",
			usage: "end an API key, at once and for good",
			more:  "A running server refuses it within a second.",
			set:   toText(func(s *settings) *string { return &s.revokeAPIKey }),
		},
		{
			name: "explain", kind: single, arg: "REQUEST", group: commands, command: true, aka: "why whatif",
			usage: "say why a request is allowed or refused, rule by rule",
			more:  "Such as --explain \"GET /v1/streams\" --as KEY_ID_OR_USER; a host may stand before the path.",
			set:   checked(server.CheckQuestion, func(s *settings) *string { return &s.explain }),
		},
		{
			name: "verify-audit", kind: toggle, group: commands, command: true, aka: "check-audit",
			usage: "check that the audit log is as it was written",
			more:  "The first entry that is not is named: changed, missing, or cut off at an end.",
			set:   toBool(func(s *settings) *bool { return &s.verifyAudit }),
		},
		{
			name: "check", kind: toggle, group: commands, command: true, aka: "validate test dry-run",
			usage: "try all settings and files, start nothing",
			set:   toBool(func(s *settings) *bool { return &s.check }),
		},
		{
			name: "print-config", kind: toggle, group: commands, command: true, aka: "show-config",
			usage: "print every effective value and where it came from",
			more:  "Secrets are masked.",
			set:   toBool(func(s *settings) *bool { return &s.printConfig }),
		},
		{
			name: "completion", kind: choice, arg: "SHELL", choices: []string{"bash", "zsh", "fish"}, group: commands, ask: true,
			usage: "print the completion script for bash, zsh or fish",
		},
		{name: "man-page", kind: toggle, group: commands, ask: true, hidden: true, usage: "print the manual page"},
		{name: "version", kind: toggle, group: commands, ask: true, waved: true, aka: "v", usage: "print the version"},
		{name: "help", short: "h", kind: toggle, group: commands, ask: true, usage: "print this help"},
	}
}

func listenOptions() table {
	return table{
		{
			name: "listen", kind: single, arg: "ADDR", def: ":10101", group: listening, waved: true, aka: "port p addr address bind http",
			usage: "listen on this address",
			more:  "HOST:PORT, :PORT or unix:/PATH. Sockets that systemd passes on are used instead.",
			set:   toAddress(func(s *settings) *string { return &s.server.Listen }),
		},
		{
			name: "base-url", kind: single, arg: "PATH", def: "/", group: listening, waved: true, aka: "base-path prefix",
			usage: "path below which the server's own endpoints live",
			set:   toBasePath(func(s *settings) *string { return &s.server.BaseURL }),
		},
		{
			name: "public-url", kind: single, arg: "URL", group: listening, aka: "external-url root-url",
			usage: "address that browsers use, for links; issuer of tokens",
			more:  "Without it links take the address of each request, and the issuer is that of --listen, if its port is known.",
			set:   toURL(func(s *settings) *string { return &s.server.PublicURL }),
		},
		{
			name: "trusted-proxies", kind: list, arg: "CIDR,...", group: listening, aka: "trusted-proxy proxies",
			usage: "proxies in front whose X-Forwarded-* headers count",
			more:  "Addresses or networks; nobody's headers count without it.",
			set:   toPrefixes,
		},
		{
			name: "require-https", kind: toggle, group: listening, aka: "force-https https-only",
			usage: "refuse requests that did not come over https",
			more:  "Needs TLS here, or --trusted-proxies with the proxy that ends it.",
			set:   toBool(func(s *settings) *bool { return &s.server.RequireHTTPS }),
		},
		{
			name: "http-redirect-listen", kind: single, arg: "ADDR", group: listening, aka: "redirect-listen",
			usage: "also listen here for plain http and redirect to https",
			more:  "Answers ACME's http-01 challenges too.",
			set:   toAddress(func(s *settings) *string { return &s.server.RedirectListen }),
		},
		{
			name: "metrics-listen", kind: single, arg: "ADDR", group: listening, aka: "metrics",
			usage: "serve Prometheus metrics on this address",
			more:  "They are open to whoever reaches it: use a private address such as 127.0.0.1:9101.",
			set:   toAddress(func(s *settings) *string { return &s.server.MetricsListen }),
		},
	}
}

func guardOptions() table {
	return table{
		{
			name: "upstream", kind: lines, arg: "[HOST][/PATH=]URL", group: guarding, aka: "backend target to app",
			usage: "guard this app (repeatable)",
			more:  "http://, https:// and h2c:// are proxied, file:///DIR serves a folder, static://CODE answers with a status. In the environment, separate several with blanks.",
			set:   toMany(checkUpstream, func(s *settings) *[]string { return &s.server.Upstreams }),
		},
		{
			name: "policy", kind: file, arg: "FILE", group: guarding, aka: "policy-file rules",
			usage: "routes, access rules, scopes and roles, as YAML",
			more:  "Without it any valid credential passes everywhere.",
			set:   toText(func(s *settings) *string { return &s.server.PolicyFile }),
		},
		{
			name: "web-dir", kind: dir, arg: "DIR", def: "./www", group: guarding, waved: true, mayBeEmpty: true,
			usage: "folder served at the base URL to whoever is authenticated",
			more:  "Nothing is served where the default is missing.",
			set:   toText(func(s *settings) *string { return &s.server.WebDir }),
		},
		{
			name: "public-dir", kind: paths, arg: "PATH@DIR", group: guarding, waved: true, emptyIsNone: true,
			usage: "folder served at a path to everybody (repeatable)",
			more:  "In the environment, separate several with colons.",
			set:   toMany(checkMount, func(s *settings) *[]string { return &s.server.PublicDirs }),
		},
		{
			name: "private-dir", kind: paths, arg: "PATH@DIR", group: guarding, waved: true, emptyIsNone: true,
			usage: "folder served at a path to whoever is authenticated (repeatable)",
			more:  "In the environment, separate several with colons.",
			set:   toMany(checkMount, func(s *settings) *[]string { return &s.server.PrivateDirs }),
		},
		{
			name: "demo", kind: toggle, group: guarding,
			usage: "guard a built-in sample app, on this machine alone",
			more:  "Prints where to click and what to type. Listens on 127.0.0.1:10101 unless told otherwise.",
			set:   toBool(func(s *settings) *bool { return &s.server.Demo }),
		},
		{
			name: "access-keychain", kind: file, arg: "FILE", def: ".wave-keychain", group: accessKeys, waved: true, aka: "keys key-file",
			usage: "file of the access keys",
			more:  "One ID:bcrypt-hash a line, as waved and \"htpasswd -B\" write it. A file that is named must exist and hold a key. Changes count within two seconds.",
			set:   toText(func(s *settings) *string { return &s.server.Keychain.Path }),
		},
		{
			name: "access-key-id", kind: single, arg: "ID", def: keychain.DefaultID, group: accessKeys, waved: true, aka: "key-id",
			usage: "ID of one more access key",
			more:  "The default pair is public knowledge: it works from this machine alone, and only where no other key is set.",
			set:   toText(func(s *settings) *string { return &s.server.Keychain.ID }),
		},
		{
			name: "access-key-secret", kind: single, arg: "SECRET", def: keychain.DefaultSecret, group: accessKeys, waved: true, secret: true, hides: behindSecret, aka: "key-secret",
			usage: "secret of that access key",
			more:  "Better set in the environment or the file: others on this machine can read command lines.",
			set:   toText(func(s *settings) *string { return &s.server.Keychain.Secret }),
		},
	}
}

func tlsOptions() table {
	return table{
		{
			name: "tls-cert-file", kind: file, arg: "FILE", group: transport, waved: true, emptyIsNone: true, aka: "cert certificate",
			usage: "certificate chain, PEM",
			more:  "Read again when it changes.",
			set:   toText(func(s *settings) *string { return &s.server.TLS.CertFile }),
		},
		{
			name: "tls-key-file", kind: file, arg: "FILE", group: transport, waved: true, emptyIsNone: true, aka: "key private-key",
			usage: "private key of the certificate, PEM",
			set:   toText(func(s *settings) *string { return &s.server.TLS.KeyFile }),
		},
		{
			name: "tls-self-signed", kind: toggle, group: transport, aka: "self-signed",
			usage: "make a certificate for this machine and keep it",
			set:   toBool(func(s *settings) *bool { return &s.server.TLS.SelfSigned }),
		},
		{
			name: "tls-acme-domains", kind: list, arg: "NAME,...", group: transport, aka: "acme letsencrypt domains",
			usage: "get certificates for these names from Let's Encrypt",
			set:   toList(func(s *settings) *[]string { return &s.server.TLS.ACMEDomains }),
		},
		{
			name: "tls-acme-email", kind: single, arg: "ADDRESS", group: transport, aka: "acme-email",
			usage: "address that the certificate authority may write to",
			set:   toText(func(s *settings) *string { return &s.server.TLS.ACMEEmail }),
		},
		{
			name: "tls-acme-directory-url", kind: single, arg: "URL", group: transport,
			usage: "directory of another ACME authority",
			set:   toURL(func(s *settings) *string { return &s.server.TLS.ACMEDirectoryURL }),
		},
		{
			name: "tls-acme-ca-file", kind: file, arg: "FILE", group: transport,
			usage: "root certificate of a private ACME authority, PEM",
			set:   toText(func(s *settings) *string { return &s.server.TLS.ACMECAFile }),
		},
		{
			name: "tls-client-ca-file", kind: file, arg: "FILE", group: transport, aka: "client-ca mtls",
			usage: "demand client certificates signed by these authorities",
			set:   toText(func(s *settings) *string { return &s.server.TLS.ClientCAFile }),
		},
	}
}

func trafficOptions() table {
	return table{
		{
			name: "http-headers-file", kind: file, arg: "FILE", group: traffic, waved: true, emptyIsNone: true, aka: "headers-file",
			usage: "headers added to every answer, one \"Name: value\" a line",
			set:   toText(func(s *settings) *string { return &s.server.HeadersFile }),
		},
		{
			name: "forwarded-http-headers", kind: list, arg: "NAME,...", def: "*", group: traffic, waved: true, mayBeEmpty: true,
			usage: "request headers passed on to apps",
			more:  "* is all of them; an empty value none but those that HTTP needs.",
			set:   toList(func(s *settings) *[]string { return &s.server.ForwardHeaders }),
		},
		{
			name: "allowed-origins", kind: list, arg: "ORIGIN,...", group: traffic, waved: true, emptyIsNone: true, aka: "cors-origins origins",
			usage: "origins that may open WebSockets beside the server's own",
			more:  "Such as https://app.example.com; * is any.",
			set:   toOrigins(func(s *settings) *[]string { return &s.server.AllowedOrigins }),
		},
		{
			name: "max-request-size", kind: single, arg: "SIZE", def: "5M", group: traffic, waved: true, aka: "max-body-size body-limit",
			usage: "largest request body, such as 512K, 5M or 1G",
			more:  "5M, 5MB and 5MiB are the same, 5 times 1024 times 1024 bytes, as with waved; 0 is no limit.",
			set:   toSize(func(s *settings) *int64 { return &s.server.MaxRequestSize }),
		},
		{
			name: "keep-app-live", kind: toggle, group: traffic, waved: true,
			usage: "keep the route of a registered app that does not answer",
			set:   toBool(func(s *settings) *bool { return &s.server.KeepAppLive }),
		},
	}
}

func runOptions() table {
	return table{
		{
			name: "conf", kind: file, arg: "FILE", def: ".env", group: running, waved: true, aka: "config config-file env-file",
			usage: "file of settings, one KEY=value a line",
			more:  "The keys are the names of the environment; other programs' keys are left alone.",
		},
		{
			name: "data-dir", kind: dir, arg: "DIR", def: "./data", group: running, waved: true,
			usage: "folder of secret, store and certificates; made when needed",
			set:   toText(func(s *settings) *string { return &s.server.DataDir }),
		},
		{
			name: "store", kind: single, arg: "URL", group: running, aka: "database database-url db dsn",
			usage: "where API keys, sessions, usage and the audit log are kept",
			more:  "sqlite:FILE, or postgres://USER@HOST/NAME for several servers with the same keys and sessions. By default the file wavegate.db in the data folder. A password in it is masked; better set it in the environment.",
			set:   toText(func(s *settings) *string { return &s.server.Store }),
		},
		{
			name: "secret-file", kind: file, arg: "FILE", group: running, aka: "master-secret",
			usage: "master secret",
			more:  "By default the file \"secret\" in the data folder, made at the first start.",
			set:   toText(func(s *settings) *string { return &s.server.SecretFile }),
		},
		{
			name: "log-format", kind: choice, arg: "FORMAT", def: "json", choices: []string{"json", "text"}, group: running,
			usage: "json or text, one line an event on standard error",
			set:   toText(func(s *settings) *string { return &s.server.LogFormat }),
		},
		{
			name: "log-level", kind: choice, arg: "LEVEL", def: "info", choices: []string{"debug", "info", "warn", "error"}, group: running, aka: "verbosity",
			usage: "debug, info, warn or error",
			set:   toText(func(s *settings) *string { return &s.server.LogLevel }),
		},
		{
			name: "debug", kind: toggle, group: running, waved: true, aka: "verbose",
			usage: "the same as --log-level debug",
			set:   toBool(func(s *settings) *bool { return &s.debug }),
		},
	}
}

// retiredOptions are the flags of waved's page store, which has no like here.
// They are accepted so that a command line made for waved starts this server.
func retiredOptions() table {
	var t table
	for _, name := range []string{"editable", "no-store", "no-log", "proxy"} {
		t = append(t, &option{name: name, kind: toggle, retired: true})
	}
	for _, name := range []string{
		"init", "compact", "max-cache-request-size", "max-proxy-request-size",
		"max-proxy-response-size", "ping-interval", "reconnect-timeout",
	} {
		t = append(t, &option{name: name, kind: single, arg: "VALUE", retired: true})
	}
	return t
}
