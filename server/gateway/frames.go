package gateway

import "encoding/binary"

// frames follows what a client sends on a WebSocket (RFC 6455 §5.2), so far as to
// tell messages from control frames: a browser answers pings by itself, whether
// or not anybody sits before it.
type frames struct {
	head [14]byte // of the frame that begins
	have int      // bytes of head that are there
	left uint64   // bytes of the present frame's payload that are to come
	text bool     // the present frame is part of a message
}

// message reports whether p, the next bytes of the stream, holds a part of a
// message.
func (f *frames) message(p []byte) bool {
	found := false
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)))
			p, f.left = p[n:], f.left-n
			found = found || f.text
			continue
		}
		f.head[f.have] = p[0]
		f.have++
		p = p[1:]
		if f.have < f.size() {
			continue
		}
		f.left, f.text, f.have = f.length(), f.head[0]&0x0f <= 2, 0
		found = found || f.text
	}
	return found
}

// size is how long the head is, as far as its first two bytes tell.
func (f *frames) size() int {
	if f.have < 2 {
		return 2
	}
	size := 2
	switch f.head[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.head[1]&0x80 != 0 {
		size += 4 // the mask
	}
	return size
}

// length is the length of the payload of a whole head.
func (f *frames) length() uint64 {
	switch n := f.head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.head[2:])
	default:
		return uint64(n)
	}
}
