package portal

import "time"

// A ConnectedApp is an app that may act for the person, on the account page.
type ConnectedApp struct {
	ClientID string
	Name     string // hostile text
	URI      string // https, or ""; text and no link, as on the consent page
	Scopes   []string
	Since    time.Time // the zero time is left out
	Used     time.Time // the same
}

// An appView is a connected app in the words of the page.
type appView struct {
	ConnectedApp
	Home string // URI as it is shown
	// Began and Last are nil where the time is not known.
	Began, Last *moment
}

func appViews(apps []ConnectedApp) []appView {
	var views []appView
	for _, app := range apps {
		app.Name = appName(app.Name)
		views = append(views, appView{ConnectedApp: app, Home: homePage(app.URI), Began: momentOf(app.Since), Last: momentOf(app.Used)})
	}
	return views
}
