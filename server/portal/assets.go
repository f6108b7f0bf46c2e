package portal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// contentTypes are the kinds of assets that there are. They are named here and
// not asked of the machine, whose tables differ.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// An asset is one file that pages load.
type asset struct {
	body   []byte
	kind   string // Content-Type
	policy string // Content-Security-Policy of its own, "" for none
}

// An assetSet holds the assets under names that change with their content, so
// that browsers may keep them for ever.
type assetSet struct {
	prefix string
	named  map[string]string // "style.css" to its path with the hash
	byPath map[string]asset  // path with the hash to content
}

func loadAssets(prefix string) (assetSet, error) {
	s := assetSet{prefix: prefix, named: map[string]string{}, byPath: map[string]asset{}}
	entries, err := fs.ReadDir(embedded, "assets")
	if err != nil {
		return s, fmt.Errorf("portal: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		body, err := fs.ReadFile(embedded, "assets/"+name)
		if err != nil {
			return s, fmt.Errorf("portal: %w", err)
		}
		ext := path.Ext(name)
		if contentTypes[ext] == "" {
			return s, fmt.Errorf("portal: asset %s is of no known kind", name)
		}
		s.named[name] = s.add(strings.TrimSuffix(name, ext), ext, asset{body: body, kind: contentTypes[ext]})
	}
	return s, nil
}

// add makes an asset servable and returns its path.
func (s assetSet) add(stem, ext string, a asset) string {
	sum := sha256.Sum256(a.body)
	hashed := s.prefix + stem + "." + hex.EncodeToString(sum[:8]) + ext
	s.byPath[hashed] = a
	return hashed
}

// path returns where the asset with the plain name is served. Templates call
// it; a name that does not exist is an error of the template.
func (s assetSet) path(name string) (string, error) {
	p, ok := s.named[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return p, nil
}

// ServeHTTP answers GET and HEAD for the exact paths of the assets. There are
// no folders to list and no plain names to guess.
func (s assetSet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD.", http.StatusMethodNotAllowed)
		return
	}
	a, ok := s.byPath[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	if a.policy != "" {
		h.Set("Content-Security-Policy", a.policy)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}
