//! The expressions of a configuration, as they are written: what to key on, filter by and measure.
//!
//! ```text
//! key     = name
//! filter  = comparison { "&&" comparison }
//! compare = name ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) literal
//! measure = "count" "(" ")" | ( "sum" | "min" | "max" | "avg" | "hist" ) "(" name ")"
//! name    = "pid" | "tid" | "uid" | "gid" | "comm" | "cgroup" | "cpu" | "elapsed"
//!         | ( "args" | "start" ) "." field [ "[" index "]" ]
//! literal = [ "-" ] decimal | [ "-" ] "0x" hexadecimal | duration
//! ```

use std::fmt;
use std::ops::Range;

use toml::Spanned;

use super::flaw::Flaw;
use super::nearest::{did_you_mean, one_of};
use super::unit;
use crate::table::MeasureKind;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Pid,
    Tid,
    Uid,
    Gid,
    Comm,
    Cgroup,
    Cpu,
    Elapsed,
    /// A field of the probe, or of the probe at the end of a span.
    Args(FieldName),
    /// A field of the probe at the start of a span.
    Start(FieldName),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldName {
    pub(crate) name: String,
    pub(crate) index: Option<u32>,
}

const BUILTINS: [(&str, Name); 8] = [
    ("pid", Name::Pid),
    ("tid", Name::Tid),
    ("uid", Name::Uid),
    ("gid", Name::Gid),
    ("comm", Name::Comm),
    ("cgroup", Name::Cgroup),
    ("cpu", Name::Cpu),
    ("elapsed", Name::Elapsed),
];
const NAMES_HELP: &str = "there are pid, tid, uid, gid, comm, cgroup, cpu, elapsed, and the probe's fields as args.NAME or start.NAME";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    /// From -2^63 to 2^64-1.
    Number(i128),
    /// Nanoseconds.
    Duration(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) left: Spanned<Name>,
    pub(crate) operator: Operator,
    pub(crate) right: Spanned<Literal>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) kind: MeasureKind,
    /// `None` for `count` alone.
    pub(crate) operand: Option<Spanned<Name>>,
}

/// Reads a key.
pub(crate) fn key(text: &str) -> Result<Spanned<Name>, Flaw> {
    let mut parser = Parser::new(text);
    let name = parser.name()?;
    parser.end("a key is one name")?;
    Ok(name)
}

/// Reads a filter: one comparison at least.
pub(crate) fn filter(text: &str) -> Result<Vec<Comparison>, Flaw> {
    let mut parser = Parser::new(text);
    let mut comparisons = vec![parser.comparison()?];
    loop {
        match parser.next() {
            (Token::End, _) => return Ok(comparisons),
            (Token::Symbol("&&"), _) => comparisons.push(parser.comparison()?),
            (token, span) => {
                let flaw = Flaw::new(span, format!("{token} cannot follow a comparison"));
                return Err(flaw.help(match token {
                    Token::Symbol("||" | "|") | Token::Word("or") => {
                        "only && is supported: what either of two filters lets through are two tables"
                    }
                    _ => "comparisons are joined by &&, such as `args.ret > 0 && uid != 0`",
                }));
            }
        }
    }
}

