package provider

import (
	"context"
	"time"
)

func (s *memStore) AddDevice(ctx context.Context, d Device, now time.Time, perSource, perClient int) error {
	return s.do(ctx, "AddDevice", func() error {
		var bySource, byClient int
		for _, o := range s.devices {
			if !now.Before(o.ExpiresAt) {
				continue
			}
			if o.UserCode == d.UserCode {
				return ErrConflict
			}
			if o.State != DevicePending {
				continue
			}
			if o.Source == d.Source {
				bySource++
			}
			if o.ClientID == d.ClientID {
				byClient++
			}
		}
		if bySource >= perSource || byClient >= perClient {
			return ErrTooMany
		}
		d.CreatedAt, d.ExpiresAt, d.PolledAt = kept(d.CreatedAt), kept(d.ExpiresAt), kept(d.PolledAt)
		s.devices[d.Hash] = d
		return nil
	})
}

func (s *memStore) DeviceByUserCode(ctx context.Context, code string, now time.Time) (d Device, err error) {
	err = s.do(ctx, "DeviceByUserCode", func() error {
		for _, o := range s.devices {
			if o.UserCode == code && o.State == DevicePending && now.Before(o.ExpiresAt) {
				d = o
				return nil
			}
		}
		return ErrNotFound
	})
	return d, err
}

func (s *memStore) DenyDevice(ctx context.Context, h Hash, now time.Time) error {
	return s.do(ctx, "DenyDevice", func() error {
		d, ok := s.devices[h]
		if !ok || d.State != DevicePending || !now.Before(d.ExpiresAt) {
			return ErrUsed
		}
		d.State = DeviceDenied
		s.devices[h] = d
		return nil
	})
}

func (s *memStore) PollDevice(ctx context.Context, h Hash, clientID string, now time.Time, slower time.Duration) (before Device, g Grant, err error) {
	err = s.do(ctx, "PollDevice", func() error {
		d, ok := s.devices[h]
		if !ok || d.ClientID != clientID {
			return ErrNotFound
		}
		before, g = d, s.grants[d.GrantID]
		if !d.PolledAt.IsZero() && now.Before(d.PolledAt.Add(d.Interval)) {
			d.Interval += slower
		}
		d.PolledAt = kept(now)
		s.devices[h] = d
		return nil
	})
	return before, g, err
}

func (s *memStore) RedeemDevice(ctx context.Context, h Hash, now time.Time, most int, first Refresh, grantEnds time.Time) (given Grant, err error) {
	err = s.do(ctx, "RedeemDevice", func() error {
		d, ok := s.devices[h]
		switch {
		case !ok, d.State == DevicePending, d.State == DeviceDenied:
			return ErrNotFound
		case d.State == DeviceUsed:
			return ErrUsed
		}
		g := s.grants[d.GrantID]
		if s.ended(g, now) || !now.Before(d.ExpiresAt) {
			return ErrEnded
		}
		d.State = DeviceUsed
		s.devices[h] = d
		given = s.give(g, first, grantEnds, now, most)
		return nil
	})
	if err != nil {
		return Grant{}, err
	}
	return given, nil
}
