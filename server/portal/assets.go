package portal

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
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
	packed []byte // the same by gzip; nil where that is no shorter
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
	a.packed = pack(a.body)
	sum := sha256.Sum256(a.body)
	hashed := s.prefix + stem + "." + hex.EncodeToString(sum[:8]) + ext
	s.byPath[hashed] = a
	return hashed
}

// pack returns the body by gzip, nil where that saves nothing. What pages load is the same
// for everybody and holds no secret, so that its length may be seen; pages themselves are
// not packed (CVE-2013-3587).
func pack(body []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a valid one
	_, _ = z.Write(body)                                  // into memory
	_ = z.Close()
	if b.Len() >= len(body) {
		return nil
	}
	return b.Bytes()
}

// takesGzip reports whether a browser takes gzip (RFC 9110, section 12.5.3). One that
// gives weights is none of those that matter, and gets the file as it is.
func takesGzip(h http.Header) bool {
	for _, value := range h.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				return true
			}
		}
	}
	return false
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
	body := a.body
	if a.packed != nil {
		h.Add("Vary", "Accept-Encoding")
		if r.Header.Get("Range") == "" && takesGzip(r.Header) {
			h.Set("Content-Encoding", "gzip")
			h.Set("Content-Length", strconv.Itoa(len(a.packed))) // ServeContent leaves it out where there is a coding
			body = a.packed
		}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
