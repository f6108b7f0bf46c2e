package policy

import (
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxBrandName bounds the name on the pages, in bytes.
const maxBrandName = 64

// Branding is how the server's own pages present themselves. The zero value is
// wavegate's own look.
type Branding struct {
	Name   string
	Logo   string // file, relative to where the server was started; .svg, .png, .jpg, .jpeg or .webp
	Accent string // "#rrggbb", lower case
}

// readBranding reads the section branding.
func (c *compiler) readBranding(n *yaml.Node) {
	o := c.object(n, "branding", "name", "logo", "accent")
	b := Branding{Name: o.text("name"), Logo: o.text("logo"), Accent: strings.ToLower(o.text("accent"))}
	if len(b.Name) > maxBrandName {
		c.fail(o.fields["name"], "name is longer than %d bytes", maxBrandName)
	}
	kinds := []string{".svg", ".png", ".jpg", ".jpeg", ".webp"}
	switch {
	case strings.Contains(b.Logo, "://"):
		c.fail(o.fields["logo"], "logo %q: pages load nothing from elsewhere; name a file", redact(b.Logo))
	case b.Logo != "" && !slices.Contains(kinds, strings.ToLower(filepath.Ext(b.Logo))):
		c.fail(o.fields["logo"], "logo %q: want a file that ends in %s", b.Logo, strings.Join(kinds, ", "))
	}
	if b.Accent != "" && !isColour(b.Accent) {
		c.fail(o.fields["accent"], `accent %q: write a colour as "#rrggbb", such as "#0a7d55"`, b.Accent)
	}
	c.policy.branding = b
}

// isColour reports whether s is "#" and six hex digits.
func isColour(s string) bool {
	if len(s) != 7 || s[0] != '#' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}
