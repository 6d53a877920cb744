//! The keys of a table's rows. A key is decoded when its row first holds something, and kept by its id for as long
//! as its dictionary lives.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use arrow::array::{ArrayRef, DictionaryArray, StringArray, UInt32Array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::UInt32Type;
use weir_abi::{STACK_FRAMES, STACK_WORDS};

use super::plan::Layout;
use super::rows::{arrow, numbers};
use crate::cgroup::Cgroups;
use crate::error::Result;
use crate::escape::escape;
use crate::symbols::{Stack, Symbols};
use crate::table::{KeyColumn, KeyKind};

/// What is known about the ids of the current dictionary.
#[derive(Debug)]
pub(super) struct Keys {
    columns: Vec<Column>,
    /// By row id: whether its key was decoded.
    known: Vec<bool>,
    /// By row id: a bit for each key that is null.
    nulls: Vec<u64>,
    /// Different keys can look the same, such as two stacks through the same functions. By row id: the first row
    /// that looks like it. Empty where that cannot be.
    same: Option<Same>,
}

#[derive(Debug, Default)]
struct Same {
    first: Vec<u32>,
    seen: HashMap<Vec<Option<u64>>, u32>,
}

#[derive(Debug)]
struct Column {
    kind: KeyKind,
    /// By row id: the number, or the code of the text.
    values: Vec<u64>,
    texts: Texts,
    /// Stacks whose names were late, by what they were made from.
    late: HashMap<Box<[u64]>, Stack>,
}

/// The distinct texts of one column.
#[derive(Debug, Default)]
struct Texts {
    /// By what they were made from.
    codes: HashMap<Box<[u64]>, u32>,
    /// By themselves.
    values: HashMap<Arc<str>, u32>,
    ordered: Vec<Arc<str>>,
    /// `ordered` as Arrow has them, as long as none was added.
    array: Option<Arc<StringArray>>,
}

/// What turns numbers into names, shared by all dictionaries of a table.
#[derive(Debug, Default)]
pub(super) struct Names {
    cgroups: Cgroups,
    symbols: Symbols,
}

impl Names {
    /// Why there are frames of stacks without a name, if something could be done about it.
    pub(super) fn problem(&self) -> Option<&str> {
        self.symbols.problem()
    }
}

/// The memory in which programs left the keys, from the first id on.
pub(super) struct Left<'a> {
    pub(super) keys: &'a [AtomicU64],
    pub(super) stacks: &'a [AtomicU64],
}

impl<'a> Left<'a> {
    fn key(&self, layout: &Layout, id: usize) -> &'a [AtomicU64] {
        &self.keys[id * layout.key_words..][..layout.key_words]
    }

    /// The kernel's stack comes before the process's, whatever their order as columns.
    fn stacks(&self, layout: &Layout, id: usize) -> std::slice::Chunks<'a, AtomicU64> {
        self.stacks.get(id * layout.stack_words()..).unwrap_or_default().chunks(STACK_WORDS)
    }

    fn kernel_stack(&self, layout: &Layout, id: usize) -> &'a [AtomicU64] {
        self.stacks(layout, id).next().unwrap_or_default()
    }

    fn user_stack(&self, layout: &Layout, id: usize) -> &'a [AtomicU64] {
        self.stacks(layout, id).nth(layout.stacks.saturating_sub(1)).unwrap_or_default()
    }
}

impl Keys {
    pub(super) fn new(columns: &[KeyColumn]) -> Self {
        let ambiguous = |column: &KeyColumn| {
            matches!(
                column.kind,
                KeyKind::KernelStack | KeyKind::UserStack | KeyKind::Container | KeyKind::CgroupPath
            )
        };
        Self {
            known: Vec::new(),
            nulls: Vec::new(),
            same: columns.iter().any(ambiguous).then(Same::default),
            columns: columns
                .iter()
                .map(|column| Column {
                    kind: column.kind.clone(),
                    values: Vec::new(),
                    texts: Texts::default(),
                    late: HashMap::new(),
                })
                .collect(),
        }
    }

