package main

import "wavegate/keychain/apikey"

// keyOptions are about API keys: how new ones look, and what the commands for
// them are told.
func keyOptions() table {
	return table{
		{
			name: "key-brand", kind: single, arg: "WORD", def: "wave", group: apiKeys, aka: "brand key-prefix",
			usage: "how new API keys begin",
			more:  "Of a-z, 0-9 and _: acme makes keys such as acme_live_5f0c... Keys of earlier brands go on working.",
			set:   checked(apikey.CheckBrand, func(s *settings) *string { return &s.server.KeyBrand }),
		},
		{
			name: "key-checksum", kind: toggle, group: apiKeys,
			usage: "end new API keys in a checksum",
			more:  "Scanners for leaked secrets then tell them from what only looks alike.",
			set:   toBool(func(s *settings) *bool { return &s.server.KeyChecksum }),
		},
		{
			name: "name", kind: single, arg: "TEXT", group: apiKeys, lineOnly: true, mayBeEmpty: true,
			usage: "with --create-api-key: what the key is for",
			set:   toText(func(s *settings) *string { return &s.order.Name }),
		},
		{
			name: "scopes", kind: list, arg: "SCOPE,...", group: apiKeys, lineOnly: true, aka: "scope",
			usage: "with --create-api-key: what the key may do",
			more:  "Scopes of the policy; * is everything. With neither scopes nor role it is the policy's default role, if there is one.",
			set:   some("streams:read", func(s *settings) *[]string { return &s.order.Scopes }),
		},
		{
			name: "role", kind: single, arg: "ROLE", group: apiKeys, lineOnly: true,
			usage: "with --create-api-key: a role of the policy",
			more:  "Or viewer, developer or account_admin, which there are without a policy.",
			set:   toText(func(s *settings) *string { return &s.order.Role }),
		},
		{
			name: "env", kind: choice, arg: "ENV", def: "live", choices: []string{"live", "test", "dev"}, group: apiKeys, lineOnly: true, aka: "environment",
			usage: "with --create-api-key: live, test or dev",
			set:   toText(func(s *settings) *string { return &s.order.Environment }),
		},
		{
			name: "expires-in", kind: single, arg: "TIME", group: apiKeys, lineOnly: true, aka: "expires ttl expiry",
			usage: "with --create-api-key: when the key ends, such as 90d or 12h",
			set:   toKeyLifetime,
		},
		{
			name: "allowed-ips", kind: list, arg: "CIDR,...", group: apiKeys, lineOnly: true, aka: "allowed-ip allow-ips ips",
			usage: "with --create-api-key: from where the key may be used",
			more:  "IPv4 and IPv6, networks or addresses; without it from anywhere.",
			set:   some("203.0.113.0/24", func(s *settings) *[]string { return &s.order.AllowedIPs }),
		},
		{
			name: "tier", kind: single, arg: "TIER", group: apiKeys, lineOnly: true,
			usage: "with --create-api-key: how much the key may do",
			more:  "A tier of the policy; free, pro, business, enterprise and unlimited are there without one.",
			set:   toText(func(s *settings) *string { return &s.order.Tier }),
		},
		{
			name: "output", kind: choice, arg: "FORMAT", def: "table", choices: []string{"table", "json"}, group: apiKeys, lineOnly: true, aka: "format json",
			usage: "with the commands for API keys: table or json",
			set:   toText(func(s *settings) *string { return &s.output }),
		},
		{
			name: "as", kind: single, arg: "WHO", group: apiKeys, lineOnly: true,
			usage: "with --explain: who asks",
			more:  "The ID of an API key or access key, the e-mail address, subject or ID of a person; without it nobody.",
			set:   toText(func(s *settings) *string { return &s.as }),
		},
	}
}
