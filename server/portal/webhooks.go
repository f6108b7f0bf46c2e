package portal

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Webhook is a webhook as the API shows it.
type Webhook struct {
	ID          string    `json:"id"`
	Owner       string    `json:"owner"`
	URL         string    `json:"url"`
	Description string    `json:"description"`
	Events      []string  `json:"events"` // empty: all
	All         bool      `json:"all"`    // everybody's events
	Disabled    bool      `json:"disabled"`
	Secret      string    `json:"secret"` // in the one answer that reveals it
	OldEnds     time.Time `json:"old_secret_expires_at"`
	DisabledAt  time.Time `json:"disabled_at"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	Version     int64     `json:"version"`
	Last        *Delivery `json:"last_delivery"` // nil where nothing was sent yet
}

// Host is where the webhook leads, as its owner has to type it to remove it.
func (w Webhook) Host() string {
	u, err := url.Parse(w.URL)
	if err != nil || u.Host == "" {
		return w.ID
	}
	return u.Host
}

// Name is what to call the webhook.
func (w Webhook) Name() string { return cmp.Or(shorten(plain(w.Description), 80), w.Host()) }

// Wants is what the webhook is told of, in a few words.
func (w Webhook) Wants() string {
	switch n := len(w.Events); {
	case n == 0:
		return "all events"
	case n > 3:
		return strings.Join(w.Events[:2], ", ") + " and " + count(int64(n-2), "more event", "more events")
	}
	return strings.Join(w.Events, ", ")
}

// failing reports whether what was sent last did not arrive.
func (w Webhook) failing() bool {
	return w.Last != nil && (w.Last.State == "dead" || w.Last.State == "pending" && w.Last.Attempts > 0)
}

// Pill is the class of the mark that shows the state.
func (w Webhook) Pill() string {
	switch {
	case w.Disabled:
		return "off"
	case w.failing():
		return "bad"
	}
	return "good"
}

// StateName is the state as people say it.
func (w Webhook) StateName() string {
	switch {
	case w.Disabled:
		return "Off"
	case w.failing():
		return "Failing"
	}
	return "On"
}

// A WebhooksPage lists webhooks.
type WebhooksPage struct {
	Hooks  []Webhook
	Owners bool // shows whose each is
	Paging Paging
	None   Empty
}

func (WebhooksPage) page() string { return "webhooks" }

// Snippets say how a receiver verifies a signature.
func (WebhooksPage) Snippets() []Snippet { return snippets() }

// A WebhookPage shows one webhook and what was sent to it.
type WebhookPage struct {
	Form       Form // of its buttons
	Hook       Webhook
	Deliveries []Delivery
	State      string // that the deliveries are narrowed to; "" for all
	Paging     Paging
	Closed     bool // it gets everybody's events, and whoever looks is no administrator
}

func (WebhookPage) page() string { return "webhook" }

func (v WebhookPage) form() Form { return v.Form }

// Moves reports whether the list of deliveries is one that new ones come to.
func (v WebhookPage) Moves() bool { return v.Paging.First == "" && !v.Hook.Disabled }

// States are the choices of a list of deliveries.
func (v WebhookPage) States() []Option {
	return pick(v.State, named("", "All"), named("pending", "Waiting"), named("delivered", "Delivered"), named("dead", "Given up"))
}

// Facts are what is said of a webhook.
func (v WebhookPage) Facts() []Fact {
	h := v.Hook
	whose := "keys and apps of its owner"
	if h.All {
		whose = "everybody’s keys and apps, and what is nobody’s"
	}
	facts := []Fact{
		code("URL", shorten(h.URL, 300)), text("Description", h.Description), tags("Events", h.Events, "all, also those that come later"), text("About", whose),
		code("ID", h.ID), text("Owner", h.Owner), at("Made", h.CreatedAt, ""),
	}
	if h.UpdatedAt.After(h.CreatedAt) {
		facts = append(facts, at("Changed", h.UpdatedAt, ""))
	}
	if h.Disabled {
		facts = append(facts, at("Switched off", h.DisabledAt, ""))
	}
	return facts
}

// A WebhookFormPage makes a webhook, or changes one.
type WebhookFormPage struct {
	Form   Form
	Events []string // that there are
	Hook   *Webhook // that is changed; nil for a new one
	Now    *Webhook // as it is by now, where somebody else changed it meanwhile
}

func (WebhookFormPage) page() string { return "webhook-form" }

func (v WebhookFormPage) form() Form { return v.Form }

// Which are the choices of how many events there are to be.
func (v WebhookFormPage) Which() []Option {
	return []Option{{Value: "all", Name: "All events", Words: "Also those that come with later versions."}, named("some", "These alone")}
}

// Kinds are the events to choose from.
func (v WebhookFormPage) Kinds() []Option {
	var options []Option
	for _, e := range v.Events {
		options = append(options, Option{Value: e, Name: e, Words: eventWords(e), Chosen: v.Form.Has("events", e)})
	}
	return options
}

// eventWords say when an event is sent; "" for one that has no words yet.
func eventWords(event string) string {
	return map[string]string{
		"key_created":         "Somebody made one of your keys, here or with the API.",
		"key_rotated":         "A key was replaced by a new one; the old one ends after its grace period.",
		"key_revoked":         "A key was revoked: it opens nothing any more.",
		"key_expiring":        "A key ends within 7 days. Told once.",
		"key_expired":         "A key reached its end.",
		"lockout":             "Wrong secrets came too often, so that a key or an address has to wait.",
		"suspicious_activity": "A key is used from a network that is new, after its rotation or revocation, or is refused again and again; or a code or token of an app came a second time.",
		"trial_issued":        "A trial key was given out. Only webhooks for everybody’s events are told.",
		"budget_reached":      "A key spent the last operation or byte of its day or month.",
		"client_created":      "An app was registered, by a person or by itself.",
	}[event]
}

// A WebhookMadePage shows the secret of a webhook, once.
type WebhookMadePage struct {
	Hook    Webhook
	Secret  Secret
	Rotated bool // it is not the first
}

func (WebhookMadePage) page() string { return "webhook-made" }

// Snippets say how a receiver verifies a signature.
func (WebhookMadePage) Snippets() []Snippet { return snippets() }

// A WebhookRotatePage gives a webhook another secret.
type WebhookRotatePage struct {
	Form Form
	Hook Webhook
}

func (WebhookRotatePage) page() string { return "webhook-rotate" }

func (v WebhookRotatePage) form() Form { return v.Form }

// A Snippet is a piece of code for one language. It stands in docs/webhooks.md too.
type Snippet struct{ Name, ID, Code string }

// snippets verify a signature.
func snippets() []Snippet {
	return slices.Clone([]Snippet{
		{"JavaScript", "verify-js", `import { Webhook } from "standardwebhooks";                       // npm install standardwebhooks
const wh = new Webhook(process.env.WEBHOOK_SECRET);

app.post("/wavegate", express.raw({ type: "application/json" }), (req, res) => {
  const event = wh.verify(req.body, req.headers);                 // throws where it is not right
  res.sendStatus(204);
});`},
		{"Python", "verify-python", `from standardwebhooks.webhooks import Webhook                     # pip install standardwebhooks
wh = Webhook(os.environ["WEBHOOK_SECRET"])

@app.post("/wavegate")
def hook():
    event = wh.verify(request.get_data(), dict(request.headers))  # raises where it is not right
    return "", 204`},
		{"Go", "verify-go", `import standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

func hook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	wh, err2 := standardwebhooks.NewWebhook(os.Getenv("WEBHOOK_SECRET")) // whsec_…
	if err != nil || err2 != nil || wh.Verify(body, r.Header) != nil {
		http.Error(w, "not from wavegate", http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}`},
	})
}
