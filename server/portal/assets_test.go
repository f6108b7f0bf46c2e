package portal

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Whoever takes gzip gets an asset in fewer bytes, and everybody gets the same asset.
func TestAssetsAreTheSamePackedOrNot(t *testing.T) {
	p := newPages(t, "/")
	for path, a := range p.assets.byPath {
		for accept, packed := range map[string]bool{"": false, "gzip": true, "br, GZIP, zstd": true, "gzip;q=0": false, "identity": false} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Accept-Encoding", accept)
			w := httptest.NewRecorder()
			p.Assets().ServeHTTP(w, r)
			body, got := io.Reader(w.Body), w.Header().Get("Content-Encoding")
			if want := packed && a.packed != nil; (got == "gzip") != want {
				t.Errorf("%s, Accept-Encoding %q: Content-Encoding %q", path, accept, got)
				continue
			}
			if got == "gzip" {
				z, err := gzip.NewReader(body)
				if err != nil {
					t.Fatal(err)
				}
				body = z
			}
			if text, err := io.ReadAll(body); err != nil || string(text) != string(a.body) {
				t.Errorf("%s, Accept-Encoding %q: another file (%v)", path, accept, err)
			}
			if a.packed != nil && w.Header().Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s: Vary is %q", path, w.Header().Get("Vary"))
			}
		}
	}
}

// A part of a file is a part of the file as it is.
func TestAPartOfAnAssetIsNotPacked(t *testing.T) {
	p := newPages(t, "/")
	r := httptest.NewRequest(http.MethodGet, p.assets.named["style.css"], nil)
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("Range", "bytes=0-9")
	w := httptest.NewRecorder()
	p.Assets().ServeHTTP(w, r)
	want := p.assets.byPath[p.assets.named["style.css"]].body[:10]
	if got := w.Body.String(); w.Code != http.StatusPartialContent || got != string(want) || w.Header().Get("Content-Encoding") != "" {
		t.Errorf("got %d %q", w.Code, got)
	}
}
