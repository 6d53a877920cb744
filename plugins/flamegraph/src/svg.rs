//! The picture.

use std::fmt::Write;

use crate::text::{push_xml, xml_bytes};
use crate::tree::{Frame, Origin, Step, Tree, least_that_fits};

// In pixels.
const WIDTH: u32 = 1200;
const MARGIN: u32 = 10;
const HEAD: u32 = 60;
const ROW: u32 = 16;
/// Of the widest letters that the font has, with a little room.
const LETTER: u32 = 8;

/// The width of everything, in tenths of a pixel; frames narrower than one are left out.
const TENTHS: u128 = (WIDTH - 2 * MARGIN) as u128 * 10;

/// What is around the frames, and a frame beside its texts, at most.
const HEAD_BYTES: usize = 2048;
const FRAME_BYTES: usize = 200;

/// What the picture says above the frames.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) title: String,
    /// What it is of, and what is missing.
    pub(crate) about: String,
    /// What is counted, and its unit.
    pub(crate) measure: String,
    pub(crate) unit: String,
}

impl Head {
    /// So much of what is counted.
    pub(crate) fn amount(&self, value: u128) -> String {
        let what = if self.unit.is_empty() { &self.measure } else { &self.unit };
        format!("{value} {what}")
    }
}

/// The picture, and what is left out of it, if something is.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) svg: String,
    pub(crate) left_out: Option<String>,
}

/// Draws what was seen, of which there is something, in at most so many bytes. It is one line, which is not escaped where
/// texts are, in JSON.
pub(crate) fn draw(tree: &Tree, head: &Head, bytes: usize) -> Picture {
    let total = tree.total();
    let narrowest = total.div_ceil(TENTHS);
    let sizes = tree.walk(narrowest).map(|step| {
        let texts = 2 * xml_bytes(&step.frame.name) + 2 * head.amount(step.node.value).len();
        (step.node.value, FRAME_BYTES + texts)
    });
    let fits = least_that_fits(sizes, bytes.saturating_sub(HEAD_BYTES));
    let least = narrowest.max(fits);

    let all = tree.len();
    let (mut frames, mut drawn, mut deepest) = (String::new(), 0, 0);
    // Where nothing fits, not even what is below all is drawn.
    for step in tree.walk(least).filter(|step| step.node.value >= least) {
        push_frame(&mut frames, head, step, total);
        drawn += 1;
        deepest = deepest.max(step.depth);
    }
    let left_out = (drawn < all).then(|| {
        let why = if fits > narrowest {
            format!(", so that the picture fits {bytes} bytes")
        } else {
            String::new()
        };
        format!("{} of {all} frames, with less than {} each{why}", all - drawn, head.amount(least))
    });

    let rows = u32::try_from(deepest + 1).unwrap_or(u32::MAX);
    let ground = HEAD.saturating_add(rows.saturating_mul(ROW));
    let height = ground.saturating_add(MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"monospace\" font-size=\"12\">\
         <style>text{{pointer-events:none}}g:hover>rect{{stroke:#000}}</style>\
         <rect width=\"100%\" height=\"100%\" fill=\"#fffdf7\"/>"
    );
    let mut line = |y: u32, size: u32, text: &str| {
        push(&mut svg, format_args!("<text x=\"{MARGIN}\" y=\"{y}\" font-size=\"{size}\">"));
        push_xml(&mut svg, text);
        svg.push_str("</text>");
    };
    line(22, 16, &head.title);
    line(38, 12, &head.about);
    if let Some(left_out) = &left_out {
        line(53, 12, &format!("left out: {left_out}"));
    }
    push(&mut svg, format_args!("<g transform=\"translate(0,{ground})\">"));
    svg.push_str(&frames);
    svg.push_str("</g></svg>");
    Picture { svg, left_out }
}

fn push(svg: &mut String, what: std::fmt::Arguments<'_>) {
    // A string takes everything.
    svg.write_fmt(what).unwrap_or_default();
}

/// Draws a frame above the ground, which is at 0.
fn push_frame(svg: &mut String, head: &Head, step: Step<'_>, total: u128) {
    let Step { node, frame, depth, start } = step;
    let at = |value: u128| u32::try_from(value * TENTHS / total).unwrap_or(u32::MAX);
    let (left, right) = (at(start), at(start + node.value));
    let (x, width) = (left + 10 * MARGIN, right - left);
    let y = -(i64::from(ROW) * i64::try_from(depth + 1).unwrap_or(i64::MAX >> 8));

    svg.push_str("<g><title>");
    push_xml(svg, &frame.name);
    let share = node.value * 10_000 / total;
    let (percent, hundredths) = (share / 100, share % 100);
    push(svg, format_args!(" ({}, {percent}.{hundredths:02}%)</title>", head.amount(node.value)));
    // Neighbours of one colour are told apart by a gap, where there is room for one.
    let shown = if width > 20 { width - 5 } else { width };
    let (fill, height) = (colour(frame), ROW - 1);
    push(
        svg,
        format_args!("<rect x=\"{}.{}\" y=\"{y}\" width=\"{}.{}\" ", x / 10, x % 10, shown / 10, shown % 10),
    );
    push(svg, format_args!("height=\"{height}\" fill=\"#{fill:06x}\"/>"));
    let label = label(&frame.name, (width / 10).saturating_sub(4) / LETTER);
    if !label.is_empty() {
        push(svg, format_args!("<text x=\"{}.{}\" y=\"{}\">", (x + 30) / 10, x % 10, y + 12));
        push_xml(svg, &label);
        svg.push_str("</text>");
    }
    svg.push_str("</g>");
}

