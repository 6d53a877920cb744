package weir

import (
	"strings"
	"unicode/utf8"
)

// Text is a text as the kernel wrote it: bytes, most often UTF-8. Like every string it can be compared and be the
// key of a map.
type Text string

// String is the text for people: with its backslashes doubled, `\x00` for a NUL, and `\xNN` for each byte that is not
// part of valid UTF-8, so that two different texts never look alike.
func (t Text) String() string {
	plain := func(r rune) bool { return r == '\\' || r == 0 || r == utf8.RuneError }
	if !strings.ContainsFunc(string(t), plain) {
		return string(t)
	}
	const digits = "0123456789abcdef"
	var shown strings.Builder
	for rest := string(t); rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == 0 || r == utf8.RuneError && size == 1:
			shown.WriteString(`\x`)
			shown.WriteByte(digits[rest[0]>>4])
			shown.WriteByte(digits[rest[0]&15])
		case r == '\\':
			shown.WriteString(`\\`)
		default:
			shown.WriteString(rest[:size])
		}
		rest = rest[size:]
	}
	return shown.String()
}

// valid is a string that may be given to the host, which ends a plugin that gives it one that is no UTF-8.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return Text(s).String()
}
