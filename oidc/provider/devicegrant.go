package provider

import (
	"context"
	"errors"
	"time"
)

// deviceSlower is added to the interval by every poll that comes too early (RFC
// 8628, section 3.5).
const deviceSlower = 5 * time.Second

// redeemDevice answers a poll with a device code (RFC 8628, section 3.4).
func (p *Provider) redeemDevice(ctx context.Context, c *Client, params Params) (*TokenAnswer, error) {
	raw, err := opaqueParam(params, "device_code", devicePrefix)
	if err != nil {
		return nil, err
	}
	h, now := HashOf(raw), p.now()
	d, g, err := p.store.PollDevice(ctx, h, c.ID, now, deviceSlower)
	if err != nil {
		return nil, refusal(err)
	}
	if err := polled(d, now); err != nil {
		return nil, err
	}
	who, err := p.person(ctx, g)
	if err != nil {
		return nil, err
	}
	i, err := p.prepare(c, who, g, g.Scopes, params.All("resource"), now)
	if err != nil {
		return nil, err
	}
	first, ends := p.begin(i)
	if i.grant, err = p.store.RedeemDevice(ctx, h, now, mostGrants, first, ends); err != nil {
		return nil, refusal(err)
	}
	return p.issue(ctx, i)
}

// polled returns why a device has to wait or gets nothing, nil where it was let in
// (RFC 8628, section 3.5). d is the state before the poll.
func polled(d Device, now time.Time) error {
	switch {
	case d.State == DeviceUsed:
		return notGranted(errors.New("the device code was used before"))
	case d.State == DeviceDenied:
		return fail(AccessDenied, "The person refused. Begin again only where they want it.")
	case !now.Before(d.ExpiresAt):
		return fail(ExpiredToken, "The device code has expired. Begin again.")
	case d.State == DeviceApproved:
		return nil
	case !d.PolledAt.IsZero() && now.Before(d.PolledAt.Add(d.Interval)):
		return fail(SlowDown, "This poll came too early. From now on wait 5 seconds longer between polls.")
	}
	return fail(AuthorizationPending, "The person has not answered yet. Ask again after the interval.")
}