    /// Decodes the keys of rows that are seen for the first time. Ids ascend.
    /// What cannot be found out until then has no name yet. Once such names are known, all keys are decoded again, and
    /// true is returned: rows that looked the same may look different now, or the other way round.
    pub(super) fn learn(
        &mut self,
        ids: &[u32],
        layout: &Layout,
        left: &Left<'_>,
        names: &mut Names,
        until: Instant,
    ) -> bool {
        names.cgroups.forget_look();
        let length = ids.last().map_or(0, |last| *last as usize + 1).max(self.known.len());
        self.known.resize(length, false);
        self.nulls.resize(length, 0);
        if let Some(same) = &mut self.same {
            same.first.resize(length, 0);
        }
        for column in &mut self.columns {
            column.values.resize(length, 0);
        }
        let again = self.learn_stacks(ids, layout, left, names, until);
        if again {
            self.known.fill(false);
            if let Some(same) = &mut self.same {
                same.seen.clear();
            }
        }
        let mut words = Vec::with_capacity(layout.key_words);
        for id in ids.iter().map(|id| *id as usize) {
            if std::mem::replace(&mut self.known[id], true) {
                continue;
            }
            words.clear();
            words.extend(left.key(layout, id).iter().map(|word| word.load(Relaxed)));
            self.nulls[id] = layout.null_word.map_or(0, |word| words[word]);
            let mut rest = &words[..];
            for (number, column) in self.columns.iter_mut().enumerate() {
                let (own, after) = rest.split_at(column.kind.words());
                rest = after;
                let null = self.nulls[id] >> number & 1 != 0;
                let stack = left.kernel_stack(layout, id);
                column.values[id] = if null { 0 } else { column.value(own, stack, names) };
            }
            if let Some(same) = &mut self.same {
                let null = |number: usize| self.nulls[id] >> number & 1 != 0;
                let looks = self.columns.iter().enumerate();
                let looks =
                    looks.map(|(number, column)| (!null(number)).then_some(column.values[id])).collect();
                same.first[id] = *same.seen.entry(looks).or_insert(id as u32);
            }
        }
        again
    }

    /// Makes the texts of all stacks of processes at once that are seen for the first time, and of those whose names were
    /// late. Whether one of these has another text now.
    fn learn_stacks(
        &mut self,
        ids: &[u32],
        layout: &Layout,
        left: &Left<'_>,
        names: &mut Names,
        until: Instant,
    ) -> bool {
        let (mut begin, mut again) = (0, false);
        for (number, column) in self.columns.iter_mut().enumerate() {
            let own = begin..begin + column.kind.words();
            begin = own.end;
            if !matches!(column.kind, KeyKind::UserStack) {
                continue;
            }
            let mut stacks = std::mem::take(&mut column.late);
            for id in ids.iter().map(|id| *id as usize).filter(|id| !self.known[*id]) {
                let words = left.key(layout, id);
                let nulls = layout.null_word.map_or(0, |word| words[word].load(Relaxed));
                let words: Box<[u64]> = words[own.clone()].iter().map(|word| word.load(Relaxed)).collect();
                if nulls >> number & 1 == 0 && !column.texts.codes.contains_key(&words) {
                    stacks.entry(words).or_insert_with(|| {
                        let (pid, addresses) = frames(left.user_stack(layout, id));
                        Stack::Addresses(pid, addresses)
                    });
                }
            }
            let (words, mut stacks): (Vec<_>, Vec<_>) = stacks.into_iter().unzip();
            let texts = names.symbols.user(&mut stacks, until);
            for ((words, stack), text) in words.into_iter().zip(stacks).zip(texts) {
                again |= column.texts.is_other(&words, &text);
                column.texts.set(&words, text.into());
                if names.symbols.waits(&stack) {
                    column.late.insert(words, stack);
                }
            }
        }
        again
    }

    /// The row to which a row belongs whose key looks the same; itself, if there is none before it.
    pub(super) fn first(&self, id: u32) -> u32 {
        self.same.as_ref().and_then(|same| same.first.get(id as usize)).copied().unwrap_or(id)
    }

    /// Whether there are rows that belong to others.
    pub(super) fn are_ambiguous(&self) -> bool {
        self.same.is_some()
    }

