//! Stacks as folded text: frames joined by `;`, the root first.
//!
//! A name is shown as [`crate::escape`] has it, and [`crate::escape::unescape`] gives it back. Three characters that
//! mean something here are escaped on top, so that two different stacks never print alike:
//!
//! | in a name | shown as | because |
//! |---|---|---|
//! | `;` | `\x3b` | it ends a frame |
//! | `[` in front | `\x5b` | `[unknown]` is no name, `[libc.so.6]` a place in a file whose function is not known |
//! | `…` | `\u{2026}` | at the end of a frame it says that the name was cut, and as a frame that frames were |

use std::borrow::Cow;

use crate::escape::escape;

/// Frames of a stack. The kernel keeps as many addresses by itself; functions that were inlined add to them.
pub(crate) const FRAMES: usize = 127;
/// Bytes of a frame: names of generic code fill kilobytes, and those of a hostile file megabytes.
pub(crate) const NAME_BYTES: usize = 256;

const CUT: &str = "…";

/// What is known of a place in code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Function(&'a [u8]),
    /// The file or kernel module in which it is.
    Module(&'a [u8]),
    Unknown,
}

/// A stack as it is put together, from its innermost frame outwards.
#[derive(Debug, Default)]
pub(super) struct Folded {
    frames: Vec<String>,
    cut: bool,
}

impl Folded {
    pub(super) fn push(&mut self, frame: Frame<'_>) {
        if self.is_full() {
            self.cut = true;
            return;
        }
        self.frames.push(match frame {
            Frame::Function(name) => show(name, true),
            Frame::Module(b"unknown") => "[\\x75nknown]".to_owned(),
            Frame::Module(name) => format!("[{}]", show(name, false)),
            Frame::Unknown => "[unknown]".to_owned(),
        });
    }

    /// Whether another frame would be cut off.
    pub(super) fn is_full(&self) -> bool {
        self.frames.len() == FRAMES
    }

    pub(super) fn finish(mut self) -> String {
        if self.cut
            && let Some(root) = self.frames.last_mut()
        {
            CUT.clone_into(root);
        }
        self.frames.reverse();
        self.frames.join(";")
    }
}

/// Shows a name, or as much of it as there is room for.
fn show(name: &[u8], is_function: bool) -> String {
    let mut shown = String::new();
    // Where to cut, should the rest not fit.
    let mut fits = 0;
    for piece in pieces(name) {
        let piece = match &*piece {
            b";" => "\\x3b".into(),
            b"[" if is_function && shown.is_empty() => "\\x5b".into(),
            piece if piece == CUT.as_bytes() => "\\u{2026}".into(),
            piece => escape(piece),
        };
        if shown.len() + piece.len() > NAME_BYTES {
            shown.truncate(fits);
            shown.push_str(CUT);
            break;
        }
        shown.push_str(&piece);
        if shown.len() <= NAME_BYTES - CUT.len() {
            fits = shown.len();
        }
    }
    shown
}

/// Characters, and the bytes that are none. They are escaped one by one, so that none is cut in two.
fn pieces(name: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    name.utf8_chunks().flat_map(|chunk| {
        let characters = chunk.valid().chars().map(|c| Cow::Owned(c.to_string().into_bytes()));
        characters.chain(chunk.invalid().chunks(1).map(Cow::Borrowed))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::escape::{guard, unescape};

    #[derive(Clone, Debug, PartialEq)]
    enum Owned {
        Function(Vec<u8>),
        Module(Vec<u8>),
        Unknown,
    }

    impl Owned {
        fn frame(&self) -> Frame<'_> {
            match self {
                Self::Function(name) => Frame::Function(name),
                Self::Module(name) => Frame::Module(name),
                Self::Unknown => Frame::Unknown,
            }
        }

        fn read(text: &str) -> Self {
            if text == "[unknown]" {
                return Self::Unknown;
            }
            match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
                Some(name) => Self::Module(unescape(name).unwrap()),
                None => Self::Function(unescape(text).unwrap()),
            }
        }
    }

    fn fold(frames: &[Owned]) -> String {
        let mut folded = Folded::default();
        frames.iter().for_each(|frame| folded.push(frame.frame()));
        folded.finish()
    }

    fn name() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            any::<u8>().prop_map(|byte| vec![byte]),
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            "[a-z:<> ]{1,8}".prop_map(String::into_bytes),
            prop::sample::select(vec![";", "[", "]", "…", "\\x3b", "\n", "\u{202e}", "unknown", "[unknown]"])
                .prop_map(|text| text.as_bytes().to_vec()),
        ];
        prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat())
    }

    fn frame() -> impl Strategy<Value = Owned> {
        prop_oneof![
            3 => name().prop_map(Owned::Function),
            1 => name().prop_map(Owned::Module),
            1 => Just(Owned::Unknown),
            1 => Just(Owned::Module(b"unknown".to_vec())),
        ]
    }

    proptest! {
        #[test]
        fn a_stack_can_be_read_back(frames in prop::collection::vec(frame(), 1..20)) {
            let text = fold(&frames);
            let mut read: Vec<Owned> = text.split(';').map(Owned::read).collect();
            read.reverse();
            prop_assert_eq!(read, frames);
            // Nothing in it has power over a terminal.
            prop_assert_eq!(guard(&text), text.as_str());
        }

        #[test]
        fn what_is_cut_is_its_beginning_and_says_so(name in prop::collection::vec(name(), 30..80)) {
            let name = name.concat();
            let shown = show(&name, true);
            prop_assert!(shown.len() <= NAME_BYTES);
            match shown.strip_suffix(CUT) {
                Some(beginning) => {
                    prop_assert!(shown.len() > NAME_BYTES - 20);
                    let beginning = unescape(beginning).unwrap();
                    prop_assert!(name.starts_with(&beginning) && name != beginning);
                }
                None => prop_assert_eq!(unescape(&shown).unwrap(), name),
            }
        }
    }

    #[test]
    fn frames_are_as_documented() {
        let frames = [
            Owned::Function(b"do;it[0]".to_vec()),
            Owned::Function("[unknown]…".into()),
            Owned::Module(b"[lib]".to_vec()),
            Owned::Module(b"unknown".to_vec()),
            Owned::Unknown,
        ];
        assert_eq!(fold(&frames), "[unknown];[\\x75nknown];[[lib]];\\x5bunknown]\\u{2026};do\\x3bit[0]");
    }

    #[test]
    fn a_stack_that_is_too_deep_keeps_its_inner_frames() {
        let frames: Vec<Owned> = (0..200).map(|n| Owned::Function(format!("f{n}").into_bytes())).collect();
        let text = fold(&frames);
        assert_eq!(text.split(';').count(), FRAMES);
        assert!(text.starts_with("…;f125;f124;") && text.ends_with(";f1;f0"), "{text}");
        assert!(!fold(&frames[..FRAMES]).contains(CUT));
    }

    #[test]
    fn a_name_of_just_the_bound_is_whole() {
        let name = "x".repeat(NAME_BYTES);
        assert_eq!(show(name.as_bytes(), true), name);
        let longer = show(format!("{name}x").as_bytes(), true);
        assert_eq!((longer.len(), longer.ends_with("x…")), (NAME_BYTES, true));
    }
}
