package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"
)

// openAPIFile describes every call under /v1/auth/ and /api/v1/ (OpenAPI 3.1). A
// test compares it with the route table and with real answers.
//
//go:embed openapi.json
var openAPIFile []byte

// openAPIBase is the address of the server as the file has it.
const openAPIBase = `"url": "/"`

// openAPI serves the description, with the base URL of this server in it. It says
// nothing about anybody, so it needs no credential and may be kept.
func (s *Server) openAPI(ex *exchange, r *http.Request) error {
	base, err := json.Marshal(s.cfg.BaseURL)
	if err != nil {
		return err
	}
	body := bytes.Replace(openAPIFile, []byte(openAPIBase), append([]byte(`"url": `), base...), 1)
	sum := sha256.Sum256(body)
	h := ex.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Etag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
	http.ServeContent(ex, r, "", time.Time{}, bytes.NewReader(body))
	return nil
}
