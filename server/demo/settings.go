package demo

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// settings are the fields of a stream that callers may set. Nil leaves a field
// as it is.
type settings struct {
	Name       *string `json:"name"`
	Codec      *string `json:"codec"`
	Resolution *string `json:"resolution"`
	Bitrate    *int    `json:"bitrate_kbps"`
}

// apply sets what is set.
func (st *stream) apply(set settings) {
	if set.Name != nil {
		st.Name = strings.TrimSpace(*set.Name)
	}
	if set.Codec != nil {
		st.Codec = *set.Codec
	}
	if set.Resolution != nil {
		st.Resolution = *set.Resolution
	}
	if set.Bitrate != nil {
		st.Bitrate = *set.Bitrate
	}
}

// over returns set, with what it leaves open taken from base.
func (set settings) over(base settings) settings {
	if set.Codec == nil {
		set.Codec = base.Codec
	}
	if set.Resolution == nil {
		set.Resolution = base.Resolution
	}
	if set.Bitrate == nil {
		set.Bitrate = base.Bitrate
	}
	return set
}

// check returns one error that names everything wrong, or nil. A whole stream
// needs a name, a change does not.
func (set settings) check(whole bool) error {
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	switch {
	case set.Name == nil && whole:
		complain("name is missing")
	case set.Name != nil && !validName(*set.Name):
		complain("name must have 1 to 100 printable characters")
	}
	codecs := []string{"h264", "h265", "av1", "vp9"}
	if set.Codec != nil && !slices.Contains(codecs, *set.Codec) {
		complain("codec must be one of %s", strings.Join(codecs, ", "))
	}
	resolutions := []string{"480p", "720p", "1080p", "2160p"}
	if set.Resolution != nil && !slices.Contains(resolutions, *set.Resolution) {
		complain("resolution must be one of %s", strings.Join(resolutions, ", "))
	}
	if set.Bitrate != nil && (*set.Bitrate < 100 || *set.Bitrate > 50_000) {
		complain("bitrate_kbps must be from 100 to 50000")
	}
	if len(wrong) == 0 {
		return nil
	}
	return errorf(http.StatusBadRequest, "invalid_request", "%s.", strings.Join(wrong, "; "))
}

func validName(name string) bool {
	trimmed := strings.TrimSpace(name)
	return trimmed != "" && utf8.RuneCountInString(trimmed) <= 100 && utf8.ValidString(trimmed) &&
		!strings.ContainsFunc(trimmed, func(r rune) bool { return !unicode.IsPrint(r) })
}
