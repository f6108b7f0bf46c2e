package portal

import (
	"cmp"
	"io"
	"net/http"
)

// An ErrorPage is what a person reads instead of the page they asked for.
type ErrorPage struct {
	Status    int    // HTTP status; picks title, drawing and advice
	Code      string // stable code, shown small; "" shows none
	Message   string // what happened, safe to show; "" takes the status's own words
	RequestID string // for questions to whoever runs the service; "" shows none
	Base      string // path that the page leads home to; "" is the base given to New
	SignInURL string // path where people sign in, used for 401 and 403; "" is for servers that know keys alone
}

// Error writes the page. Whatever is in v is text, never markup, and a Base or
// SignInURL that leads elsewhere is ignored.
func (p *Pages) Error(w io.Writer, v ErrorPage) error {
	words := wordsFor(v.Status)
	signInURL := local(v.SignInURL)
	if forPeople, ok := signInWordings[v.Status]; !ok {
		signInURL = ""
	} else if signInURL != "" {
		words = forPeople
	}
	return p.render(w, p.error, errorView{
		Site: p.siteAt(v.Base), Title: words.title,
		Status: v.Status, Code: v.Code, Message: cmp.Or(v.Message, words.message),
		Advice: words.advice, Stop: string(words.stop), Home: words.home, RequestID: v.RequestID,
		SignIn: words.signIn, SignInURL: signInURL,
	})
}

// errorView is what templates/error.html and the layout read.
type errorView struct {
	Site      Site
	Title     string
	Status    int
	Code      string
	Message   string
	Advice    []string
	Stop      string
	Home      string
	RequestID string
	SignIn    string // the words on the button to SignInURL
	SignInURL string // "" for none
}

// A stop says how far the request came; the drawing on the page shows it.
type stop string

const (
	stopAtGate stop = "gate"   // refused before the app
	stopInGate stop = "inside" // wavegate itself failed
	stopAtApp  stop = "app"    // let through, and the app did not answer
)

// errorWords are the words of one status.
type errorWords struct {
	title   string   // what happened, in a few words
	message string   // the same in a sentence, where the error brings no message
	advice  []string // what the reader can do, most useful first
	stop    stop
	home    string // the link home; "" is the usual one
	signIn  string // the link to where people sign in; "" where that does not help
}

// wordsFor returns the words of the status, or those of its class.
func wordsFor(status int) errorWords {
	words, ok := errorWordings[status]
	switch {
	case ok:
	case status >= 500:
		words = errorWordings[http.StatusInternalServerError]
		words.title = cmp.Or(http.StatusText(status), words.title)
	default:
		words = errorWordings[http.StatusBadRequest]
		words.title = cmp.Or(http.StatusText(status), words.title)
	}
	words.home = cmp.Or(words.home, startPage)
	return words
}

const startPage = "Go to the start page"

// signInWordings are the words where people can sign in, and not only keys open.
var signInWordings = map[int]errorWords{
	http.StatusUnauthorized: {
		title:   "Sign in to go on",
		message: "This page is only for people who are signed in, and for programs with an access key.",
		advice: []string{
			"Sign in, then open the page again or do once more what you did.",
			"No account yet? Ask whoever runs this service.",
		},
		stop: stopAtGate, home: startPage, signIn: "Sign in",
	},
	http.StatusForbidden: {
		title:   "Your account doesn’t open this",
		message: "You were recognised, but what you asked for is not among the things that you may do.",
		advice: []string{
			"If you have another account that may, use that one.",
			"If you should have access, send the request ID to whoever runs this service.",
		},
		stop: stopAtGate, home: startPage, signIn: "Use another account",
	},
}

// errorWordings are the words of each status that wavegate answers with.
var errorWordings = map[int]errorWords{
	http.StatusBadRequest: {
		title:   "This request can’t be read",
		message: "Something in the address or in the request is not in a form that can be trusted.",
		advice: []string{
			"Check the address for stray characters, such as a doubled slash or a percent sign.",
			"If a link brought you here, tell whoever gave it to you.",
		},
		stop: stopAtGate,
	},
	http.StatusUnauthorized: {
		title:   "You need a key to get in",
		message: "This page is only for people and programs with an access key, and none that fits came with the request.",
		advice: []string{
			"Reload the page. Enter your access key ID as the user name and its secret as the password.",
			"No key, or a lost secret? Whoever runs this service can make you a new one.",
		},
		stop: stopAtGate,
		home: "Try again from the start page",
	},
	http.StatusForbidden: {
		title:   "Your key doesn’t open this",
		message: "You were recognised, but what you asked for is not among the things that you may do.",
		advice: []string{
			"Go back and choose something else.",
			"If you should have access, send the request ID to whoever runs this service.",
		},
		stop: stopAtGate,
	},
	http.StatusNotFound: {
		title:   "There’s nothing at this address",
		message: "The page was moved or removed, or it never existed.",
		advice: []string{
			"Check the address for a typing error.",
			"If a link brought you here, it is out of date.",
		},
		stop: stopAtGate,
	},
	http.StatusMethodNotAllowed: {
		title:   "That can’t be done here",
		message: "The address exists, but it does not take this kind of request.",
		advice: []string{
			"Go back and use the page’s own buttons and links.",
			"Calling it from a program? The Allow header of this answer lists the methods that work.",
		},
		stop: stopAtGate,
	},
	http.StatusRequestEntityTooLarge: {
		title:   "That’s too large to send",
		message: "The file or form is larger than this service accepts.",
		advice: []string{
			"Send a smaller file, or send it in parts.",
			"If it has to be this large, ask whoever runs this service to raise the limit.",
		},
		stop: stopAtGate,
	},
	http.StatusTooManyRequests: {
		title:   "Too many tries, too quickly",
		message: "To keep the service safe and quick for everybody, requests from you are on hold for a while.",
		advice: []string{
			"Wait a little, then reload the page once. Trying again and again makes the wait no shorter.",
			"If a program of yours is retrying with an old key, stop it first.",
		},
		stop: stopAtGate,
	},
	http.StatusInternalServerError: {
		title:   "Something broke on our side",
		message: "The gate could not finish your request. It is not your fault.",
		advice: []string{
			"Reload the page in a moment.",
			"If it happens again, send the request ID to whoever runs this service.",
		},
		stop: stopInGate,
	},
	http.StatusBadGateway: {
		title:   "The app isn’t answering",
		message: "You got through the gate, but the app behind it could not be reached.",
		advice: []string{
			"It may be restarting. Reload the page in a moment.",
			"If it stays like this, send the request ID to whoever runs this service.",
		},
		stop: stopAtApp,
	},
	http.StatusServiceUnavailable: {
		title:   "Back in a moment",
		message: "The service is taking a break, because it is being updated or is very busy.",
		advice: []string{
			"Reload the page in a minute.",
			"If it stays like this, send the request ID to whoever runs this service.",
		},
		stop: stopAtApp,
	},
	http.StatusGatewayTimeout: {
		title:   "The app took too long",
		message: "You got through the gate, but the app behind it did not answer in time.",
		advice: []string{
			"Before you send a form again, check whether it went through the first time.",
			"Otherwise reload the page in a moment.",
		},
		stop: stopAtApp,
	},
}
