package manage

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"wavegate/server/portal"
)

// A choice is how the sign-in of an app is to be tried.
type choice struct {
	redirect string // one of the app's
	scopes   []string
	prompt   string // "" leaves it to the server
	plain    bool   // without PKCE
}

// usualChoice is what is tried where nobody chose.
func usualChoice(app *portal.App) choice {
	c := choice{scopes: append([]string{"openid"}, app.Scopes...)}
	if len(app.RedirectURIs) > 0 {
		c.redirect = app.RedirectURIs[0]
	}
	return c
}

// scopesToTry are the scopes that an app may ask people for.
func scopesToTry(app *portal.App) []string {
	list := []string{"openid", "profile", "email"}
	if app.May(portal.GrantRefresh) {
		list = append(list, "offline_access")
	}
	return append(list, app.Scopes...)
}

// tryApp shows how an app gets tokens, with all that its user's browser and its code
// have to send. State, nonce and verifier are made for this page alone.
func (d *Desk) tryApp(v *Visit) error {
	app, err := v.oneApp()
	if err != nil {
		return err
	}
	server, err := v.oauthServer()
	if err != nil {
		return err
	}
	c := v.chosen(&app, &server)
	attempt := v.attempt(&app, &server, c)
	attempt.Main = true
	view := portal.AppTryPage{
		App: app, Scopes: scopesToTry(&app), Prompts: server.Prompts, Attempt: attempt,
		Form: portal.Form{Action: v.URL("apps/" + app.ID + "/try"), Values: c.values()},
	}
	return v.Page(portal.Frame{
		Title: "Try the app", Back: v.appAbove(&app), Lead: "See it get tokens before its code is written. What is random here is made for this page alone, and kept nowhere.",
	}, view)
}

// chosen reads what is to be tried. What the app does not have is not taken.
func (v *Visit) chosen(app *portal.App, server *portal.OAuthServer) choice {
	c, q := usualChoice(app), v.r.URL.Query()
	if q.Get("chosen") == "" {
		return c
	}
	if uri := q.Get("redirect_uri"); slices.Contains(app.RedirectURIs, uri) {
		c.redirect = uri
	}
	may := scopesToTry(app)
	c.scopes = slices.DeleteFunc(q["scope"], func(s string) bool { return !slices.Contains(may, s) })
	if p := q.Get("prompt"); slices.Contains(server.Prompts, p) {
		c.prompt = p
	}
	c.plain = app.PKCEOptional() && q.Get("pkce") == "none"
	return c
}

// values are the choice as its form shows it.
func (c choice) values() map[string][]string {
	values := map[string][]string{"redirect_uri": {c.redirect}, "scope": c.scopes, "prompt": {c.prompt}}
	if c.plain {
		values["pkce"] = []string{"none"}
	}
	return values
}

// attempt composes how an app gets tokens, in each way that it has.
func (v *Visit) attempt(app *portal.App, server *portal.OAuthServer, c choice) portal.Attempt {
	var a portal.Attempt
	if app.May(portal.GrantCode) && server.Authorize != "" && c.redirect != "" {
		verifier := randomValue()
		if c.plain {
			verifier = ""
		}
		a.URL = authorizeURL(app, server, c, verifier)
		a.Commands = append(a.Commands, portal.Command{
			Mark: "redeem", Title: "Make tokens of the code", Text: redeem(app, server, c.redirect, verifier),
			Words: "The code stands in the address that the browser comes to, also where nothing answers there. Put it into CODE first" + also(proofWords(app)) + ".",
		})
	}
	if app.May(portal.GrantClientCredentials) && server.Token != "" {
		a.Commands = append(a.Commands, portal.Command{
			Mark: "own-token", Title: "Get a token for the app itself", Text: ownToken(app, server, ""), Words: "Put " + proofWords(app) + " first.",
		})
	}
	if app.May(portal.GrantDevice) && server.Device != "" {
		a.Commands = append(a.Commands, deviceCommands(app, server, c)...)
	}
	return a
}

