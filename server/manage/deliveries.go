package manage

import (
	"net/http"
	"net/url"

	"wavegate/server/portal"
)

// deliveryAnswer is what the API says of one delivery.
type deliveryAnswer struct {
	Delivery portal.Delivery `json:"delivery"`
}

func deliveryCall(hook, id string) string {
	return webhookCall(hook) + "/deliveries/" + url.PathEscape(id)
}

// oneDelivery asks for a delivery and the webhook that it goes to.
func (v *Visit) oneDelivery() (portal.Webhook, portal.Delivery, error) {
	hook, err := v.oneWebhook()
	if err != nil {
		return hook, portal.Delivery{}, err
	}
	var answer deliveryAnswer
	err = v.Shown(deliveryCall(hook.ID, v.ID("did")), nil, &answer)
	return hook, answer.Delivery, err
}

// delivery shows what is sent, and what came back.
func (d *Desk) delivery(v *Visit) error {
	hook, delivery, err := v.oneDelivery()
	if err != nil {
		return err
	}
	return v.deliveryPage(&hook, &delivery, v.NewForm("", nil))
}

func (v *Visit) deliveryPage(hook *portal.Webhook, delivery *portal.Delivery, form portal.Form) error {
	return v.Page(portal.Frame{Title: delivery.EventType, Back: v.webhookAbove(hook), Curl: form.Curl},
		portal.DeliveryPage{Form: form, Hook: *hook, Delivery: *delivery})
}

// testWebhook sends a test event, and shows how it gets on.
func (d *Desk) testWebhook(v *Visit) error {
	hook, err := v.oneWebhook()
	if err != nil {
		return err
	}
	form := v.NewForm("", nil)
	var sent deliveryAnswer
	done, err := v.Act(&form, Call{Method: http.MethodPost, Path: webhookCall(hook.ID) + "/test"}, &sent)
	if err != nil {
		return err
	}
	if !done {
		return v.webhookPage(&hook, form)
	}
	return v.Go("webhooks/"+hook.ID+"/deliveries/"+sent.Delivery.ID, "")
}

// redeliver sends an event again, and shows how it gets on.
func (d *Desk) redeliver(v *Visit) error {
	hook, delivery, err := v.oneDelivery()
	if err != nil {
		return err
	}
	form := v.NewForm("", nil)
	var sent deliveryAnswer
	done, err := v.Act(&form, Call{Method: http.MethodPost, Path: deliveryCall(hook.ID, delivery.ID) + "/redeliver"}, &sent)
	if err != nil {
		return err
	}
	if !done {
		return v.deliveryPage(&hook, &delivery, form)
	}
	return v.Go("webhooks/"+hook.ID+"/deliveries/"+sent.Delivery.ID, "webhook-again")
}
