//! What can be read at a point, a line a field.

use super::attach::pattern;
use super::kernel::Kernel;
use super::record::{Content, Field, Names, Type, Typed};
use crate::error::Result;
use crate::table::Access;

/// Names of an enumeration's values that are shown.
const MOST_NAMES: usize = 12;

impl Kernel {
    /// The fields of the point that has this name, as they are written in expressions: `args.ret (long)`, and after
    /// a colon whatever is not an ordinary number.
    pub fn fields(&self, point: &str) -> Result<Vec<String>> {
        // These need a number to be whole, and have no fields whatever it is.
        if point.ends_with(':') {
            return Ok(Vec::new());
        }
        let points = self.points(&pattern(point).map_err(|flaw| flaw.error)?, None)?;
        let Some(attach) = points.first() else { return Ok(Vec::new()) };
        let record = self.record(attach)?;
        let result = record.result.iter().map(|result| {
            let (name, kind) = ("retval", spell(result));
            line(name, &kind, &note(name, result))
        });
        Ok(record.fields.iter().map(field).chain(result).collect())
    }
}

fn line(name: &str, c_type: &str, note: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!(": {note}") };
    format!("{name} ({c_type}){note}")
}

fn field(field: &Field) -> String {
    let numbered = field.name.strip_prefix("arg").is_some_and(|rest| rest.parse::<u32>().is_ok());
    let name = if numbered { field.name.clone() } else { format!("args.{}", field.name) };
    let note = match &field.content {
        Content::Value(typed) => note(&name, typed),
        Content::Values(values) => {
            format!("{} numbers, {name}[0] to {name}[{}]", values.len(), values.len().saturating_sub(1))
        }
        Content::Text(_, bytes) => format!("text of at most {bytes} bytes"),
        Content::Unusable(why) => format!("cannot be used, {why}"),
    };
    line(&name, &field.c_type, &note)
}

fn note(name: &str, typed: &Typed) -> String {
    match &typed.kind {
        Type::Integer { names: Some(names), .. } => format!("one of {}", some(names)),
        Type::Integer { names: None, .. } => String::new(),
        Type::Pointer { access: Access::User, .. } => {
            format!("an address in the process, where a text is read by str({name})")
        }
        Type::Pointer { to: 0, .. } => "an address in the kernel".to_owned(),
        Type::Pointer { .. } => format!("an address in the kernel, whose members are {name}.MEMBER"),
    }
}

fn some(names: &Names) -> String {
    let mut shown: Vec<String> = names
        .iter()
        .take(MOST_NAMES)
        .map(|(number, name)| format!("{name} {}", number.cast_signed()))
        .collect();
    if names.len() > MOST_NAMES {
        shown.push(format!("{} more", names.len() - MOST_NAMES));
    }
    shown.join(", ")
}

/// The type of what has none of C's.
fn spell(typed: &Typed) -> String {
    match &typed.kind {
        Type::Integer { bits, signed, .. } => format!("{}int{bits}", if *signed { "" } else { "u" }),
        Type::Pointer { .. } => "address".to_owned(),
    }
}
