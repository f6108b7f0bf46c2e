package manage

import (
	"maps"
	"slices"
)

// pages are pages of the portal by method and path below Config.Base, in the words of
// http.ServeMux.
type pages map[string]func(*Visit) error

// routes are all pages of the portal. Those of a subject stand in the file of its name.
func (d *Desk) routes() pages {
	all := pages{"GET /{$}": d.overview, "GET /resume": d.resume}
	for _, some := range []pages{
		d.keyPages(), d.appPages(), d.webhookPages(), d.usagePages(), // what is somebody's
		d.ownPages(),                                                               // what is about oneself
		d.peoplePages(), d.accessKeyPages(), d.lockoutPages(), d.signingKeyPages(), // for administrators
		d.auditPages(), d.policyPages(), d.healthPages(), //
	} {
		maps.Copy(all, some)
	}
	return all
}

// Patterns are the pages of the portal by method and path below Config.Base, in
// order: "GET /keys/{id}".
func (d *Desk) Patterns() []string { return slices.Sorted(maps.Keys(d.routes())) }