/// Reads a measure.
pub(crate) fn measure(text: &str) -> Result<Measure, Flaw> {
    let mut parser = Parser::new(text);
    let names = MeasureKind::ALL.map(MeasureKind::name);
    let all = "the measures are count(), sum(x), min(x), max(x), avg(x) and hist(x)";
    let (token, span) = parser.next();
    let Token::Word(word) = token else {
        return Err(Flaw::new(span, format!("expected a measure, found {token}")).help(all));
    };
    let Some(kind) = MeasureKind::ALL.into_iter().find(|kind| kind.name() == word) else {
        let help = did_you_mean(word, names).map_or_else(|| all.to_owned(), |meant| format!("{meant} {all}"));
        return Err(Flaw::new(span, format!("there is no measure `{word}`")).help(help));
    };
    let usage = match kind {
        MeasureKind::Count => "write `count()`".to_owned(),
        kind => format!("write what to measure in parentheses, such as `{}(elapsed)`", kind.name()),
    };
    let (token, parenthesis) = parser.next();
    if token != Token::Symbol("(") {
        return Err(Flaw::new(parenthesis, format!("expected `(` after `{word}`, found {token}")).help(usage));
    }
    let operand = match (kind, parser.peek()) {
        (MeasureKind::Count, (Token::Symbol(")"), _)) => None,
        (MeasureKind::Count, (_, span)) => {
            let flaw = Flaw::new(span, "`count` counts events and takes nothing in its parentheses");
            return Err(flaw.help("filter what is counted with `where`"));
        }
        (_, (Token::Symbol(")"), span)) => {
            return Err(Flaw::new(span, format!("`{word}` needs something to measure")).help(usage));
        }
        _ => Some(parser.name()?),
    };
    let (token, span) = parser.next();
    if token != Token::Symbol(")") {
        return Err(Flaw::new(span, format!("expected `)`, found {token}"))
            .help("a measure takes one name: there is no arithmetic, and there are no further arguments"));
    }
    parser.end("a measure ends with its parenthesis")?;
    Ok(Measure { kind, operand })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// A digit and all letters, digits and underscores that follow.
    Number(&'a str),
    Symbol(&'static str),
    /// Quoted text, quotes included.
    Text(&'a str),
    Other(char),
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Number(text) => write!(f, "`{text}`"),
            Self::Text(text) => write!(f, "`{}`", text.escape_debug()),
            Self::Symbol(text) => write!(f, "`{text}`"),
            Self::Other(character) => write!(f, "`{}`", character.escape_debug()),
            Self::End => f.write_str("the end"),
        }
    }
}

/// The longer ones first, so that `<=` is not `<` and `=`.
const SYMBOLS: [&str; 14] = ["&&", "||", "->", "==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", "."];

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&self) -> (Token<'a>, Range<usize>) {
        let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\n', '\r']);
        let start = self.text.len() - rest.len();
        let run = |of: fn(char) -> bool| &rest[..rest.find(|c| !of(c)).unwrap_or(rest.len())];
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let Some(first) = rest.chars().next() else { return (Token::End, start..start) };
        let (token, length) = if first.is_ascii_digit() {
            (Token::Number(run(in_word)), run(in_word).len())
        } else if in_word(first) {
            (Token::Word(run(in_word)), run(in_word).len())
        } else if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            (Token::Symbol(symbol), symbol.len())
        } else if first == '"' || first == '\'' {
            let length = rest[1..].find(first).map_or(rest.len(), |end| end + 2);
            (Token::Text(&rest[..length]), length)
        } else {
            (Token::Other(first), first.len_utf8())
        };
        (token, start..start + length)
    }

    fn next(&mut self) -> (Token<'a>, Range<usize>) {
        let (token, span) = self.peek();
        self.at = span.end;
        (token, span)
    }

    fn end(&mut self, why: &str) -> Result<(), Flaw> {
        match self.next() {
            (Token::End, _) => Ok(()),
            (token, span) => Err(Flaw::new(span, format!("expected the end, found {token}")).help(why)),
        }
    }

    fn name(&mut self) -> Result<Spanned<Name>, Flaw> {
        let (token, span) = self.next();
        let Token::Word(word) = token else {
            return Err(Flaw::new(span, format!("expected a name, found {token}")).help(NAMES_HELP));
        };
        let field: fn(FieldName) -> Name = match word {
            "args" => Name::Args,
            "start" => Name::Start,
            word => {
                if let Some((_, name)) = BUILTINS.into_iter().find(|(builtin, _)| *builtin == word) {
                    return Ok(Spanned::new(span, name));
                }
                let flaw = Flaw::new(span, format!("there is no `{word}`"));
                let builtins = BUILTINS.iter().map(|(builtin, _)| *builtin);
                return Err(flaw.help(did_you_mean(word, builtins).map_or_else(
                    || format!("{NAMES_HELP}; is `args.{word}` meant?"),
                    |meant| format!("{meant} The probe's fields are written args.NAME or start.NAME"),
                )));
            }
        };
        let name = self.field(word)?;
        Ok(Spanned::new(span.start..self.at, field(name)))
    }

    fn field(&mut self, of: &str) -> Result<FieldName, Flaw> {
        let (token, span) = self.next();
        if token != Token::Symbol(".") {
            let flaw = Flaw::new(span, format!("expected `.` after `{of}`, found {token}"));
            return Err(flaw.help(format!("a field is written `{of}.NAME`")));
        }
        let (token, span) = self.next();
        let Token::Word(name) = token else {
            return Err(Flaw::new(span, format!("expected a field's name after `{of}.`, found {token}")));
        };
        let mut index = None;
        if self.peek().0 == Token::Symbol("[") {
            self.next();
            let (token, span) = self.next();
            let number = match token {
                Token::Number(digits) => digits.parse().ok(),
                _ => None,
            };
            index = Some(number.ok_or_else(|| {
                Flaw::new(span, format!("expected an element's number, counted from 0, found {token}"))
            })?);
            let (token, span) = self.next();
            if token != Token::Symbol("]") {
                return Err(Flaw::new(span, format!("expected `]`, found {token}")));
            }
        }
        if let (Token::Symbol("." | "->"), span) = self.peek() {
            return Err(Flaw::new(span, format!("`{of}.{name}` cannot be followed into what it points to"))
                .help("only the probe's own fields can be used"));
        }
        Ok(FieldName { name: name.to_owned(), index })
    }

    fn comparison(&mut self) -> Result<Comparison, Flaw> {
        match self.peek() {
            (Token::Number(_) | Token::Other('-'), span) => {
                return Err(Flaw::new(span, "a comparison begins with a name")
                    .help("write the name on the left and the number on the right: `args.ret > 0`"));
            }
            (token @ (Token::Symbol("(") | Token::Other('!')), span) => {
                return Err(Flaw::new(span, format!("{token} is not supported"))
                    .help("a filter is comparisons joined by &&, such as `args.ret > 0 && uid != 0`"));
            }
            (Token::End, span) => {
                return Err(Flaw::new(span, "a comparison is missing")
                    .help("write one such as `args.ret > 0`, or leave the filter out"));
            }
            _ => {}
        }
        let left = self.name()?;
        let (token, span) = self.next();
        let operator = OPERATORS.into_iter().find(|(symbol, _)| token == Token::Symbol(symbol));
        let Some((_, operator)) = operator else {
            let name = left.get_ref();
            let flaw = Flaw::new(span, format!("expected a comparison after `{name}`, found {token}"));
            return Err(flaw.help(match token {
                Token::Other('=') => format!("equality is written `{name} == …`"),
                Token::End | Token::Symbol("&&" | "||") => format!("write `{name} != 0` for a flag"),
                _ => format!("the comparisons are {}", one_of(OPERATORS.map(|(symbol, _)| symbol))),
            }));
        };
        if *left.get_ref() == Name::Comm {
            return Err(Flaw::new(left.span(), "`comm` cannot be compared in a filter")
                .help("use it as a key (by = { comm = \"comm\" }), or filter by `pid`"));
        }
        let right = self.literal()?;
        Ok(Comparison { left, operator, right })
    }

    fn literal(&mut self) -> Result<Spanned<Literal>, Flaw> {
        let (mut token, mut span) = self.next();
        let negative = token == Token::Other('-');
        if negative {
            let start = span.start;
            (token, span) = self.next();
            span.start = start;
        }
        let Token::Number(text) = token else {
            let flaw = Flaw::new(span, format!("expected a number, found {token}"));
            return Err(
                flaw.help("a name is compared with a number: 12, -1, 0x1f, or a duration such as 1ms")
            );
        };
        let range = i128::from(i64::MIN)..=i128::from(u64::MAX);
        let literal = match text.strip_prefix("0x") {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
                i128::from_str_radix(digits, 16).ok()
            }
            Some(_) => None,
            None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            None if negative => None,
            None => {
                let nanoseconds = unit::duration(text);
                return nanoseconds
                    .map(|number| Spanned::new(span.clone(), Literal::Duration(number)))
                    .map_err(|why| Flaw::new(span, format!("`{text}` is not a number: {why}")));
            }
        };
        literal
            .map(|number| if negative { -number } else { number })
            .filter(|number| range.contains(number))
            .map(|number| Spanned::new(span.clone(), Literal::Number(number)))
            .ok_or_else(|| {
                Flaw::new(
                    span,
                    format!("`{}{text}` is not a number of 64 bits", if negative { "-" } else { "" }),
                )
                .help("numbers are decimal (12, -1) or hexadecimal (0x1f)")
            })
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Args(field) => write!(f, "args.{field}"),
            Self::Start(field) => write!(f, "start.{field}"),
            builtin => {
                let text = BUILTINS.iter().find(|(_, name)| name == builtin).map(|(text, _)| *text);
                f.write_str(text.unwrap_or_default())
            }
        }
    }
}

