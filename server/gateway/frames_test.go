package gateway

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// frame is a client's frame; its mask is zero.
func frame(opcode byte, size int) []byte {
	b := []byte{0x80 | opcode, 0x80}
	switch {
	case size < 126:
		b[1] |= byte(size)
	case size < 1<<16:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(size))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(size))
	}
	return append(append(b, 0, 0, 0, 0), make([]byte, size)...)
}

func TestFramesTellMessagesFromPongs(t *testing.T) {
	const continuation, text, binaryData, ping, pong, end = 0, 1, 2, 9, 10, 8
	for _, c := range []struct {
		opcode byte
		want   bool
	}{{text, true}, {binaryData, true}, {continuation, true}, {ping, false}, {pong, false}, {end, false}} {
		for _, size := range []int{0, 1, 125, 126, 300, 65535, 65536, 100_000} {
			if c.opcode > 2 && size > 125 {
				continue // RFC 6455 §5.5
			}
			// Each frame behind a pong and before one, cut at every kind of place.
			stream := bytes.Join([][]byte{frame(pong, 5), frame(c.opcode, size), frame(pong, 0)}, nil)
			for range 20 {
				var f frames
				got, rest := false, stream
				for len(rest) > 0 {
					n := 1 + rand.N(min(len(rest), 1+rand.N(70_000)))
					got = f.message(rest[:n]) || got
					rest = rest[n:]
				}
				if got != c.want || f.left != 0 || f.have != 0 {
					t.Fatalf("opcode %d of %d bytes: %v, want %v; %+v left", c.opcode, size, got, c.want, f)
				}
			}
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(frame(1, 300))
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(_ *testing.T, stream []byte) {
		var whole, parts frames
		whole.message(stream)
		for i := range stream {
			parts.message(stream[i : i+1])
		}
		if whole != parts {
			panic("the cuts make a difference")
		}
	})
}