// proofWords say where the commands expect what proves the app; "" for an app that
// nothing proves.
func proofWords(app *portal.App) string {
	switch {
	case app.HasSecret():
		return "the secret into CLIENT_SECRET"
	case app.HasKeys():
		return "a signed assertion of the app into CLIENT_ASSERTION"
	}
	return ""
}

// also puts words behind others, if there are any.
func also(words string) string {
	if words == "" {
		return ""
	}
	return ", and " + words
}

// randomValue is a value that nobody guesses, for state, nonce and verifier: 43
// characters (RFC 7636, section 4.1).
func randomValue() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// authorizeURL is where an app sends the browser (RFC 6749, section 4.1.1). The
// verifier is "" for a request without PKCE.
func authorizeURL(app *portal.App, server *portal.OAuthServer, c choice, verifier string) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {app.ID}, "redirect_uri": {c.redirect}, "state": {randomValue()},
	}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("scope", strings.Join(c.scopes, " "))
	set("prompt", c.prompt)
	if slices.Contains(c.scopes, "openid") {
		q.Set("nonce", randomValue())
	}
	if verifier != "" {
		sum := sha256.Sum256([]byte(verifier))
		q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
		q.Set("code_challenge_method", "S256")
	}
	return server.Authorize + "?" + q.Encode()
}

// redeem is the command that makes tokens of a code.
func redeem(app *portal.App, server *portal.OAuthServer, redirect, verifier string) string {
	parts := []string{"grant_type=authorization_code", `"code=$CODE"`, "redirect_uri=" + redirect}
	if verifier != "" {
		parts = append(parts, "code_verifier="+verifier)
	}
	return tokenCommand(app, server.Token, "", parts...)
}

// ownToken is the command that gets a token for the app itself. The secret is "" for
// one that stands in a variable of the shell.
func ownToken(app *portal.App, server *portal.OAuthServer, secret string) string {
	return tokenCommand(app, server.Token, secret, "grant_type=client_credentials")
}

// deviceCommands are the two requests of a device without a browser (RFC 8628).
func deviceCommands(app *portal.App, server *portal.OAuthServer, c choice) []portal.Command {
	ask := []string{}
	if len(c.scopes) > 0 {
		ask = append(ask, "scope="+strings.Join(c.scopes, " "))
	}
	return []portal.Command{
		{
			Mark: "device", Title: "Ask for a code, as the device does", Text: tokenCommand(app, server.Device, "", ask...),
			Words: "The answer has a code for people, the address where it is typed in, and the device_code.",
		},
		{
			Mark: "device-token", Title: "Ask for the tokens until people have agreed", Words: "Put the device_code into DEVICE_CODE first" + also(proofWords(app)) + ". Wait five seconds between two tries.",
			Text: tokenCommand(app, server.Token, "", "grant_type="+portal.GrantDevice, `"device_code=$DEVICE_CODE"`),
		},
	}
}

// tokenCommand is a request of an app to the authorization server, as a line for a
// shell. Parameters in double quotes are for the shell to fill in.
func tokenCommand(app *portal.App, address, secret string, params ...string) string {
	line := []string{"curl " + quote(address)}
	switch {
	case secret != "":
		line = append(line, "-u "+quote(app.ID+":"+secret))
	case app.HasSecret():
		line = append(line, "-u "+quote(app.ID)+`:"$CLIENT_SECRET"`)
	case app.HasKeys():
		params = append(params, "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer", `"client_assertion=$CLIENT_ASSERTION"`)
	default:
		params = append(params, "client_id="+app.ID)
	}
	if len(params) == 0 {
		line = append(line, "-d ''") // a form, though an empty one
	}
	for _, p := range params {
		how := "-d "
		if strings.ContainsFunc(p, isCoded) {
			how = "--data-urlencode "
		}
		if !strings.HasPrefix(p, `"`) {
			p = quote(p)
		}
		line = append(line, how+p)
	}
	return strings.Join(line, " \\\n  ")
}

// isCoded reports whether a character of a parameter has to be encoded in a form, of
// those that the parameters here can have.
func isCoded(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !letter && !strings.ContainsRune(`_=.~:/-"$`, r)
}