impl Operator {
    pub(crate) fn symbol(self) -> &'static str {
        OPERATORS.iter().find(|(_, operator)| *operator == self).map_or("", |(symbol, _)| symbol)
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Duration(nanoseconds) => f.write_str(&unit::show_duration(*nanoseconds)),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.left.get_ref(), self.operator.symbol(), self.right.get_ref())
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = self.operand.as_ref().map(ToString::to_string).unwrap_or_default();
        write!(f, "{}({operand})", self.kind.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field() -> impl Strategy<Value = FieldName> {
        ("[a-zA-Z_][a-zA-Z0-9_]{0,12}", prop::option::of(any::<u32>()))
            .prop_map(|(name, index)| FieldName { name, index })
    }

    fn name() -> impl Strategy<Value = Name> {
        prop_oneof![
            prop::sample::select(BUILTINS.map(|(_, name)| name).to_vec()),
            field().prop_map(Name::Args),
            field().prop_map(Name::Start),
        ]
    }

    fn spanned<T>(value: T) -> Spanned<T> {
        // Spans are not compared.
        Spanned::new(0..0, value)
    }

    fn comparison() -> impl Strategy<Value = Comparison> {
        let literal = prop_oneof![
            any::<i64>().prop_map(|number| Literal::Number(number.into())),
            any::<u64>().prop_map(|number| Literal::Number(number.into())),
            any::<u64>().prop_map(Literal::Duration),
            (0u64..5000).prop_map(|number| Literal::Duration(number * 1_000_000)),
        ];
        let operator = prop::sample::select(OPERATORS.map(|(_, operator)| operator).to_vec());
        let comparable = name().prop_filter("comm is not compared", |name| *name != Name::Comm);
        (comparable, operator, literal).prop_map(|(left, operator, right)| Comparison {
            left: spanned(left),
            operator,
            right: spanned(right),
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_the_same(
            comparisons in prop::collection::vec(comparison(), 1..4),
            name in name(),
            kind in prop::sample::select(MeasureKind::ALL.to_vec()),
        ) {
            let text: Vec<String> = comparisons.iter().map(ToString::to_string).collect();
            prop_assert_eq!(filter(&text.join(" && ")), Ok(comparisons));
            prop_assert_eq!(key(&name.to_string()), Ok(spanned(name.clone())));
            let operand = (kind != MeasureKind::Count).then(|| spanned(name));
            let wanted = Measure { kind, operand };
            prop_assert_eq!(measure(&wanted.to_string()), Ok(wanted));
        }

        #[test]
        fn no_text_panics_and_flaws_are_within_it(
            text in prop_oneof![".{0,40}", "[-a-z.\\[\\](){}=!<>&|0-9\"'é \n]{0,40}"],
        ) {
            for flaw in [key(&text).err(), filter(&text).err(), measure(&text).err()].into_iter().flatten() {
                prop_assert!(text.get(flaw.span.clone()).is_some(), "{:?}", flaw);
            }
        }
    }

    #[test]
    fn numbers() {
        let read = |text: &str| filter(&format!("pid == {text}")).map(|all| *all[0].right.get_ref());
        assert_eq!(read("0x1F"), Ok(Literal::Number(31)));
        assert_eq!(read("- 5"), Ok(Literal::Number(-5)));
        assert_eq!(read("-9223372036854775808"), Ok(Literal::Number(i64::MIN.into())));
        assert_eq!(read("18446744073709551615"), Ok(Literal::Number(u64::MAX.into())));
        assert_eq!(read("2s"), Ok(Literal::Duration(2_000_000_000)));
        for text in
            ["18446744073709551616", "-9223372036854775809", "0x", "0xg", "1_000", "-1ms", "1.5", "08h8"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
