package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func newApp(t *testing.T, cfg Config) http.Handler {
	t.Helper()
	app, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// A gate signs assertions as wavegate does, with a library that the app does
// not use.
type gate struct {
	key *ecdsa.PrivateKey
}

func newGate(t *testing.T) *gate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &gate{key}
}

const testKeyID = "test-key"

func (g *gate) jwks() []byte {
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: g.key.Public(), KeyID: testKeyID, Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		panic(err)
	}
	return set
}

// assertion returns a good assertion, changed by the claims; nil takes one away.
func (g *gate) assertion(t *testing.T, change map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("wave-assertion+jwt").WithHeader("kid", testKeyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: g.key}, options)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	claims := map[string]any{
		"iss": "http://localhost:10101", "aud": "/", "sub": "WAVEDEMO4Q7XKZ2M8TRB", "auth_method": "access-key",
		"key_id": "WAVEDEMO4Q7XKZ2M8TRB", "scopes": []string{"*"}, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		"jti": "X5KJ2W7QHR4N",
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func post(t *testing.T, url string) {
	t.Helper()
	response, err := http.Post(url, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %s", url, response.Status)
	}
}
