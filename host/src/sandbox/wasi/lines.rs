//! What a guest writes to a standard stream, as lines of its log, whose bounds are those of the log.

use memchr::{memchr, memchr_iter, memrchr};

use crate::sandbox::limits::TEXT_BYTES;
use crate::sandbox::outputs::Outputs;
use crate::sandbox::wire::Level;

#[derive(Debug)]
pub(super) struct Lines {
    level: Level,
    /// The beginning of a line whose end was not written yet. A byte more than a line may have says that it was longer.
    begun: Vec<u8>,
}

impl Lines {
    pub(super) fn new(level: Level) -> Self {
        Self { level, begun: Vec::new() }
    }

    pub(super) fn write(&mut self, bytes: &[u8], outputs: &mut Outputs) {
        let mut rest = bytes;
        while outputs.takes_lines()
            && let Some(end) = memchr(b'\n', rest)
        {
            self.keep(&rest[..end]);
            self.log(outputs);
            rest = &rest[end + 1..];
        }
        // Millions of ends of lines may have been handed over at once, and a host call is not interrupted.
        if let Some(end) = memrchr(b'\n', rest) {
            outputs.drop_lines(memchr_iter(b'\n', rest).count());
            self.begun.clear();
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    /// At the end of a call: its last line need not have an end.
    pub(super) fn end(&mut self, outputs: &mut Outputs) {
        if !self.begun.is_empty() {
            self.log(outputs);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (TEXT_BYTES + 1).saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn log(&mut self, outputs: &mut Outputs) {
        outputs.log(self.level, &String::from_utf8_lossy(&self.begun));
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::limits::LOG_LINES;
    use crate::sandbox::wire::Put;

    fn written(parts: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut outputs) = (Lines::new(Level::Info), Outputs::default());
        parts.iter().for_each(|part| lines.write(part, &mut outputs));
        lines.end(&mut outputs);
        let message = |put| match put {
            Put::Log { message, .. } => message,
            other => panic!("{other:?}"),
        };
        outputs.finish(true).into_iter().map(message).collect()
    }

    #[test]
    fn lines_end_where_they_end_however_they_are_written() {
        assert_eq!(written(&[b"a", b"b\nc\n\nd", b"e"]), ["ab", "c", "", "de"]);
        assert_eq!(written(&[b"a\n"]), ["a"]);
        assert_eq!(written(&[b"", b""]), [""; 0]);
        assert_eq!(written(&[b"\xff\xc3", b"\xa9\n"]), ["\u{fffd}é"]);
    }

    #[test]
    fn long_lines_are_cut_and_say_so() {
        let (fits, long) = ("l".repeat(TEXT_BYTES), "é".repeat(TEXT_BYTES));
        let cut = |text: &str| text.len() <= TEXT_BYTES && text.ends_with('…');
        assert_eq!(written(&[fits.as_bytes()]).concat(), fits);
        assert!(cut(&written(&[fits.as_bytes(), b"l"])[0]));
        // Where the beginning that is kept ends within a character, too.
        for beginning in ["", "l"] {
            let lines = written(&[beginning.as_bytes(), long.as_bytes(), b"\nnext"]);
            assert!(cut(&lines[0]) && lines[0].contains("éé"), "{lines:?}");
            assert_eq!(lines[1..], ["next"]);
        }
        assert!(cut(&written(&[&[0xff; 2 * TEXT_BYTES]])[0]));
    }

    #[test]
    fn a_flood_is_dropped_and_counted() {
        let lines =
            written(&["x\n".repeat(LOG_LINES + 1).as_bytes(), b"\n".repeat(1 << 20).as_slice(), b"x"]);
        assert_eq!(lines.len(), LOG_LINES + 1);
        assert_eq!(lines[LOG_LINES], format!("{} more log lines in this call were dropped", 2 + (1 << 20)));
    }
}
