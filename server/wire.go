package server

import (
	"bytes"
	"strconv"
)

// A wireScan follows the framing of HTTP/1 requests on one connection. The zero
// value is at the start of a connection.
type wireScan struct {
	state   wireState
	line    []byte // the beginning of a line that is not whole yet
	dropped bool   // line is longer than what was kept
	first   bool   // the request line was seen
	http10  bool
	chunked bool
	length  int64 // of the body; -1 none was given
	remain  int64 // bytes left of the body, chunk or preface
	noHTTP2 bool  // the connection cannot turn to HTTP/2
}

type wireState uint8

const (
	wireHeader    wireState = iota // in the request line or the header section
	wireBody                       // in a body of known length
	wireChunkSize                  // in a chunk's first line
	wireChunk                      // in a chunk, or in the CRLF behind it
	wireTrailer                    // in the trailer section
	wirePreface                    // behind the first line of HTTP/2's preface
	wireOff                        // not HTTP/1 any more
)

// maxScannedLine is how much of a line is kept while it is not whole, in bytes.
// Only Content-Length and Transfer-Encoding are read, and those are short.
const maxScannedLine = 256

// feed looks at the next bytes and returns how many of them are well formed.
func (s *wireScan) feed(p []byte) int {
	for i := 0; i < len(p); {
		switch s.state {
		case wireOff:
			return len(p)
		case wirePreface:
			if p[i] != prefaceEnd[len(prefaceEnd)-int(s.remain)] {
				return i
			}
			i++
			if s.remain--; s.remain == 0 {
				s.state = wireOff
			}
		case wireBody, wireChunk:
			n := min(s.remain, int64(len(p)-i))
			s.remain -= n
			i += int(n)
			if s.remain == 0 {
				s.endOfData()
			}
		default:
			n, ok := s.feedLine(p[i:])
			if !ok {
				return i + n
			}
			i += n
		}
	}
	return len(p)
}

// endOfData leaves a body or a chunk. The CRLF behind a chunk counts as its
// last two bytes: net/http checks what they are.
func (s *wireScan) endOfData() {
	if s.state == wireChunk {
		s.state = wireChunkSize
		return
	}
	s.reset()
}

// feedLine takes bytes up to the end of a line, or all of them. It returns how
// many it took; if not ok, how many of them are well formed.
func (s *wireScan) feedLine(p []byte) (n int, ok bool) {
	end := bytes.IndexByte(p, '\n')
	part := p
	if end >= 0 {
		part = p[:end]
	}
	if len(s.line) == 0 && len(part) > 0 && (part[0] == ' ' || part[0] == '\t') {
		return 0, false // obs-fold, or a request line that begins with a blank
	}
	if cr := bytes.IndexByte(part, '\r'); cr >= 0 && cr != len(part)-1 {
		return cr, false // bare CR
	}
	if end < 0 {
		if len(s.line) > 0 && s.line[len(s.line)-1] == '\r' && len(part) > 0 {
			return 0, false // bare CR at the end of what was read before
		}
		s.keep(part)
		return len(p), true
	}
	whole := part
	if len(s.line) > 0 {
		if s.line[len(s.line)-1] == '\r' && len(part) > 0 {
			return 0, false
		}
		s.keep(part)
		whole = s.line
	}
	if len(whole) == 0 || whole[len(whole)-1] != '\r' {
		return end, false // bare LF
	}
	long := s.dropped
	ok = s.endOfLine(whole[:len(whole)-1], long)
	s.line, s.dropped = s.line[:0], false
	if !ok {
		return end, false
	}
	return end + 1, true
}

// keep remembers the beginning of an unfinished line, and its last byte.
func (s *wireScan) keep(part []byte) {
	room := maxScannedLine - len(s.line)
	if len(part) <= room {
		s.line = append(s.line, part...)
		return
	}
	s.dropped = true
	s.line = append(s.line, part[:room]...)
	s.line[len(s.line)-1] = part[len(part)-1]
}

// endOfLine takes one whole line, without its CRLF.
func (s *wireScan) endOfLine(line []byte, long bool) bool {
	switch s.state {
	case wireChunkSize:
		return s.chunkSize(line, long)
	case wireTrailer:
		if len(line) == 0 {
			s.reset()
		}
		return true
	}
	switch {
	case !s.first:
		return s.requestLine(line)
	case len(line) == 0:
		return s.endOfHeader()
	}
	return s.field(line, long)
}

// prefaceEnd is what follows the first line of HTTP/2's connection preface (RFC
// 9113, section 3.4). Only the whole of it ends the scan.
const prefaceEnd = "\r\nSM\r\n\r\n"

func (s *wireScan) requestLine(line []byte) bool {
	switch {
	case len(line) == 0:
		return true // an empty line before a request is passed over (RFC 9112, section 2.2)
	case bytes.Equal(line, []byte("PRI * HTTP/2.0")):
		s.state, s.remain = wirePreface, int64(len(prefaceEnd))
		return !s.noHTTP2
	}
	s.noHTTP2 = true // only the first bytes of a connection can be the preface
	s.first, s.length = true, -1
	s.http10 = bytes.HasSuffix(line, []byte(" HTTP/1.0"))
	return true
}

// field looks at a header line for what frames the body. Everything else about
// it is net/http's to check.
func (s *wireScan) field(line []byte, long bool) bool {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		value = bytes.Trim(value, " \t")
		n, err := strconv.ParseUint(string(value), 10, 63)
		if err != nil || value[0] == '+' || s.length >= 0 || s.chunked || long {
			return false
		}
		s.length = int64(n)
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if s.length >= 0 || s.chunked || s.http10 || long || !bytes.EqualFold(bytes.Trim(value, " \t"), []byte("chunked")) {
			return false
		}
		s.chunked = true
	}
	return true
}

func (s *wireScan) endOfHeader() bool {
	switch {
	case s.chunked:
		s.state = wireChunkSize
	case s.length > 0:
		s.state, s.remain = wireBody, s.length
	default:
		s.reset()
	}
	return true
}

// chunkSize reads a chunk's first line (RFC 9112, section 7.1).
func (s *wireScan) chunkSize(line []byte, long bool) bool {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimRight(digits, " \t")
	n, err := strconv.ParseUint(string(digits), 16, 62)
	if err != nil || long || digits[0] == '+' || bytes.IndexByte(digits, '_') >= 0 {
		return false
	}
	if n == 0 {
		s.state = wireTrailer
		return true
	}
	s.state, s.remain = wireChunk, int64(n)+2
	return true
}

// reset waits for the next request.
func (s *wireScan) reset() {
	*s = wireScan{line: s.line[:0], noHTTP2: s.noHTTP2}
}

// inBody reports whether a request's header is whole and its body is not.
func (s *wireScan) inBody() bool {
	switch s.state {
	case wireBody, wireChunkSize, wireChunk, wireTrailer:
		return true
	}
	return false
}
