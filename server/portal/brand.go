package portal

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"unicode"
	"unicode/utf8"
)

// maxLogo bounds the size of a logo in bytes: every visitor loads it.
const maxLogo = 256 << 10

// maxName bounds the name of a site in characters: it stands on one line.
const maxName = 60

// Branding makes the pages those of the house that runs the server. The zero
// value is wavegate's own look.
type Branding struct {
	Name     string // in titles and beside the logo; "" is wavegate
	Logo     []byte // nil is wavegate's; at most 256 KB
	LogoType string // image/svg+xml, image/png, image/jpeg or image/webp; "" is read from Logo
	Accent   string // primary colour, #rrggbb; "" is wavegate's
}

// Validate lists everything that is wrong with b.
func (b Branding) Validate() error {
	var errs []error
	if n := utf8.RuneCountInString(b.Name); n > maxName {
		errs = append(errs, fmt.Errorf("branding: the name has %d characters, and at most %d fit", n, maxName))
	}
	if !utf8.ValidString(b.Name) || bytes.ContainsFunc([]byte(b.Name), unicode.IsControl) {
		errs = append(errs, errors.New("branding: the name holds characters that cannot be shown"))
	}
	if _, err := parseColour(b.Accent); b.Accent != "" && err != nil {
		errs = append(errs, fmt.Errorf("branding: accent: %w", err))
	}
	if b.Logo != nil {
		_, err := b.logoType()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// logoExtensions are the kinds of logos that every browser shows.
var logoExtensions = map[string]string{
	"image/svg+xml": ".svg", "image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp",
}

// logoType returns what the logo is, which has to be what it is said to be.
func (b Branding) logoType() (string, error) {
	if len(b.Logo) > maxLogo {
		return "", fmt.Errorf("branding: the logo has %d bytes, and at most %d are allowed", len(b.Logo), maxLogo)
	}
	found := sniff(b.Logo)
	switch {
	case logoExtensions[found] == "":
		return "", errors.New("branding: the logo is no SVG, PNG, JPEG or WebP picture")
	case b.LogoType != "" && b.LogoType != found:
		return "", fmt.Errorf("branding: the logo is said to be %s and is %s", b.LogoType, found)
	}
	return found, nil
}

// sniff returns the media type of a picture by its first bytes.
func sniff(picture []byte) string {
	if isSVG(picture) {
		return "image/svg+xml"
	}
	return http.DetectContentType(picture)
}

// isSVG reports whether the first element of a document is SVG's. Without the
// namespace browsers show no picture.
func isSVG(doc []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(doc, []byte("\ufeff"))))
	d.Strict = false // drawing programs declare entities of their own
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if first, ok := token.(xml.StartElement); ok {
			return first.Name == xml.Name{Space: "http://www.w3.org/2000/svg", Local: "svg"}
		}
	}
}

// svgPolicy is for a logo that somebody opens by itself: nothing in it runs.
const svgPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

// site returns the site that b makes of a base, and adds the logo and the
// stylesheet of the colours to the assets. b has passed Validate.
func (b Branding) site(base string, assets assetSet) Site {
	s := Site{Name: cmp.Or(b.Name, "wavegate"), Home: base}
	if b.Logo != nil {
		kind, _ := b.logoType()
		logo := asset{body: bytes.Clone(b.Logo), kind: kind}
		if kind == "image/svg+xml" {
			logo.policy = svgPolicy
		}
		s.Logo = assets.add("logo", logoExtensions[kind], logo)
	}
	if b.Accent != "" {
		accent, _ := parseColour(b.Accent)
		s.Look = assets.add("brand", ".css", asset{body: []byte(brandStyle(accent)), kind: contentTypes[".css"]})
	}
	return s
}
