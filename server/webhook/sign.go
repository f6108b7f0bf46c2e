package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks.
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
)

// Sign returns the value of webhook-signature for a body that is sent at a time
// under a webhook-id: one signature for each secret, so that a receiver may hold
// the old or the new one while secrets are changed.
func Sign(id string, at time.Time, body []byte, secrets ...Secret) string {
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		mac := hmac.New(sha256.New, s.raw)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return strings.Join(signatures, " ")
}

// headersOf returns the headers of a request that delivers d at a time.
func headersOf(d *Delivery, at time.Time, secrets []Secret) http.Header {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "wavegate")
	h.Set(headerID, d.EventID)
	h.Set(headerTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(headerSignature, Sign(d.EventID, at, d.Payload, secrets...))
	return h
}

// secretsOf opens the secrets that sign what goes to an endpoint now, the current
// one first.
func (m *Manager) secretsOf(e *Endpoint, now time.Time) ([]Secret, error) {
	current, err := OpenSecret(m.cfg.Seal, e.ID, e.Secret)
	if err != nil {
		return nil, err
	}
	secrets := []Secret{current}
	if len(e.OldSecret) > 0 && now.Before(e.OldEnds) {
		old, err := OpenSecret(m.cfg.Seal, e.ID, e.OldSecret)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, old)
	}
	return secrets, nil
}
