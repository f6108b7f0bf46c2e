package manage

import "wavegate/server/portal"

// healthPages are about the server itself.
func (d *Desk) healthPages() pages {
	return pages{"GET /health": d.health}
}

const systemCall = "/v1/auth/system"

// health shows how each part of the server is.
func (d *Desk) health(v *Visit) error {
	var view portal.HealthPage
	if err := v.Shown(systemCall, nil, &view.System); err != nil {
		return err
	}
	return v.Page(portal.Frame{Title: "Health"}, view)
}
