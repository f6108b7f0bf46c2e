package manage

import "wavegate/server/portal"

// overview is the first page: what there is, and what needs attention.
func (d *Desk) overview(v *Visit) error {
	return v.Page(portal.Frame{Title: "Overview", Wide: true}, portal.OverviewPage{})
}
