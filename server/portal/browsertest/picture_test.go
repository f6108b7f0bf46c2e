package browsertest

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"
)

func TestPicturesKeepTheColoursThatAreFrequent(t *testing.T) {
	from := image.NewRGBA(image.Rect(0, 0, 100, 10))
	for i := range 1000 {
		from.Set(i%100, i/100, color.RGBA{R: uint8(i), G: uint8(i / 256), B: 200, A: 255}) // each once
	}
	accent := color.RGBA{R: 12, G: 100, B: 120, A: 255}
	for x := range 100 {
		from.Set(x, 0, accent)
	}
	var whole bytes.Buffer
	if err := png.Encode(&whole, from); err != nil {
		t.Fatal(err)
	}
	small, err := smaller(whole.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	to, err := png.Decode(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	if got := to.ColorModel().(color.Palette); len(got) != 256 {
		t.Errorf("%d colours are left, want 256", len(got))
	}
	if got := color.RGBAModel.Convert(to.At(50, 0)); got != accent {
		t.Errorf("the most frequent colour is %v, want %v", got, accent)
	}
	if _, err := smaller([]byte("no picture")); err == nil {
		t.Error("what is no picture is taken for one")
	}
}
