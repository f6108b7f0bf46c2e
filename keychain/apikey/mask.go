package apikey

import "strings"

// maskedDigits is how many digits in a row make Mask take a text for a key: fewer
// than a key has, so that one that lost its end is hidden too.
const maskedDigits = 20

// Mask returns text with the secret part of each key in it, of whatever brand, as
// "…": what is left is the prefix, which may be shown. Letter case aside: a key
// that was typed wrong is nearly right. Text without any is returned as it is.
func Mask(text string) string {
	from, to := findKey(text, 0, maskedDigits)
	if to == 0 {
		return text
	}
	var out strings.Builder
	done := 0
	for ; to > 0; from, to = findKey(text, to, maskedDigits) {
		out.WriteString(text[done : from+prefixDigits])
		out.WriteString("…")
		done = to
	}
	out.WriteString(text[done:])
	return out.String()
}

// Holds reports whether a whole key, of whatever brand, stands somewhere in a text.
func Holds(text string) bool {
	_, end := findKey(text, 0, secretDigits)
	return end > 0
}

// findKey returns where the digits of the first key behind a place of text begin
// and end, zeros where there is none. At least so many digits make one.
func findKey(text string, at, least int) (from, to int) {
	for {
		i := strings.IndexByte(text[at:], '_')
		if i < 0 {
			return 0, 0
		}
		at += i + 1
		end := at
		for end < len(text) && isHexDigit(text[end]) {
			end++
		}
		if end-at >= least && endsInEnvironment(text[:at-1]) {
			return at, end
		}
	}
}

func isHexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// endsInEnvironment reports whether text ends as a key does before its digits.
func endsInEnvironment(text string) bool {
	brand, env, ok := cutLast(text)
	return ok && brand != "" && len(env) <= len(Trial) && Environment(strings.ToLower(env)).Valid()
}
