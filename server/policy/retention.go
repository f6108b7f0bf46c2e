package policy

import (
	"time"

	"go.yaml.in/yaml/v4"
)

// Retention says how long things are kept.
type Retention struct {
	UsageMinutes, UsageHours, UsageDays time.Duration // usage by the minute, hour and day
	Audit                               time.Duration // 0 is for ever
	Deliveries                          time.Duration // of webhooks
}

// defaultRetention is what counts where the file says nothing.
func defaultRetention() Retention {
	const day = 24 * time.Hour
	return Retention{UsageMinutes: day, UsageHours: 31 * day, UsageDays: 730 * day, Deliveries: 30 * day}
}

// Retention returns what the file says under retention.
func (p *Policy) Retention() Retention {
	if p.retention == (Retention{}) { // no file can say so
		return defaultRetention()
	}
	return p.retention
}

// readRetention reads the section retention. Nothing but the audit log can be
// kept for ever.
func (c *compiler) readRetention(n *yaml.Node) {
	o := c.object(n, "retention", "usage_minutes", "usage_hours", "usage_days", "audit", "deliveries")
	r := defaultRetention()
	r.UsageMinutes = o.positive("usage_minutes", r.UsageMinutes)
	r.UsageHours = o.positive("usage_hours", r.UsageHours)
	r.UsageDays = o.positive("usage_days", r.UsageDays)
	r.Audit = o.duration("audit", r.Audit)
	r.Deliveries = o.positive("deliveries", r.Deliveries)
	c.policy.retention = r
}
