package manage

import (
	"net/http"
	"net/url"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// webhookPages are about webhooks and what was sent to them.
func (d *Desk) webhookPages() pages {
	return pages{
		"GET /webhooks":                                  d.webhooks,
		"GET /webhooks/new":                              d.newWebhook,
		"POST /webhooks/new":                             d.newWebhook,
		"GET /webhooks/{id}":                             d.webhook,
		"GET /webhooks/{id}/edit":                        d.editWebhook,
		"POST /webhooks/{id}/edit":                       d.editWebhook,
		"POST /webhooks/{id}/switch":                     d.switchWebhook,
		"POST /webhooks/{id}/test":                       d.testWebhook,
		"GET /webhooks/{id}/rotate":                      d.rotateWebhook,
		"POST /webhooks/{id}/rotate":                     d.rotateWebhook,
		"GET /webhooks/{id}/remove":                      d.removeWebhook,
		"POST /webhooks/{id}/remove":                     d.removeWebhook,
		"GET /webhooks/{id}/deliveries/{did}":            d.delivery,
		"POST /webhooks/{id}/deliveries/{did}/redeliver": d.redeliver,
	}
}

const webhooksCall = "/v1/auth/webhooks"

func webhookCall(id string) string { return webhooksCall + "/" + url.PathEscape(id) }

var webhooksAbove = []portal.Link{{Name: "Webhooks", Path: "webhooks"}}

func (v *Visit) aboveWebhook(h *portal.Webhook) []portal.Link {
	return v.above(webhooksAbove, "All webhooks", h.Owner)
}

func (v *Visit) webhookAbove(h *portal.Webhook) []portal.Link {
	return append(v.aboveWebhook(h)[:1:1], portal.Link{Name: h.Name(), Path: "webhooks/" + h.ID})
}

// webhooks lists webhooks.
func (d *Desk) webhooks(v *Visit) error {
	q := url.Values{"limit": {"50"}}
	for _, name := range []string{"owner", "cursor", "all"} {
		if value := v.Query(name); value != "" {
			q.Set(name, value)
		}
	}
	var list struct {
		Hooks []portal.Webhook `json:"webhooks"`
		Next  string           `json:"next_cursor"`
	}
	if err := v.Shown(webhooksCall, q, &list); err != nil {
		return err
	}
	title := "Webhooks"
	if v.All() {
		title = "All webhooks"
	}
	view := portal.WebhooksPage{Hooks: list.Hooks, Owners: v.All(), Paging: v.paging(list.Next)}
	if len(list.Hooks) == 0 {
		view.None = v.noWebhooks()
	}
	return v.Page(portal.Frame{Title: title, Wide: true}, view)
}

// noWebhooks stands where the list is empty.
func (v *Visit) noWebhooks() portal.Empty {
	if v.All() {
		return portal.Empty{Icon: "hook", Title: "Nobody has a webhook yet", Words: "Webhooks that people make here or with the API appear in this list."}
	}
	person, err := v.whoami()
	none := portal.Empty{
		Icon: "hook", Title: "Hear about it when it happens",
		Words: "A webhook is an address of yours that is told when something happens to your keys and apps: a key is about to end, somebody is locked out, a budget is spent.",
	}
	if err == nil && person.Can("webhooks:write") {
		none.Link = &portal.Button{Name: "New webhook", URL: v.URL("webhooks/new")}
	}
	return none
}

// oneWebhook asks for a webhook.
func (v *Visit) oneWebhook() (portal.Webhook, error) {
	var answer struct {
		Hook portal.Webhook `json:"webhook"`
	}
	err := v.Shown(webhookCall(v.ID("id")), nil, &answer)
	return answer.Hook, err
}

// webhook shows one webhook.
func (d *Desk) webhook(v *Visit) error {
	hook, err := v.oneWebhook()
	if err != nil {
		return err
	}
	return v.webhookPage(&hook, v.NewForm("", nil))
}

// webhookPage shows a webhook with its deliveries. The form is that of its buttons, and
// says what went wrong with one.
func (v *Visit) webhookPage(hook *portal.Webhook, form portal.Form) error {
	view := portal.WebhookPage{Hook: *hook, Form: form, State: v.Query("state")}
	q := url.Values{"limit": {"25"}}
	for _, name := range []string{"state", "cursor"} {
		if value := v.Query(name); value != "" {
			q.Set(name, value)
		}
	}
	var list struct {
		Deliveries []portal.Delivery `json:"deliveries"`
		Next       string            `json:"next_cursor"`
	}
	switch err := v.Get(webhookCall(hook.ID)+"/deliveries", q, &list); {
	case err != nil && hook.All && fault.From(err).Status == http.StatusForbidden:
		view.Closed = true
	case err != nil:
		return err
	}
	v.path = "webhooks/" + hook.ID // also where a button of the page was refused
	view.Deliveries, view.Paging = list.Deliveries, v.paging(list.Next)
	return v.Page(portal.Frame{Title: hook.Name(), Back: v.aboveWebhook(hook), Curl: form.Curl, Note: v.switchNote(hook)}, view)
}

// switchNote is what the page says after the webhook was switched, with the way back
// unless somebody went it already.
func (v *Visit) switchNote(hook *portal.Webhook) *portal.Note {
	done := v.done()
	if hook.Disabled && done != "webhook-off" || !hook.Disabled && done != "webhook-on" {
		return nil
	}
	note := portal.NoteOf(done)
	note.Undo = &portal.Undo{Action: "webhooks/" + hook.ID + "/switch", Name: "disabled", Value: word(!hook.Disabled)}
	return note
}

func word(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// switchWebhook switches a webhook off or on.
func (d *Desk) switchWebhook(v *Visit) error {
	hook, err := v.oneWebhook()
	if err != nil {
		return err
	}
	off := v.Form.Get("disabled") == "true"
	form := v.NewForm("", nil)
	done, err := v.Act(&form, Call{Method: http.MethodPatch, Path: webhookCall(hook.ID), Body: map[string]any{"disabled": off}}, nil)
	switch {
	case err != nil:
		return err
	case !done:
		return v.webhookPage(&hook, form)
	case off:
		return v.Go("webhooks/"+hook.ID, "webhook-off")
	}
	return v.Go("webhooks/"+hook.ID, "webhook-on")
}

// removeWebhook removes a webhook, once its host was typed.
func (d *Desk) removeWebhook(v *Visit) error {
	hook, err := v.oneWebhook()
	if err != nil {
		return err
	}
	view := portal.ConfirmPage{
		Form: v.NewForm("webhooks/"+hook.ID+"/remove", nil), Confirm: hook.Host(), Button: "Remove the webhook", Cancel: "webhooks/" + hook.ID,
		Words: []string{
			"Nothing is sent to it any more. What waits to be sent is dropped.", "Its deliveries and its secret are removed with it.",
			"If you only want it to be quiet for a while, switch it off instead.",
		},
	}
	done, err := v.ActConfirmed(&view, Call{Method: http.MethodDelete, Path: webhookCall(hook.ID)})
	if err != nil {
		return err
	}
	if done {
		return v.Go("webhooks", "webhook-removed")
	}
	return v.Page(portal.Frame{Title: "Remove this webhook?", Back: v.webhookAbove(&hook), Curl: view.Form.Curl}, view)
}
