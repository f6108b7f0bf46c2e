//go:build linux

package bench

import "testing"

func TestReadAnswer(t *testing.T) {
	const head = "HTTP/1.1 401 Unauthorized\r\nDate: x\r\nContent-Length: 2\r\n\r\n"
	for _, tt := range []struct {
		text   string
		status int
		whole  bool
		fails  bool
	}{
		{head + "ok", 401, true, false},
		{head + "o", 401, false, false},
		{head[:len(head)-1], 0, false, false},
		{"", 0, false, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, false, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 0, false, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 0, false, true},
	} {
		status, whole, err := readAnswer([]byte(tt.text))
		if whole != tt.whole || (err != nil) != tt.fails || err == nil && status != tt.status {
			t.Errorf("readAnswer(%q): got %d, %t, %v; want %d, %t, an error %t", tt.text, status, whole, err, tt.status, tt.whole, tt.fails)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   string
	}{
		{[]float64{3, 1, 2}, "2.00 (1.00–3.00)"},
		{[]float64{4, 1, 2, 3}, "2.50 (1.00–4.00)"},
		{[]float64{1}, "1.00 (1.00–1.00)"},
	} {
		if got := spreadOf(tt.values).String(); got != tt.want {
			t.Errorf("spreadOf(%v): got %s, want %s", tt.values, got, tt.want)
		}
	}
}
