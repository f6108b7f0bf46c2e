package portal

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// pictures are logos of each kind by their media type.
func pictures(t *testing.T) map[string][]byte {
	t.Helper()
	var p, j bytes.Buffer
	dot := image.NewGray(image.Rect(0, 0, 1, 1))
	if err := png.Encode(&p, dot); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&j, dot, nil); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"image/svg+xml": []byte(svgLogo), "image/png": p.Bytes(), "image/jpeg": j.Bytes(),
		"image/webp": []byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"),
	}
}

func TestBrandingOfAHouse(t *testing.T) {
	for kind, logo := range pictures(t) {
		p, err := New("/gate/", Branding{Name: `Acme & <Sons>`, Logo: logo, Accent: "#0A7D55"})
		if err != nil {
			t.Fatal(err)
		}
		page := samples()["login"].html(t, p)
		has(t, page, "<title>Sign in · Acme &amp; &lt;Sons&gt;</title>", "<span>Acme &amp; &lt;Sons&gt;</span>", `rel="icon" href="/gate/_auth/assets/logo.`)
		hasNot(t, page, "wavegate", "<svg")
		found := regexp.MustCompile(`<img src="(/gate/_auth/assets/logo\.[0-9a-f]{16}\.[a-z]+)"`).FindStringSubmatch(page)
		if found == nil {
			t.Fatalf("%s: no logo on the page", kind)
		}
		answer := get(p.Assets(), http.MethodGet, found[1])
		if got := answer.Header().Get("Content-Type"); answer.Code != http.StatusOK || got != kind || !bytes.Equal(answer.Body.Bytes(), logo) {
			t.Errorf("%s: status %d, Content-Type %q, %d bytes", kind, answer.Code, got, answer.Body.Len())
		}
		wantPolicy := ""
		if kind == "image/svg+xml" {
			wantPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
		}
		if got := answer.Header().Get("Content-Security-Policy"); got != wantPolicy {
			t.Errorf("%s: policy %q, want %q", kind, got, wantPolicy)
		}
		sheet := regexp.MustCompile(`href="(/gate/_auth/assets/brand\.[0-9a-f]{16}\.css)"`).FindStringSubmatch(page)
		if sheet == nil || !strings.Contains(get(p.Assets(), http.MethodGet, sheet[1]).Body.String(), "--fill: #0a7d55;") {
			t.Errorf("%s: the colours are not served", kind)
		}
	}
}

func TestNewRefusesABrandingThatCannotBeShown(t *testing.T) {
	logos := pictures(t)
	for name, c := range map[string]struct {
		b    Branding
		want string
	}{
		"accent by name":  {Branding{Accent: "teal"}, "#rrggbb"},
		"short accent":    {Branding{Accent: "#fff"}, "#rrggbb"},
		"accent with css": {Branding{Accent: "#fff;}*{"}, "#rrggbb"},
		"signed accent":   {Branding{Accent: "#+fffff"}, "#rrggbb"},
		"long name":       {Branding{Name: strings.Repeat("ä", 61)}, "61 characters"},
		"control":         {Branding{Name: "a\nb"}, "cannot be shown"},
		"no UTF-8":        {Branding{Name: "\xff"}, "cannot be shown"},
		"empty logo":      {Branding{Logo: []byte{}}, "is no SVG"},
		"page":            {Branding{Logo: []byte("<html><svg xmlns='http://www.w3.org/2000/svg'/></html>")}, "is no SVG"},
		"no namespace":    {Branding{Logo: []byte("<svg/>")}, "is no SVG"},
		"gif":             {Branding{Logo: []byte("GIF89a\x01\x00\x01\x00")}, "is no SVG"},
		"wrong type":      {Branding{Logo: logos["image/png"], LogoType: "image/svg+xml"}, "is said to be image/svg+xml and is image/png"},
		"svg as png":      {Branding{Logo: logos["image/svg+xml"], LogoType: "image/png"}, "is said to be image/png"},
		"large":           {Branding{Logo: append(logos["image/png"], make([]byte, maxLogo)...)}, "at most 262144"},
	} {
		_, err := New("/", c.b)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
	}
	err := Branding{Accent: "x", Name: "\x00", Logo: []byte("x")}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("Validate lists %v, want three problems", err)
	}
}

// property returns the value of a custom property in one half of a stylesheet.
func property(t *testing.T, css, name string) colour {
	t.Helper()
	found := regexp.MustCompile(`--` + name + `: (#[0-9a-f]{6});`).FindStringSubmatch(css)
	if found == nil {
		t.Fatalf("no colour --%s in %s", name, css)
	}
	c, err := parseColour(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// themes splits a stylesheet into light and dark.
func themes(css string) [2]string {
	light, dark, _ := strings.Cut(css, "prefers-color-scheme: dark")
	return [2]string{light, dark}
}

// The colours of the stylesheet are repeated in colour.go, which has to know
// what an accent stands on.
func TestGroundsAreThoseOfTheStylesheet(t *testing.T) {
	css, err := embedded.ReadFile("assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range []ground{lightGround, darkGround} {
		theme := themes(string(css))[i]
		for name, want := range map[string]string{"paper": g.paper, "surface": g.surface, "sunken": g.sunken} {
			if got := property(t, theme, name).String(); got != want {
				t.Errorf("--%s is %s in the stylesheet and %s in colour.go", name, got, want)
			}
		}
		for _, on := range []string{"surface", "paper"} {
			if got := contrast(property(t, theme, "edge"), property(t, theme, on)); got < 3 {
				t.Errorf("theme %d: the edge of an input has a contrast of %.2f on --%s, want 3 (WCAG 1.4.11)", i, got, on)
			}
		}
	}
}

// Whatever colour a house has, everything in it can be read.
func TestEveryAccentCanBeRead(t *testing.T) {
	steps := []float64{0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1}
	for _, r := range steps {
		for _, g := range steps {
			for _, b := range steps {
				checkReadable(t, colour{r, g, b})
			}
		}
	}
}

func checkReadable(t *testing.T, accent colour) {
	t.Helper()
	for i, g := range []ground{lightGround, darkGround} {
		css := themes(brandStyle(accent))[i]
		text, strong, tint := property(t, css, "accent"), property(t, css, "accent-strong"), property(t, css, "tint")
		fill, fillStrong, label := property(t, css, "fill"), property(t, css, "fill-strong"), property(t, css, "on-fill")
		pairs := [][2]colour{{text, tint}, {strong, tint}, {label, fill}, {label, fillStrong}}
		for _, s := range []string{g.paper, g.surface, g.sunken} {
			c, _ := parseColour(s)
			pairs = append(pairs, [2]colour{text, c}, [2]colour{strong, c})
		}
		for _, pair := range pairs {
			if got := contrast(pair[0], pair[1]); got < 4.5 {
				t.Errorf("accent %v, theme %d: %v on %v has a contrast of %.2f", accent, i, pair[0], pair[1], got)
			}
		}
	}
}

func TestContrastIsThatOfTheStandard(t *testing.T) {
	if got := contrast(white, black); got < 20.999 || got > 21.001 {
		t.Errorf("white on black is %.3f, want 21", got)
	}
	grey, _ := parseColour("#767676") // the lightest grey that can be read on white
	if got := contrast(grey, white); got < 4.54 || got > 4.55 {
		t.Errorf("#767676 on white is %.3f, want 4.54", got)
	}
}
