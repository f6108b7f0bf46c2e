package gateway

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/identity"
	"wavegate/server/policy"
)

// files serves the files of a folder: no listings, no hidden files, nothing
// that a symbolic link fetches from outside the folder.
type files struct {
	route *policy.Route
	dir   string
}

// newFiles returns the handler of a file:// route. The folder must exist.
func newFiles(route *policy.Route) (*files, error) {
	dir := route.Target.Path
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("folder to serve: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("folder to serve: %s is not a folder", dir)
	}
	return &files{route, dir}, nil
}

// serve answers with the file that the path names.
func (f *files) serve(w http.ResponseWriter, r *http.Request, id *identity.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return fault.MethodNotAllowed("GET, HEAD")
	}
	name, ok := fileName(pathBeyond(id.Path, f.route.Path))
	if !ok {
		return fault.NotFound()
	}
	// Opened anew each time, so that a folder that is replaced as a whole is
	// seen at once.
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return fault.From(fmt.Errorf("folder to serve: %w", err))
	}
	defer root.Close()
	return f.send(w, r, root, name, strings.HasSuffix(id.Path, "/"))
}

// fileName returns the name inside the folder that a path means, "." for the
// folder itself. It refuses hidden names (but .well-known, RFC 8615), empty
// segments, and slashes and backslashes that were encoded.
func fileName(rest string) (name string, ok bool) {
	rest = strings.TrimSuffix(strings.TrimPrefix(rest, "/"), "/")
	if rest == "" {
		return ".", true
	}
	if strings.Contains(rest, "%2F") || strings.Contains(rest, "%5C") {
		return "", false
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if segment == "" || segment[0] == '.' && segment != ".well-known" {
			return "", false
		}
	}
	return strings.ReplaceAll(rest, "%25", "%"), true
}

// send answers with a file, or with the index page of a folder. A folder's
// address ends in a slash and a file's does not, or relative links break.
func (f *files) send(w http.ResponseWriter, r *http.Request, root *os.Root, name string, slash bool) error {
	info, err := root.Stat(name)
	if err != nil {
		return fileFault(err)
	}
	if info.IsDir() {
		if !slash {
			return redirectToSlash(w, r)
		}
		name = path.Join(name, "index.html")
	} else if slash {
		return fault.NotFound()
	}
	file, info, err := openRegular(root, name)
	if err != nil {
		return fileFault(err)
	}
	defer file.Close()
	f.setHeaders(w.Header(), info)
	http.ServeContent(w, r, name, info.ModTime(), file)
	return nil
}

// openRegular opens a file, and only if it is a regular one: opening a named
// pipe would wait for somebody to write to it.
func openRegular(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fs.ErrNotExist
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// setHeaders sets the headers of a file's answer. What only some may see is
// kept out of shared caches.
func (f *files) setHeaders(h http.Header, info fs.FileInfo) {
	h.Set("Etag", strconv.Quote(strconv.FormatInt(info.ModTime().UnixNano(), 36)+"-"+strconv.FormatInt(info.Size(), 36)))
	h.Set("X-Content-Type-Options", "nosniff")
	if f.route.Access != policy.Public {
		h.Set("Cache-Control", "private, no-cache")
	}
	changeHeaders(h, f.route.ResponseHeaders)
}

// redirectToSlash sends the client to the same path with a slash at its end.
// The target is relative to the last segment, so it cannot lead elsewhere.
func redirectToSlash(w http.ResponseWriter, r *http.Request) error {
	location := "./" + path.Base(r.URL.EscapedPath()) + "/"
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusTemporaryRedirect)
	return nil
}

// fileFault is the answer where a file cannot be had: whatever leads out of
// the folder or may not be read is simply not there.
func fileFault(err error) error {
	if isExhausted(err) {
		return overloaded().Because(err)
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok || errors.Is(err, fs.ErrNotExist) {
		return fault.NotFound().Because(err)
	}
	return fault.From(err)
}

// static answers every request of a static:// route with one status.
type static struct {
	route *policy.Route
	code  int
}

// serve answers. A status that is an error is left to the one renderer.
func (s *static) serve(w http.ResponseWriter, _ *http.Request, _ *identity.Request) error {
	text := http.StatusText(s.code)
	if s.code >= 400 {
		if text == "" {
			text = "Client error"
			if s.code >= 500 {
				text = "Server error"
			}
		}
		return fault.New(s.code, wordOf(text), text+".")
	}
	changeHeaders(w.Header(), s.route.ResponseHeaders)
	if s.code >= 300 || s.code == http.StatusNoContent || s.code == http.StatusResetContent {
		w.WriteHeader(s.code)
		return nil
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(s.code)
	io.WriteString(w, text+"\n") // a client that is gone misses nothing
	return nil
}

// wordOf makes an error code of a status text: lower-case letters with "_"
// between the words.
func wordOf(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ' || c == '-':
			return '_'
		case 'a' <= c && c <= 'z':
			return c
		}
		return -1
	}, strings.ToLower(text))
}