/// As much of a name as there is room for, in letters. Those beyond ASCII may be twice as wide.
fn label(name: &str, room: u32) -> String {
    let wide = |c: char| if c.is_ascii() { 1 } else { 2 };
    if name.chars().map(wide).sum::<u32>() <= room {
        return name.to_owned();
    }
    // Two letters and two dots say too little of a name that is longer.
    let Some(mut room) = room.checked_sub(2).filter(|room| *room > 0) else { return String::new() };
    let fits = |c: &char| {
        let before = room;
        room = room.saturating_sub(wide(*c));
        before >= wide(*c)
    };
    name.chars().take_while(fits).chain("..".chars()).collect()
}

/// The same for the same function, in every picture: red to yellow in processes, blue in the kernel, grey for keys.
fn colour(frame: &Frame) -> u32 {
    let hash = frame
        .name
        .bytes()
        .fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // The upper bits of this hash are its better ones.
    let (a, b) = (hash >> 24, hash >> 16 & 0xff);
    let scale = |part: u32, low: u32, high: u32| low + part * (high - low) / 255;
    let (red, green, blue) = match frame.origin {
        Origin::Process => (scale(a, 215, 255), scale(b, 90, 215), scale(a, 50, 80)),
        Origin::Kernel => (scale(b, 110, 175), scale(a, 165, 215), scale(a, 225, 255)),
        Origin::Label => (scale(a, 200, 220), scale(a, 200, 220), scale(a, 190, 210)),
    };
    red << 16 | green << 8 | blue
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head { title: "t".into(), about: "a".into(), measure: "samples".into(), unit: String::new() }
    }

    #[test]
    fn a_label_takes_the_room_there_is() {
        let labels = |room| label("push_back", room);
        assert_eq!([9, 8, 4, 3, 2, 0].map(labels), ["push_back", "push_b..", "pu..", "p..", "", ""]);
        assert_eq!(label("größe", 7), "größe");
        assert_eq!(label("größe", 6), "grö..");
        assert_eq!(label("大大", 3), "..");
        assert_eq!(label("f", 1), "f");
    }

    #[test]
    fn colours_depend_on_the_function_only() {
        let colour = |name: &str, origin| colour(&Frame { name: name.into(), origin });
        assert_eq!(colour("read", Origin::Kernel), colour("read", Origin::Kernel));
        assert_ne!(colour("read", Origin::Kernel), colour("read", Origin::Process));
        assert_ne!(colour("read", Origin::Kernel), colour("write", Origin::Kernel));
        for name in ["a", "b", "main", "x64_sys_call", "[unknown]"] {
            let (process, kernel) = (colour(name, Origin::Process), colour(name, Origin::Kernel));
            assert!(process >> 16 > process & 0xff && kernel >> 16 < kernel & 0xff, "{name}");
        }
    }

    #[test]
    fn a_picture_never_takes_more_than_it_may() {
        let mut tree = Tree::new();
        for n in 0..3000u64 {
            let name = format!("<f\u{e9}\"{n}&>").repeat(9);
            let stack = ["main".to_owned(), format!("g{}", n % 50), name];
            let frames = stack.map(|name| tree.frame(name.as_bytes(), Origin::Process));
            tree.add(frames, 1 + n % 7);
        }
        tree.sort();
        for bytes in [1 << 20, 100_000, 20_000, 5_000] {
            let Picture { svg, left_out } = draw(&tree, &head(), bytes);
            assert!(svg.len() <= bytes, "{} of {bytes}", svg.len());
            assert!(svg.contains("<title>all (11994 samples, 100.00%)</title>"));
            match left_out {
                Some(left_out) => {
                    assert!(left_out.ends_with(&format!("fits {bytes} bytes")), "{left_out}");
                    assert!(svg.contains(">left out: "));
                }
                None => panic!("all of it is larger than {bytes} bytes"),
            }
        }
        assert!(draw(&tree, &head(), 0).svg.len() < HEAD_BYTES);
        // With room for all, those narrower than a tenth of a pixel are left out.
        let told = "429 of 3052 frames, with less than 2 samples each";
        assert_eq!(draw(&tree, &head(), 10 << 20).left_out.as_deref(), Some(told));
    }

    #[test]
    fn what_is_too_narrow_is_left_out_and_told() {
        let mut tree = Tree::new();
        let [wide, narrow] = ["wide", "narrow"].map(|name| tree.frame(name.as_bytes(), Origin::Process));
        tree.add([wide], 11_799 * 3);
        tree.add([narrow], 3);
        assert_eq!(draw(&tree, &head(), 1 << 20).left_out, None);
        tree.add([wide], 1);
        let told = "1 of 3 frames, with less than 4 samples each";
        assert_eq!(draw(&tree, &head(), 1 << 20).left_out.as_deref(), Some(told));
    }
}
