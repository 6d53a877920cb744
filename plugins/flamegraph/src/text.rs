//! Texts of strangers, made fit to be shown.

use weir_plugin::Text;

/// Shows a text so that nothing in it has power over a picture, a terminal or a line of `folded.txt`: what is not seen,
/// or changes how other characters are seen, is spelled out, and so is what ends a frame there.
pub(crate) fn show(text: Text<'_>) -> String {
    spell_out(&text.to_string())
}

/// Shows a frame of a stack, in which Weir has escaped everything; a backslash is one already.
pub(crate) fn show_frame(frame: &[u8]) -> String {
    spell_out(&String::from_utf8_lossy(frame))
}

fn spell_out(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c {
            ';' => shown.push_str("\\x3b"),
            ' '..='~' => shown.push(c),
            // What has to be escaped to be seen.
            _ if c.escape_debug().len() > 1 => shown.extend(c.escape_unicode()),
            _ => shown.push(c),
        }
    }
    shown
}

/// Appends a text to XML, as content or in an attribute.
pub(crate) fn push_xml(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            _ => xml.push(c),
        }
    }
}

/// How many bytes that takes.
pub(crate) fn xml_bytes(text: &str) -> usize {
    let more = |byte| match byte {
        b'&' => 4,
        b'<' | b'>' => 3,
        b'"' => 5,
        _ => 0,
    };
    text.len() + text.bytes().map(more).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        show(Text::from(bytes))
    }

    #[test]
    fn what_is_not_seen_is_spelled_out() {
        assert_eq!(shown(b"std::vec<int>::push_back(\"x\", 'y')"), "std::vec<int>::push_back(\"x\", 'y')");
        assert_eq!(shown("größe 大".as_bytes()), "größe 大");
        assert_eq!(shown(b"a\nb\x00c\x7f"), "a\\u{a}b\\x00c\\u{7f}");
        assert_eq!(
            shown("a\u{202e}b\u{200b}c\u{feff}\u{fffe}".as_bytes()),
            "a\\u{202e}b\\u{200b}c\\u{feff}\\u{fffe}"
        );
        assert_eq!(shown(b"a\\b\xff;c"), "a\\\\b\\xff\\x3bc");
        assert_eq!(shown(b""), "");
    }

    #[test]
    fn a_frame_is_not_escaped_twice() {
        assert_eq!(show_frame(br"<[T\x3b 3]>::map"), r"<[T\x3b 3]>::map");
        assert_eq!(show_frame("a\\\\b\n\u{202e}".as_bytes()), r"a\\b\u{a}\u{202e}");
    }

    #[test]
    fn xml_is_escaped_and_measured() {
        let mut xml = String::new();
        let text = "<a href=\"x\">&amp;</a>'é";
        push_xml(&mut xml, text);
        assert_eq!(xml, "&lt;a href=&quot;x&quot;&gt;&amp;amp;&lt;/a&gt;'é");
        assert_eq!(xml.len(), xml_bytes(text));
    }
}
