package portal

import (
	"cmp"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A ConsentPage asks a person whether an app may act for them.
type ConsentPage struct {
	App        string // the client's name, as whoever registered it chose it: hostile text
	AppURI     string // its home page, https; "" for none. Nobody checked it, so it is text and no link
	Goes       string // the host, or the scheme of an app on this device, that the browser goes to; checked
	Local      bool   // Goes is a program on the person's own device
	Account    string // that will be used
	SwitchURL  string // where another account can be chosen
	Scopes     []ConsentScope
	Resources  []string // what it is for, where the request says so
	Action     string   // the form posts request, decision (allow or deny) and remember there
	Request    string   // hidden field: the request, sealed
	Remember   bool     // offer to remember; then remember is "1" or not sent
	Device     *ConsentDevice
	Registered time.Time // the zero time is left out
}

// A ConsentScope is one thing that the app wants.
type ConsentScope struct {
	Name        string
	Description string // "" shows the name alone, or our words for a scope of OpenID Connect
	Risk        string // "low", "medium", "high" or ""
}

// A ConsentDevice says that a device is to be let in and not this browser.
type ConsentDevice struct {
	Code  string // four letters, a dash, four letters: to be compared with what the device shows
	From  string // the address that asked
	Since time.Time
}

// Consent writes the page. Its form ends at the app: see [Pages.CSPWithForms].
func (p *Pages) Consent(w io.Writer, v ConsentPage) error {
	return p.render(w, p.consent, p.consentView(v))
}

// consentView is what templates/consent.html reads.
type consentView struct {
	ConsentPage
	Site   Site
	Title  string // without the app's name, which is not to be trusted with the window's title
	Home   string // AppURI as it is shown
	Asks   []consentAsk
	Asked  *moment // when the device asked
	Joined *moment // when the app was registered
}

func (p *Pages) consentView(v ConsentPage) consentView {
	v.Action, v.SwitchURL = local(v.Action), local(v.SwitchURL)
	v.App, v.Goes = appName(v.App), shortenLeft(v.Goes, maxHost)
	view := consentView{ConsentPage: v, Site: p.site, Title: "Allow an app?", Home: homePage(v.AppURI), Asks: consentAsks(v.Scopes), Joined: momentOf(v.Registered)}
	if v.Device != nil {
		view.Title, view.Asked = "Allow a device?", momentOf(v.Device.Since)
	}
	return view
}

// A consentAsk is a scope in the words of the page.
type consentAsk struct {
	Name  string
	Words string // "" shows the name alone
	Risk  string // one of risks, or ""
}

// risks are the levels of risk, the greatest first.
var risks = []string{"high", "medium", "low"}

// scopeWords say what OpenID Connect's scopes and the scope of everything mean,
// where the server does not say it itself.
var scopeWords = map[string]consentAsk{
	"openid":         {Words: "Sign you in with this account"},
	"profile":        {Words: "See your user name and groups"},
	"email":          {Words: "See your e-mail address"},
	"offline_access": {Words: "Keep this access while you are away, until you withdraw it"},
	"*":              {Words: "Do everything that you can do here", Risk: "high"},
}

// consentAsks puts the greatest risk first, so that no long list hides it, and
// keeps the order otherwise.
func consentAsks(scopes []ConsentScope) []consentAsk {
	var asks []consentAsk
	for _, s := range scopes {
		ours := scopeWords[s.Name]
		ask := consentAsk{Name: s.Name, Words: cmp.Or(s.Description, ours.Words), Risk: cmp.Or(s.Risk, ours.Risk)}
		if !slices.Contains(risks, ask.Risk) {
			ask.Risk = ""
		}
		asks = append(asks, ask)
	}
	slices.SortStableFunc(asks, func(a, b consentAsk) int { return cmp.Compare(riskRank(a.Risk), riskRank(b.Risk)) })
	return asks
}

// riskRank is lower for the greater risk; none at all comes last.
func riskRank(risk string) int {
	if i := slices.Index(risks, risk); i >= 0 {
		return i
	}
	return len(risks)
}

// maxHost is the length of the longest host name (RFC 1035, section 2.3.4).
const maxHost = 253

// homePage returns a home page as people read it, without its scheme; "" where
// it is none on https, or is not in ASCII and may look like another.
func homePage(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	if strings.ContainsFunc(u.Host, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ""
	}
	return shorten(u.Host+strings.TrimRight(u.EscapedPath(), "/"), 80)
}
