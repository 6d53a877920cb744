//! Stacks, merged into a tree.

use std::collections::HashMap;

use crate::text::{show, show_frame};

/// Where a frame is from, which its colour shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A key that is no stack, or what this plugin says itself.
    Label,
    Process,
    Kernel,
}

/// A frame as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Frame {
    pub(crate) name: String,
    pub(crate) origin: Origin,
}

/// A frame above another one: a call in a certain place, however often it was seen.
#[derive(Debug)]
pub(crate) struct Node {
    frame: u32,
    /// How much was seen of it, and of what it calls.
    pub(crate) value: u128,
    /// How much of that ended here.
    pub(crate) own: u128,
    calls: Vec<u32>,
}

/// All stacks. Node 0 is below them all.
#[derive(Debug)]
pub(crate) struct Tree {
    frames: Vec<Frame>,
    /// By the texts that they were made of, each origin for itself.
    numbers: [HashMap<Vec<u8>, u32>; 3],
    nodes: Vec<Node>,
    /// By node and frame.
    places: HashMap<(u32, u32), u32>,
}

/// A node as a walk comes to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) node: &'a Node,
    pub(crate) frame: &'a Frame,
    /// How many nodes are below it.
    pub(crate) depth: usize,
    /// How much is left of it.
    pub(crate) start: u128,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let mut tree = Self {
            frames: Vec::new(),
            numbers: Default::default(),
            nodes: Vec::new(),
            places: HashMap::new(),
        };
        let frame = tree.frame(b"all", Origin::Label);
        tree.nodes.push(Node { frame, value: 0, own: 0, calls: Vec::new() });
        tree
    }

    /// The number of a frame, which is shown only when it is first seen.
    pub(crate) fn frame(&mut self, text: &[u8], origin: Origin) -> u32 {
        let numbers = &mut self.numbers[origin as usize];
        if let Some(number) = numbers.get(text) {
            return *number;
        }
        let number = index(self.frames.len());
        let name = match origin {
            Origin::Label => show(text.into()),
            Origin::Process | Origin::Kernel => show_frame(text),
        };
        self.frames.push(Frame { name, origin });
        numbers.insert(text.to_vec(), number);
        number
    }

    /// Adds a stack of frames, the outermost first.
    pub(crate) fn add(&mut self, stack: impl IntoIterator<Item = u32>, value: u64) {
        let value = u128::from(value);
        let mut node = 0;
        self.nodes[0].value += value;
        for frame in stack {
            let next = index(self.nodes.len());
            let called = *self.places.entry((node, frame)).or_insert(next);
            if called == next {
                self.nodes.push(Node { frame, value: 0, own: 0, calls: Vec::new() });
                self.nodes[node as usize].calls.push(called);
            }
            node = called;
            self.nodes[node as usize].value += value;
        }
        self.nodes[node as usize].own += value;
    }

    /// Puts what each frame calls in the order of names, so that the order in which stacks came makes no difference.
    pub(crate) fn sort(&mut self) {
        let mut order: Vec<u32> = (0..index(self.frames.len())).collect();
        order.sort_by_key(|number| &self.frames[*number as usize]);
        let mut ranks = vec![0; order.len()];
        (0..).zip(order).for_each(|(rank, number): (u32, _)| ranks[number as usize] = rank);
        for node in 0..self.nodes.len() {
            let mut calls = std::mem::take(&mut self.nodes[node].calls);
            calls.sort_by_key(|call| ranks[self.nodes[*call as usize].frame as usize]);
            self.nodes[node].calls = calls;
        }
    }

    pub(crate) fn total(&self) -> u128 {
        self.nodes[0].value
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// How many different stacks there are.
    pub(crate) fn stacks(&self) -> usize {
        self.nodes.iter().filter(|node| node.own > 0).count()
    }

    /// Goes through all nodes with at least so much, each before what it calls.
    pub(crate) fn walk(&self, least: u128) -> impl Iterator<Item = Step<'_>> {
        // What is still to be gone through: a node, how many are below it, and how much is left of it.
        let mut todo = vec![(0, 0, 0)];
        std::iter::from_fn(move || {
            let (number, depth, start) = todo.pop()?;
            let node: &Node = &self.nodes[number as usize];
            // What ends here comes after what goes on.
            let mut end = start + node.value - node.own;
            for call in node.calls.iter().rev() {
                let value = self.nodes[*call as usize].value;
                end -= value;
                if value >= least {
                    todo.push((*call, depth + 1, end));
                }
            }
            Some(Step { node, frame: &self.frames[node.frame as usize], depth, start })
        })
    }
}

