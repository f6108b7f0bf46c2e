package portal

import "io"

// A DevicePage asks for the code that a device shows. Where the code came with
// a link the person still has to confirm it: links can be sent by anybody.
type DevicePage struct {
	Action  string // the form posts user_code there, as it was typed
	Code    string // what was typed before, or came with the link
	Error   string // why that did not do; "" at first
	Account string // who is signed in
}

// Device writes the page.
func (p *Pages) Device(w io.Writer, v DevicePage) error {
	v.Action, v.Code = local(v.Action), shorten(plain(v.Code), maxUserCode)
	return p.render(w, p.device, deviceView{DevicePage: v, Site: p.site, Title: "Connect a device"})
}

// maxUserCode bounds what is shown of a user code in characters: room for
// spaces and dashes that people put in.
const maxUserCode = 32

// deviceView is what templates/device.html reads.
type deviceView struct {
	DevicePage
	Site  Site
	Title string
}

// Linked reports whether a code came along and is to be compared, not typed.
func (v deviceView) Linked() bool { return v.Code != "" && v.Error == "" }

// A DeviceDonePage is the end of it: the device goes on by itself.
type DeviceDonePage struct {
	App     string
	Allowed bool
}

// DeviceDone writes the page.
func (p *Pages) DeviceDone(w io.Writer, v DeviceDonePage) error {
	v.App = appName(v.App)
	title := "Your device is connected"
	if !v.Allowed {
		title = "Your device was not let in"
	}
	return p.render(w, p.deviceDone, struct {
		DeviceDonePage
		Site  Site
		Title string
	}{v, p.site, title})
}
