package server

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// A strictConn is a connection whose HTTP/1 requests are held to the letter of
// RFC 9112 before net/http parses them. net/http takes some shapes that other
// servers read differently, and from the difference requests are smuggled: a
// body with both Content-Length and Transfer-Encoding (section 6.3), folded
// header lines (section 5.2), lines that end in a bare LF (section 2.2), a
// doubled Content-Length. What breaks the letter is cut off, so that net/http
// answers 400 and closes.
//
// HTTP/2 and upgraded connections pass through unread.
type strictConn struct {
	net.Conn
	scan wireScan
	rest []byte // what Read still has to say after a violation
	bad  bool

	born     time.Time
	extended atomic.Int64 // when the write deadline was last set, after born; 0 never
	relaxed  atomic.Bool  // the connection was hijacked
}

func newStrictConn(c net.Conn) *strictConn { return &strictConn{Conn: c, born: time.Now()} }

// poison ends whatever line it is put into in a way that net/http refuses.
const poison = "\x00\r\n\r\n"

// Read implements net.Conn.
func (c *strictConn) Read(p []byte) (int, error) {
	if c.bad {
		if len(c.rest) == 0 {
			return 0, io.EOF
		}
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	good := c.scan.feed(p[:n])
	if good == n {
		return n, err
	}
	c.bad, c.rest = true, []byte(poison)
	if good > 0 {
		return good, nil
	}
	return c.Read(p)
}

// relax stops the checks: the connection was hijacked and speaks something
// else from here on.
func (c *strictConn) relax() {
	c.scan.state = wireOff
	c.relaxed.Store(true)
}

// Write implements net.Conn.
func (c *strictConn) Write(p []byte) (int, error) {
	c.extendWriteDeadline()
	return c.Conn.Write(p)
}

// ReadFrom lets net/http hand files and sockets to the kernel.
func (c *strictConn) ReadFrom(r io.Reader) (int64, error) {
	c.extendWriteDeadline()
	return io.Copy(c.Conn, r)
}

// SetWriteDeadline implements net.Conn. After each answer net/http takes the
// deadline away; here it stays, because every write renews one that is old.
func (c *strictConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() && !c.relaxed.Load() {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

// extendWriteDeadline gives the client stallTimeout to accept what is written
// next, whatever writes it: answers, 1xx, net/http's own refusals. A deadline
// that is young enough stays, because setting one costs as much as a small
// answer.
func (c *strictConn) extendWriteDeadline() {
	now := time.Since(c.born)
	last := time.Duration(c.extended.Load())
	if c.relaxed.Load() || last != 0 && now-last < deadlineSlack {
		return
	}
	c.extended.Store(int64(max(now, 1)))
	_ = c.Conn.SetWriteDeadline(time.Now().Add(stallTimeout + deadlineSlack))
}

// CloseWrite lets net/http end an answer before it closes the connection.
func (c *strictConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return c.Close()
}

// A strictTLSConn is a strictConn that lets net/http fill in Request.TLS.
type strictTLSConn struct {
	strictConn
	tls *tls.Conn
}

func newStrictTLSConn(c *tls.Conn) *strictTLSConn {
	return &strictTLSConn{strictConn: strictConn{Conn: c, born: time.Now()}, tls: c}
}

// ConnectionState implements what net/http looks for.
func (c *strictTLSConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

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
	remain  int64 // bytes left of the body or chunk
}

type wireState uint8

const (
	wireHeader    wireState = iota // in the request line or the header section
	wireBody                       // in a body of known length
	wireChunkSize                  // in a chunk's first line
	wireChunk                      // in a chunk, or in the CRLF behind it
	wireTrailer                    // in the trailer section
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

func (s *wireScan) requestLine(line []byte) bool {
	if bytes.Equal(line, []byte("PRI * HTTP/2.0")) {
		s.state = wireOff
		return true
	}
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
	*s = wireScan{line: s.line[:0]}
}