/// The least value so that everything of that value or more fits into so many bytes.
pub(crate) fn least_that_fits(parts: impl Iterator<Item = (u128, usize)>, bytes: usize) -> u128 {
    let mut parts: Vec<(u128, usize)> = parts.collect();
    parts.sort_unstable_by_key(|(value, _)| std::cmp::Reverse(*value));
    let mut left = bytes;
    for (value, size) in parts {
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            // Others of the same value would fit, but nobody could say which.
            None => return value + 1,
        }
    }
    0
}

/// Rows, frames and nodes are far fewer: 32 bits of memory do not hold more.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(stacks: &[(&str, u64)]) -> Tree {
        let mut tree = Tree::new();
        for (stack, value) in stacks {
            let frames: Vec<u32> = stack
                .split_terminator(';')
                .map(|name| tree.frame(name.as_bytes(), Origin::Process))
                .collect();
            tree.add(frames, *value);
        }
        tree.sort();
        tree
    }

    fn seen(tree: &Tree, least: u128) -> Vec<(&str, usize, u128, u128)> {
        tree.walk(least)
            .map(|step| (step.frame.name.as_str(), step.depth, step.start, step.node.value))
            .collect()
    }

    #[test]
    fn stacks_merge_whatever_their_order() {
        let stacks =
            [("main;b;x", 3), ("main;a", 2), ("main", 4), ("idle", 1), ("main;b", 5), ("main;b;x", 2)];
        let one = tree(&stacks);
        let wanted = [
            ("all", 0, 0, 17),
            ("idle", 1, 0, 1),
            ("main", 1, 1, 16),
            ("a", 2, 1, 2),
            ("b", 2, 3, 10),
            ("x", 3, 3, 5),
        ];
        assert_eq!(seen(&one, 0), wanted);
        let mut reversed = stacks;
        reversed.reverse();
        assert_eq!(seen(&tree(&reversed), 0), wanted);
        assert_eq!((one.total(), one.stacks()), (17, 5));
        // What is left out keeps its place.
        assert_eq!(seen(&one, 5), [wanted[0], wanted[2], wanted[4], wanted[5]]);
    }

    #[test]
    fn a_recursion_is_as_deep_as_it_was() {
        let tree = tree(&[("f;f;f", 1), ("f", 1)]);
        assert_eq!(seen(&tree, 0), [("all", 0, 0, 2), ("f", 1, 0, 2), ("f", 2, 0, 1), ("f", 3, 0, 1)]);
        assert_eq!(tree.stacks(), 2);
    }

    #[test]
    fn a_stack_without_frames_is_below_all() {
        let tree = tree(&[("", 7)]);
        assert_eq!(seen(&tree, 0), [("all", 0, 0, 7)]);
        assert_eq!(tree.total(), 7);
        assert_eq!(seen(&Tree::new(), 0), [("all", 0, 0, 0)]);
    }

    #[test]
    fn what_fits_is_cut_by_value() {
        let parts = || [(5, 10), (1, 10), (9, 10), (5, 10)].into_iter();
        assert_eq!(
            [40, 39, 30, 29, 20, 10, 9].map(|bytes| least_that_fits(parts(), bytes)),
            [0, 2, 2, 6, 6, 6, 10]
        );
        assert_eq!(least_that_fits(std::iter::empty(), 0), 0);
    }
}
