//! `folded.txt`: a line for each stack, its frames joined by `;`, a space and how much was seen of it.

use crate::tree::{Step, Tree, least_that_fits};

/// What stands for all stacks for which there is no room.
const REST: &str = "(left out)";

/// All stacks in at most so many bytes, those of which least was seen added up if there are too many.
pub(crate) fn fold(tree: &Tree, bytes: usize) -> String {
    let sizes = lines(tree).map(|line| (line.step.node.own, line.bytes + digits(line.step.node.own) + 2));
    let rest = REST.len() + digits(u128::MAX) + 2;
    let least = least_that_fits(sizes, bytes.saturating_sub(rest)).max(1);

    let (mut text, mut left_out) = (String::new(), 0);
    let mut path: Vec<&str> = Vec::new();
    for step in tree.walk(0) {
        path.truncate(step.depth);
        path.push(&step.frame.name);
        let own = step.node.own;
        if own >= least {
            // Everything is below all, so it is not said; of a stack without frames there is nothing else to say.
            let frames = if path.len() > 1 { &path[1..] } else { &path[..] };
            text.push_str(&format!("{} {own}\n", frames.join(";")));
        } else {
            left_out += own;
        }
    }
    if left_out > 0 {
        text.push_str(&format!("{REST} {left_out}\n"));
    }
    text
}

struct Line<'a> {
    step: Step<'a>,
    /// Of its frames, with what is between them.
    bytes: usize,
}

/// The nodes at which stacks end.
fn lines(tree: &Tree) -> impl Iterator<Item = Line<'_>> {
    let mut below: Vec<usize> = Vec::new();
    let lines = tree.walk(0).map(move |step| {
        below.truncate(step.depth);
        let bytes = below.last().map_or(0, |below| below + 1) + step.frame.name.len();
        below.push(bytes);
        Line { step, bytes }
    });
    lines.filter(|line| line.step.node.own > 0)
}

fn digits(number: u128) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Origin;

    fn tree() -> Tree {
        let mut tree = Tree::new();
        for (stack, value) in [("main;read", 3), ("main", 2), ("main;write it;all", 1), ("main;poll", 1)] {
            let frames: Vec<u32> =
                stack.split(';').map(|name| tree.frame(name.as_bytes(), Origin::Process)).collect();
            tree.add(frames, value);
        }
        tree.sort();
        tree
    }

    #[test]
    fn a_line_is_a_stack() {
        assert_eq!(fold(&tree(), 1000), "main 2\nmain;poll 1\nmain;read 3\nmain;write it;all 1\n");
        let mut empty = Tree::new();
        empty.add([], 7);
        assert_eq!(fold(&empty, 1000), "all 7\n");
        assert_eq!(fold(&Tree::new(), 1000), "");
    }

    #[test]
    fn what_has_no_room_is_added_up() {
        for bytes in 0..200 {
            let text = fold(&tree(), bytes);
            assert!(text.len() <= bytes.max(14), "{text}");
            let sum: u64 =
                text.lines().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
            assert_eq!(sum, 7);
        }
        assert_eq!(fold(&tree(), 90), "main 2\nmain;read 3\n(left out) 2\n");
    }
}
