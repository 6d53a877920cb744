//! How bytes that are not ours are shown: reversibly, and without their power over a terminal.
//!
//! | in the bytes | shown as |
//! |---|---|
//! | a backslash, a newline, a tab, a carriage return | `\\`, `\n`, `\t`, `\r` |
//! | other ASCII control characters, and bytes that are not UTF-8 | `\x` and two hexadecimal digits |
//! | other characters that are not seen, or that change how others are seen | `\u{` hexadecimal digits `}` |
//! | everything else | itself |
//!
//! The third line has control characters, bidirectional controls, zero-width and other format characters,
//! every space but the plain one, line and paragraph separators, combining marks (with them two different
//! strings would look alike), private and unassigned characters. What is and what is not seen is as
//! [`char::escape_debug`] has it, and may grow with Unicode; [`unescape`] does not depend on it.

use std::borrow::Cow;

/// Shows any bytes. [`unescape`] gives them back, so different bytes never look alike.
#[must_use]
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if is_plain(text) && !text.contains('\\') => return Cow::Borrowed(text),
        _ => (),
    }
    let mut shown = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                shown.push_str("\\\\");
            } else {
                push(&mut shown, c);
            }
        }
        for byte in chunk.invalid() {
            push_byte(&mut shown, *byte);
        }
    }
    Cow::Owned(shown)
}

/// Makes text harmless that should be escaped already, such as a recording's or an error message, leaving its
/// backslashes as they are. Text that is escaped stays as it is.
#[must_use]
pub fn guard(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    text.chars().for_each(|c| push(&mut shown, c));
    Cow::Owned(shown)
}

/// The bytes that were escaped, or nothing if [`escape`] cannot have written this.
#[must_use]
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escaped) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        let mut tail = escaped.get(1..)?.chars();
        match tail.next()? {
            '\\' => bytes.push(b'\\'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            'r' => bytes.push(b'\r'),
            'x' => {
                bytes.push(u8::try_from(hexadecimal(tail.as_str().get(..2)?)?).ok()?);
                tail = tail.as_str().get(2..)?.chars();
            }
            'u' => {
                let (digits, after) = tail.as_str().strip_prefix('{')?.split_once('}')?;
                let c = char::from_u32(hexadecimal(digits)?)?;
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                tail = after.chars();
            }
            _ => return None,
        }
        rest = tail.as_str();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// Nothing in it has to be escaped, backslashes aside.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || text.chars().all(is_seen)
}

fn is_seen(c: char) -> bool {
    match c {
        ' '..='~' => true,
        // Letters and a symbol by their category, and yet blank: the Hangul fillers and the empty Braille cell.
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' => false,
        _ => c.escape_debug().len() == 1,
    }
}

fn push(shown: &mut String, c: char) {
    match c {
        c if is_seen(c) => shown.push(c),
        '\n' => shown.push_str("\\n"),
        '\t' => shown.push_str("\\t"),
        '\r' => shown.push_str("\\r"),
        '\0'..='\x7f' => push_byte(shown, c as u8),
        _ => shown.extend(c.escape_unicode()),
    }
}

fn push_byte(shown: &mut String, byte: u8) {
    shown.push_str(&format!("\\x{byte:02x}"));
}

/// As [`u32::from_str_radix`], but without its sign.
fn hexadecimal(digits: &str) -> Option<u32> {
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Written out on its own, so as not to test the module against itself.
    fn is_dangerous(c: char) -> bool {
        matches!(c,
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}'
            | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3000}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
    }

    /// Bytes of which many are text, many of it dangerous, some of it escapes.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            any::<Vec<u8>>(),
            any::<String>().prop_map(String::into_bytes),
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            prop::sample::select(vec![
                "\\",
                "\\n",
                "\\x1b",
                "\x1b[2J",
                "\u{202e}",
                "\u{200b}",
                "\u{2028}",
                "\u{85}",
                "\r\n",
                "é",
                "日本",
                "e\u{301}",
                "\u{e0041}",
                "\u{feff}",
                "\u{ad}",
                "\u{3164}",
                "\\u{41}",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
        ];
        prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn what_was_escaped_comes_back(bytes in bytes()) {
            prop_assert_eq!(unescape(&escape(&bytes)), Some(bytes));
        }

        #[test]
        fn nothing_dangerous_is_shown(bytes in bytes()) {
            let shown = escape(&bytes).into_owned();
            prop_assert!(!shown.contains(is_dangerous), "{shown:?}");
            // What is escaped is guarded already.
            prop_assert_eq!(guard(&shown), shown.as_str());
        }

        #[test]
        fn any_text_is_guarded_and_can_be_unescaped_or_is_refused(text in any::<String>()) {
            prop_assert!(!guard(&text).contains(is_dangerous));
            drop(unescape(&text));
        }

        #[test]
        fn plain_text_is_itself(text in "[ -\\[\\]-~]*") {
            prop_assert!(matches!(escape(text.as_bytes()), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn every_dangerous_character_is_escaped() {
        for c in ('\0'..=char::MAX).filter(|c| is_dangerous(*c)) {
            let shown = escape(c.to_string().as_bytes()).into_owned();
            assert!(shown.is_ascii() && shown.starts_with('\\'), "{:x} is shown as {shown:?}", u32::from(c));
        }
    }

    #[test]
    fn escapes_are_as_documented() {
        let cases: [(&[u8], &str); 10] = [
            (b"cat", "cat"),
            ("naïve 日本".as_bytes(), "naïve 日本"),
            (b"a\\b", "a\\\\b"),
            (b"a\nb\tc\rd", "a\\nb\\tc\\rd"),
            (b"\x1b[31m\0\x7f", "\\x1b[31m\\x00\\x7f"),
            (b"\xff\xc3(", "\\xff\\xc3("),
            ("\u{85}".as_bytes(), "\\u{85}"),
            (b"\x85", "\\x85"),
            ("\u{202e}txt.exe".as_bytes(), "\\u{202e}txt.exe"),
            ("it's \"so\"".as_bytes(), "it's \"so\""),
        ];
        for (bytes, shown) in cases {
            assert_eq!(escape(bytes), shown);
        }
    }

    #[test]
    fn what_was_never_escaped_is_refused() {
        for text in
            ["\\", "\\q", "\\x", "\\x1", "\\xzz", "\\x+1", "\\u41", "\\u{}", "\\u{d800}", "\\u{41", "\\xé0"]
        {
            assert_eq!(unescape(text), None, "{text}");
        }
    }
}
