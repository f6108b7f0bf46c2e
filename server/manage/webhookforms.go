package manage

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/portal"
)

// webhookFields reads the form of a webhook.
func (v *Visit) webhookFields() map[string]any {
	body := map[string]any{
		"url": strings.TrimSpace(v.Form.Get("url")), "description": strings.TrimSpace(v.Form.Get("description")), "events": []string{},
	}
	if v.Form.Get("which") == "some" {
		body["events"] = v.Form["events"]
	}
	if v.Form.Get("all") == "true" {
		body["all"] = true
	}
	return body
}

// chooseEvents complains where some events are to be chosen and none is: to the API
// that means all of them. It reports whether the form may be sent.
func (v *Visit) chooseEvents(f *portal.Form) bool {
	if !v.Acts() || v.Form.Get("which") != "some" || len(v.Form["events"]) > 0 {
		return true
	}
	f.Errors = map[string]string{"events": "Choose at least one event, or all of them."}
	return false
}

// checkWebhook has the API say what is wrong with a form that is only shown yet.
func (v *Visit) checkWebhook(f *portal.Form, body map[string]any) error {
	if !v.showing || v.resumed {
		return nil
	}
	var answer struct {
		Errors []fault.Field `json:"errors"`
	}
	c := Call{Method: http.MethodPost, Path: webhooksCall + "/check", Query: url.Values{"partial": {"true"}}, Body: body}
	err := v.Do(c, &answer)
	if err == nil && len(answer.Errors) > 0 {
		err = &fault.Error{Fields: answer.Errors}
	}
	if err != nil {
		return v.blame(f, err)
	}
	return nil
}

// actOnWebhook makes the call of a webhook's form, unless it is only to be checked.
func (v *Visit) actOnWebhook(f *portal.Form, c Call, body map[string]any, into any) (bool, error) {
	if !v.chooseEvents(f) {
		f.Curl = v.Curl(c)
		return false, nil
	}
	c.Body = body
	done, err := v.Act(f, c, into)
	if err != nil || done {
		return done, err
	}
	return false, v.checkWebhook(f, body)
}

// newWebhook makes a webhook.
func (d *Desk) newWebhook(v *Visit) error {
	catalog, err := v.catalog()
	if err != nil {
		return err
	}
	view := portal.WebhookFormPage{Events: catalog.Events, Form: v.NewForm("webhooks/new", map[string][]string{"which": {"all"}})}
	body := map[string]any{"url": "https://hooks.example.com/wavegate", "events": []string{}}
	if v.Form != nil {
		body = v.webhookFields()
	}
	var made struct {
		Hook portal.Webhook `json:"webhook"`
	}
	done, err := v.actOnWebhook(&view.Form, Call{Method: http.MethodPost, Path: webhooksCall}, body, &made)
	if err != nil {
		return err
	}
	if !done {
		return v.Page(portal.Frame{Title: "New webhook", Back: webhooksAbove, Curl: view.Form.Curl}, view)
	}
	return v.webhookMade(&made.Hook, false)
}

// webhookMade shows the secret of a webhook, the only time.
func (v *Visit) webhookMade(hook *portal.Webhook, rotated bool) error {
	secret := portal.Secret{
		Title: "Copy the secret now", Secret: hook.Secret, Label: "the secret",
		Words: "This is the only time that it is shown. Your receiver needs it to tell what comes from here from what others send.",
	}
	return v.Page(portal.Frame{Title: hook.Name(), Back: webhooksAbove}, portal.WebhookMadePage{Hook: *hook, Secret: secret, Rotated: rotated})
}

// editWebhook changes a webhook.
func (d *Desk) editWebhook(v *Visit) error {
	hook, err := v.oneWebhook()
	if err != nil {
		return err
	}
	catalog, err := v.catalog()
	if err != nil {
		return err
	}
	version := strconv.FormatInt(hook.Version, 10)
	view := portal.WebhookFormPage{Events: catalog.Events, Hook: &hook, Form: v.NewForm("webhooks/"+hook.ID+"/edit", webhookValues(&hook))}
	if view.Form.Version == "" {
		view.Form.Version = version
	}
	body := map[string]any{"url": hook.URL, "events": hook.Events}
	if v.Form != nil {
		body = v.webhookFields()
	}
	done, err := v.actOnWebhook(&view.Form, Call{Method: http.MethodPatch, Path: webhookCall(hook.ID), Match: view.Form.Version}, body, nil)
	if err != nil {
		return err
	}
	if done {
		return v.Go("webhooks/"+hook.ID, "saved")
	}
	if view.Form.Changed {
		view.Now, view.Form.Version = &hook, version
	}
	return v.Page(portal.Frame{Title: "Edit the webhook", Back: v.webhookAbove(&hook), Curl: view.Form.Curl}, view)
}

// webhookValues are the fields of a webhook as its form shows them.
func webhookValues(h *portal.Webhook) map[string][]string {
	values := map[string][]string{"url": {h.URL}, "description": {h.Description}, "which": {"all"}, "events": h.Events}
	if len(h.Events) > 0 {
		values["which"] = []string{"some"}
	}
	return values
}

// rotateWebhook gives a webhook another secret.
func (d *Desk) rotateWebhook(v *Visit) error {
	hook, err := v.oneWebhook()
	if err != nil {
		return err
	}
	view := portal.WebhookRotatePage{Hook: hook, Form: v.NewForm("webhooks/"+hook.ID+"/rotate", nil)}
	var made struct {
		Hook portal.Webhook `json:"webhook"`
	}
	done, err := v.Act(&view.Form, Call{Method: http.MethodPost, Path: webhookCall(hook.ID) + "/rotate-secret"}, &made)
	if err != nil {
		return err
	}
	if !done {
		return v.Page(portal.Frame{Title: "Make a new secret?", Back: v.webhookAbove(&hook), Curl: view.Form.Curl}, view)
	}
	return v.webhookMade(&made.Hook, true)
}
