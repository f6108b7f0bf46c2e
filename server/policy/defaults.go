package policy

import (
	"cmp"
	"time"

	"go.yaml.in/yaml/v4"
)

// Defaults are what counts where nothing else is said.
type Defaults struct {
	Role          string        // of API keys that are made with neither role nor scopes; "" is none
	Tier          string        // of API keys
	UserTier      string        // of each person: all sessions, tokens and keys together
	ClientTier    string        // of each OAuth client
	AnonymousTier string        // of each address on public routes
	KeyLifetime   time.Duration // of API keys that are made without an expiry; 0 is for ever
}

// Defaults returns what the file says under defaults. A tier that it leaves out
// is "unlimited".
func (p *Policy) Defaults() Defaults {
	d := p.defaults
	d.Tier = cmp.Or(d.Tier, unlimited)
	d.UserTier = cmp.Or(d.UserTier, unlimited)
	d.ClientTier = cmp.Or(d.ClientTier, unlimited)
	d.AnonymousTier = cmp.Or(d.AnonymousTier, unlimited)
	return d
}

// readDefaults reads the section defaults.
func (c *compiler) readDefaults(n *yaml.Node) {
	o := c.object(n, "defaults", "role", "tier", "user_tier", "client_tier", "anonymous_tier", "key_lifetime")
	c.policy.defaults = Defaults{
		Role:          c.useOne("role", o, "role"),
		Tier:          c.useOne("tier", o, "tier"),
		UserTier:      c.useOne("tier", o, "user_tier"),
		ClientTier:    c.useOne("tier", o, "client_tier"),
		AnonymousTier: c.useOne("tier", o, "anonymous_tier"),
		KeyLifetime:   o.duration("key_lifetime", 0),
	}
}

// Trial says how keys without an account are handed out. The zero value hands
// out none.
type Trial struct {
	Enabled     bool
	TTL         time.Duration // how long a key lives
	Operations  int64         // that it may do in its life
	PerIPMinute int64         // keys that one address may ask for in a minute
	Role        string        // what the keys hold; "" is the role "trial"
}

// Trial returns what the file says under trial.
func (p *Policy) Trial() Trial { return p.trial }

// readTrial reads the section trial. It must say whether it is in force, so that
// numbers do not look like a switch.
func (c *compiler) readTrial(n *yaml.Node) {
	o := c.object(n, "trial", "enabled", "ttl", "operations", "per_ip_per_minute", "role")
	if n.Kind == yaml.MappingNode && !o.has("enabled") {
		c.fail(n, "trial: say enabled: true or enabled: false")
	}
	c.policy.trial = Trial{
		Enabled:     o.boolean("enabled", false),
		TTL:         o.positive("ttl", 30*time.Minute),
		Operations:  o.count("operations", 10, 1),
		PerIPMinute: o.count("per_ip_per_minute", 5, 1),
		Role:        cmp.Or(c.useOne("role", o, "role"), RoleTrial),
	}
}
