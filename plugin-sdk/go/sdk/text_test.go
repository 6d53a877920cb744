package weir

import "testing"

func TestTextsForPeople(t *testing.T) {
	for text, shown := range map[Text]string{
		"":                 ``,
		"café":             `café`,
		"a\xffb":           `a\xffb`,
		`a\xffb`:           `a\\xffb`,
		`\`:                `\\`,
		"a\x00b":           `a\x00b`,
		`a\x00b`:           `a\\x00b`,
		"\ufffd":           "\ufffd",
		"\xe2\x82A":        `\xe2\x82A`,
		"\xed\xa0\x80":     `\xed\xa0\x80`,
		"\xc0\x80":         `\xc0\x80`,
		"\xf4\x90\x80\x80": `\xf4\x90\x80\x80`,
		"\xf0\x9f\x98\x80": "😀",
	} {
		if text.String() != shown {
			t.Errorf("%q is shown as %q, not as %q", string(text), text.String(), shown)
		}
	}
}

func TestValuesForPeople(t *testing.T) {
	type limit uint32
	for _, test := range []struct {
		value any
		shown string
	}{
		{"a\xff", "a\xff"},
		{Text("a\xff"), `a\xff`},
		{Fail("quota", "too much"), "too much"},
		{-3, "-3"},
		{limit(3), "3"},
		{^uint64(0), "18446744073709551615"},
		{0.25, "0.25"},
		{1e21, "1e+21"},
		{true, "true"},
	} {
		if shown := F("", test.value).Value; shown != test.shown {
			t.Errorf("%v is shown as %q, not as %q", test.value, shown, test.shown)
		}
	}
}
