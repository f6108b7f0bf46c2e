package portal

// An OverviewPage is the first page of the portal.
type OverviewPage struct{}

func (OverviewPage) page() string { return "overview" }
