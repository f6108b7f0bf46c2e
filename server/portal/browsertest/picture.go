package browsertest

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"slices"
)

// smaller returns a PNG with at most 256 colours, the most frequent ones, where each
// other becomes the one that is nearest. Pages have few colours beside the edges of
// their letters, so it looks the same at half the size.
func smaller(picture []byte) ([]byte, error) {
	whole, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	from := image.NewRGBA(whole.Bounds())
	draw.Draw(from, from.Rect, whole, from.Rect.Min, draw.Src)
	to := image.NewPaletted(from.Rect, palette(from))
	places := map[color.RGBA]uint8{}
	for i := range to.Pix {
		c := pixel(from, i)
		place, known := places[c]
		if !known {
			place = uint8(to.Palette.Index(c))
			places[c] = place
		}
		to.Pix[i] = place
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&out, to)
	return out.Bytes(), err
}

// palette is the most frequent colours of a picture, at most 256.
func palette(of *image.RGBA) color.Palette {
	counts := map[color.RGBA]int{}
	for i := range len(of.Pix) / 4 {
		counts[pixel(of, i)]++
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int { return counts[b] - counts[a] })
	var most color.Palette
	for _, c := range colours[:min(len(colours), 256)] {
		most = append(most, c)
	}
	return most
}

// pixel is the i-th of a picture, row by row.
func pixel(of *image.RGBA, i int) color.RGBA {
	p := of.Pix[4*i : 4*i+4]
	return color.RGBA{R: p[0], G: p[1], B: p[2], A: p[3]}
}
