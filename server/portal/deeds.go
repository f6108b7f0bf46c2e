package portal

import (
	"cmp"
	"strings"
)

// A deed is an action of the audit log as people say it: what is behind the words is
// what it was done to.
type deed struct{ action, words, name string }

// A deedGroup are the actions about one kind of thing.
type deedGroup struct {
	name  string
	deeds []deed
}

// deedGroups are all actions of the audit log; docs/audit.md says more of each.
var deedGroups = []deedGroup{
	{"API keys", []deed{
		{"key.create", "made the key", "Key made"},
		{"key.update", "changed the key", "Key changed"},
		{"key.rotate", "rotated the key", "Key rotated"},
		{"key.revoke", "revoked the key", "Key revoked"},
		{"key.import", "imported keys", "Keys imported"},
		{"key.expired", "saw the end of the key", "Key expired"},
		{"key.suspicious", "was used in an odd way", "Odd use of a key"},
	}},
	{"Apps", []deed{
		{"client.create", "registered the app", "App registered"},
		{"client.update", "changed the app", "App changed"},
		{"client.rotate_secret", "gave a new secret to the app", "Secret of an app rotated"},
		{"client.delete", "removed the app", "App removed"},
		{"client.register", "registered the app, which is its own,", "App registered itself"},
		{"grant.create", "gave access to the app", "Access given"},
		{"grant.deny", "refused access to the app", "Access refused"},
		{"grant.withdraw", "withdrew the access of the app", "Access withdrawn"},
		{"grant.suspicious", "used a code or token twice", "Odd use of a grant"},
		{"token.revoke", "gave back a token of the app", "Token given back"},
	}},
	{"Webhooks", []deed{
		{"webhook.create", "made the webhook", "Webhook made"},
		{"webhook.change", "changed the webhook", "Webhook changed"},
		{"webhook.remove", "removed the webhook", "Webhook removed"},
		{"webhook.rotate_secret", "gave a new secret to the webhook", "Secret of a webhook rotated"},
		{"webhook.test", "sent a test to the webhook", "Test sent"},
		{"webhook.redeliver", "sent an event again to the webhook", "Event sent again"},
	}},
	{"People", []deed{
		{"user.disable", "disabled", "User disabled"},
		{"user.enable", "enabled", "User enabled"},
		{"user.password", "changed the password of", "Password changed"},
		{"user.roles", "changed the roles of", "Roles changed"},
		{"session.end", "ended a session of", "Session ended"},
	}},
	{"Server", []deed{
		{"access_key.create", "made the access key", "Access key made"},
		{"access_key.remove", "removed the access key", "Access key removed"},
		{"signing_key.rotate", "made new signing keys", "Signing keys rotated"},
		{"lockout.begin", "was locked out", "Lockout"},
		{"lockout.lift", "lifted the lockout of", "Lockout lifted"},
		{"config.reload", "read the settings again", "Settings read again"},
		{"credential.refused", "was refused at", "Credential refused"},
	}},
}

// deedOf returns what is known of an action; one that is not known is its own words.
func deedOf(action string) deed {
	for _, group := range deedGroups {
		for _, d := range group.deeds {
			if d.action == action {
				return d
			}
		}
	}
	return deed{action, action, action}
}

// whoDid is an actor or owner of the audit log as people say it.
func whoDid(actor string) string {
	kind, id, _ := strings.Cut(actor, ":")
	switch {
	case actor == "", actor == "anonymous":
		return "A stranger"
	case actor == "cli":
		return "The command line"
	case actor == "system":
		return "The server"
	case kind == "sub":
		return cmp.Or(plain(strings.TrimPrefix(id, "local|")), actor)
	case kind == "key":
		return "Access key " + plain(id)
	case kind == "api_key":
		return "API key " + plain(shorten(id, 12))
	case kind == "client":
		return "App " + plain(shorten(id, 15))
	}
	return plain(actor)
}
