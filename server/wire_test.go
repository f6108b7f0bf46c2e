package server

import (
	"strings"
	"testing"
)

func TestWireScan(t *testing.T) {
	tests := []struct {
		name, in string
		good     int // -1: all
	}{
		{"plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", -1},
		{"pipelined", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", -1},
		{"body with anything", "POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\n \n\r\x00\n a\nGET / HTTP/1.1\r\n\r\n", -1},
		{"chunks", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n\n\n \r\n0\r\nT: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n", -1},
		{"http/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n \x00", -1},
		{"half a preface", "PRI * HTTP/2.0\r\nHost: a\r\n\r\n", 16},
		{"a preface later", "GET / HTTP/1.1\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 33},
		{"an empty line first", "\r\nPOST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 46},
		{"long line", "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 5000) + "\r\n\r\n", -1},
		{"obs-fold", "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", 22},
		{"tab fold", "GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n", 22},
		{"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 14},
		{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 25},
		{"bare CR", "GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 20},
		{"CL then TE", "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 63},
		{"TE then CL", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 63},
		{"two CL", "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 54},
		{"CL with sign", "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na", 36},
		{"CL list", "POST / HTTP/1.1\r\nContent-Length: 1,1\r\n\r\na", 37},
		{"empty CL", "POST / HTTP/1.1\r\nContent-Length:\r\n\r\na", 33},
		{"TE list", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 50},
		{"TE on 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 44},
		{"chunk size 0x", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 51},
		{"chunk size LF", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 48},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.good
			if want < 0 {
				want = len(tt.in)
			}
			var whole wireScan
			if got := whole.feed([]byte(tt.in)); got != want {
				t.Errorf("in one piece: %d good bytes, want %d", got, want)
			}
			if got := feedBytes(tt.in); want == len(tt.in) && got != want || want < len(tt.in) && got >= len(tt.in) {
				t.Errorf("byte by byte: %d good bytes, want %d of %d", got, want, len(tt.in))
			}
		})
	}
}

// feedBytes gives the scan one byte at a time and returns how many were good.
func feedBytes(in string) int {
	var s wireScan
	for i := range len(in) {
		if s.feed([]byte{in[i]}) == 0 {
			return i
		}
	}
	return len(in)
}

// FuzzWireScan: how the bytes arrive must not change the verdict.
func FuzzWireScan(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 7)
	f.Add("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", 1)
	f.Add("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", 22)
	f.Fuzz(func(t *testing.T, in string, at int) {
		var whole, halves wireScan
		a := whole.feed([]byte(in))
		at = max(0, min(at, len(in)))
		if n := halves.feed([]byte(in[:at])); n == at {
			n = at + halves.feed([]byte(in[at:]))
			if (n == len(in)) != (a == len(in)) {
				t.Errorf("whole: %d of %d good; split at %d: %d", a, len(in), at, n)
			}
		} else if a == len(in) {
			t.Errorf("good as a whole, bad when split at %d", at)
		}
	})
}
