package webhook_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"wavegate/server/seal"
	"wavegate/server/webhook"
)

func TestSecretComesBackFromItsText(t *testing.T) {
	s := webhook.NewSecret()
	text := s.Reveal()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
	if !strings.HasPrefix(text, "whsec_") || err != nil || len(raw) < 24 || len(raw) > 32 {
		t.Fatalf("a secret of %d bytes: %v", len(raw), err)
	}
	if webhook.NewSecret().Reveal() == text {
		t.Error("two secrets are the same")
	}
	again, err := webhook.ParseSecret(text)
	must(t, err)
	if again.Reveal() != text {
		t.Error("it came back otherwise")
	}
}

func TestSecretsThatAreNone(t *testing.T) {
	of := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, text := range []string{
		"", "whsec_", of(32), "WHSEC_" + of(32), "whsec_" + of(23), "whsec_" + of(65), "whsec_" + of(32)[1:],
		"whsec_" + strings.TrimRight(of(32), "="), "whsec_" + of(32) + "\n", "whsec_" + of(24)[:16] + "\n" + of(24)[16:],
		"whsec_" + of(31)[:41] + "B=", "whsec_" + strings.Repeat("A", 1<<20), " whsec_" + of(32),
	} {
		if _, err := webhook.ParseSecret(text); err == nil {
			t.Errorf("%.80q was taken", text)
		} else if len(text) > 20 && strings.Contains(err.Error(), text[8:20]) {
			t.Errorf("the error repeats it: %v", err)
		}
	}
	for _, n := range []int{24, 32, 64} {
		_, err := webhook.ParseSecret("whsec_" + of(n))
		must(t, err)
	}
}

func TestSealedSecretOpensForItsEndpointAlone(t *testing.T) {
	s := webhook.NewSecret()
	sealed, err := s.Seal(sealing(t), "whk_1")
	must(t, err)
	got, err := webhook.OpenSecret(sealing(t), "whk_1", sealed)
	must(t, err)
	if got.Reveal() != s.Reveal() {
		t.Error("another secret came out")
	}
	if _, err := webhook.OpenSecret(sealing(t), "whk_2", sealed); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("for another endpoint: %v", err)
	}
	if _, err := (webhook.Secret{}).Seal(sealing(t), "whk_1"); err == nil {
		t.Error("nothing was sealed")
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	s := webhook.NewSecret()
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "secret", s, "in", struct{ S webhook.Secret }{s})
	data, err := json.Marshal(map[string]any{"s": s})
	must(t, err)
	text := fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, struct{ S webhook.Secret }{s}) + b.String() + string(data)
	raw, err := base64.StdEncoding.DecodeString(s.Reveal()[6:])
	must(t, err)
	for _, part := range []string{s.Reveal()[6:], fmt.Sprintf("%x", raw), fmt.Sprint(raw)[1:20]} {
		if strings.Contains(text, part) {
			t.Errorf("the secret can be read in %s", text)
		}
	}
}

func FuzzParseSecret(f *testing.F) {
	f.Add(webhook.NewSecret().Reveal())
	f.Add("whsec_")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := webhook.ParseSecret(text); err == nil && s.Reveal() != text {
			t.Errorf("%q is read as another secret", text)
		}
	})
}