    /// One column, for rows of which the overflow row, 0, has no key.
    pub(super) fn column(&mut self, index: usize, ids: &[u32]) -> Result<ArrayRef> {
        let column = &mut self.columns[index];
        let is_null = |id: u32| id == 0 || self.nulls[id as usize] >> index & 1 != 0;
        let nulls = ids.iter().any(|id| is_null(*id));
        let nulls = nulls.then(|| NullBuffer::from_iter(ids.iter().map(|id| !is_null(*id))));
        let values = &column.values;
        let values = ids.iter().map(|id| if *id == 0 { 0 } else { values[*id as usize] });
        Ok(match column.kind {
            KeyKind::Unsigned => numbers(false, values, nulls),
            KeyKind::Signed => numbers(true, values, nulls),
            _ => {
                let codes = ScalarBuffer::from_iter(values.map(|code| code as u32));
                let codes = UInt32Array::try_new(codes, nulls).map_err(arrow)?;
                let texts = column.texts.array();
                Arc::new(DictionaryArray::<UInt32Type>::try_new(codes, texts).map_err(arrow)?)
            }
        })
    }
}

impl Column {
    /// What stands for a key's words, and for its stack of the kernel's.
    fn value(&mut self, words: &[u64], stack: &[AtomicU64], names: &mut Names) -> u64 {
        let text = |texts: &mut Texts, make: &mut dyn FnMut() -> String| u64::from(texts.code(words, make));
        let number = words.first().copied().unwrap_or_default();
        match &self.kind {
            KeyKind::Unsigned | KeyKind::Signed => number,
            KeyKind::Text(_) => text(&mut self.texts, &mut || shown(words)),
            KeyKind::Named(known) => text(&mut self.texts, &mut || match known.get(&number) {
                Some(name) => escape(name.as_bytes()).into_owned(),
                None => number.cast_signed().to_string(),
            }),
            KeyKind::CgroupPath => text(&mut self.texts, &mut || names.cgroups.path(number)),
            KeyKind::Container => text(&mut self.texts, &mut || names.cgroups.container(number)),
            KeyKind::KernelStack => text(&mut self.texts, &mut || names.symbols.kernel(&frames(stack).1)),
            // There is one already: see `learn_stacks`.
            KeyKind::UserStack => text(&mut self.texts, &mut String::new),
        }
    }
}

/// A kept stack: whose it is, and its addresses.
fn frames(stack: &[AtomicU64]) -> (u32, Vec<u64>) {
    let mut words = stack.iter().map(|word| word.load(Relaxed));
    let head = words.next().unwrap_or_default();
    let count = (head as u32 as usize).min(STACK_FRAMES);
    ((head >> 32) as u32, words.take(count).collect())
}

/// The text in some words, up to the first NUL.
fn shown(words: &[u64]) -> String {
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| word.to_le_bytes()).take_while(|byte| *byte != 0).collect();
    escape(&bytes).into_owned()
}

impl Texts {
    /// The code of the text that is made from these words.
    fn code(&mut self, words: &[u64], make: &mut dyn FnMut() -> String) -> u32 {
        match self.codes.get(words) {
            Some(code) => *code,
            None => self.set(words, make().into()),
        }
    }

    /// Whether these words have a text, and it is not this one.
    fn is_other(&self, words: &[u64], text: &str) -> bool {
        self.codes.get(words).is_some_and(|code| &*self.ordered[*code as usize] != text)
    }

    /// Makes this the text of these words, and gives its code.
    fn set(&mut self, words: &[u64], text: Arc<str>) -> u32 {
        let next = self.ordered.len() as u32;
        let code = *self.values.entry(text.clone()).or_insert(next);
        if code == next {
            self.ordered.push(text);
            self.array = None;
        }
        self.codes.insert(words.into(), code);
        code
    }

    fn array(&mut self) -> Arc<StringArray> {
        // A null's code is 0 and must stand for something.
        if self.ordered.is_empty() {
            return Arc::new(StringArray::from(vec![""]));
        }
        let ordered = &self.ordered;
        self.array.get_or_insert_with(|| Arc::new(StringArray::from_iter_values(ordered))).clone()
    }
}
