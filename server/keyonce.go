package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/store"
)

// maxOnce bounds the Idempotency-Key header, in bytes.
const maxOnce = 255

var errIdempotencyKey = fault.New(http.StatusBadRequest, "invalid_request",
	"The Idempotency-Key header must be given once, with 1 to 255 printable characters.")

// readFields is readJSON for those who need the bytes as well.
func readFields(ex *exchange, r *http.Request, into any, p *problems) ([]byte, error) {
	raw, err := readBody(ex, r, maxAPIBody)
	if err != nil || len(bytes.TrimSpace(raw)) == 0 {
		return nil, err
	}
	return raw, decodeObject(raw, into, p)
}

// readOnce reads the body of a request that may carry an Idempotency-Key: sent
// twice, it is done once.
func readOnce(ex *exchange, r *http.Request, a *asker, into any, p *problems) ([]byte, error) {
	raw, err := readFields(ex, r, into, p)
	if err != nil {
		return nil, err
	}
	a.once, err = idempotency(a.owner, r, ex.Path, raw)
	return raw, err
}

// idempotency reads the header, and says what the request is about, so that
// another one under the same name is noticed: method, path, and the body without
// what JSON leaves free. Of the name its hash is kept: some put secrets there.
func idempotency(owner string, r *http.Request, path string, body []byte) (store.Idempotency, error) {
	values := r.Header["Idempotency-Key"]
	if len(values) == 0 {
		return store.Idempotency{}, nil
	}
	name := values[0]
	if len(values) > 1 || name == "" || len(name) > maxOnce || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return store.Idempotency{}, errIdempotencyKey
	}
	sum := sha256.New()
	for _, part := range [][]byte{[]byte(r.Method), []byte(path), canonical(body)} {
		sum.Write(part)
		sum.Write([]byte{0})
	}
	hidden := sha256.Sum256([]byte(name))
	return store.Idempotency{Owner: owner, Key: hex.EncodeToString(hidden[:]), Content: [32]byte(sum.Sum(nil))}, nil
}

// canonical is JSON in one spelling: members sorted, no blanks. An empty body is
// an empty object.
func canonical(body []byte) []byte {
	var v any = map[string]any{}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if len(body) > 0 && d.Decode(&v) != nil {
		return body
	}
	out, err := json.Marshal(v)
	if err != nil {
		return body
	}
	return out
}
