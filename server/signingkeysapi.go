package server

import (
	"net/http"

	authz "wavegate/oidc/provider"
	"wavegate/server/store"
)

// A signingKeyView is a key that signs tokens, as the API shows it.
type signingKeyView struct {
	ID        string  `json:"kid"`
	Algorithm string  `json:"alg"`
	State     string  `json:"status"` // next, current or retired
	CreatedAt *string `json:"created_at"`
	UseAt     *string `json:"used_from"`
	RetireAt  *string `json:"published_until"`
}

// listSigningKeys lists the keys that sign tokens, for administrators.
func (s *Server) listSigningKeys(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	return s.answerSigningKeys(ex)
}

func (s *Server) answerSigningKeys(ex *exchange) error {
	views := []signingKeyView{}
	if s.oauth != nil {
		keys, err := s.oauth.Keys(ex.ctx)
		if err != nil {
			return storeError(err)
		}
		for _, k := range keys {
			views = append(views, viewSigningKey(&k))
		}
	}
	return writeJSON(ex, http.StatusOK, map[string]any{"signing_keys": views})
}

func viewSigningKey(k *authz.KeyInfo) signingKeyView {
	return signingKeyView{
		k.ID, k.Algorithm, k.State, orNull(rfc3339(k.CreatedAt)), orNull(rfc3339(k.UseAt)), orNull(rfc3339(k.RetireAt)),
	}
}

// rotateSigningKeys makes new keys that sign from now on. Those before verify what
// they signed until that has expired.
func (s *Server) rotateSigningKeys(ex *exchange, r *http.Request) error {
	if err := s.needAdmin(ex, r); err != nil {
		return err
	}
	if err := s.needFresh(ex); err != nil {
		return err
	}
	if s.oauth == nil {
		return errNoOAuth
	}
	d := deed{action: "signing_key.rotate", target: "all"}
	ctx := store.WithJournal(ex.ctx, s.journal(ex, &apiCaller{who: ex.Principal, owner: ex.Principal.Owner}, d))
	if err := s.oauth.RotateKeys(ctx); err != nil {
		return storeError(err)
	}
	return s.answerSigningKeys(ex)
}
