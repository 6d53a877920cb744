//! The expressions of a configuration, as they are written: what to key on, filter by and measure.
//!
//! ```text
//! measure = ( "count" | "sum" | "min" | "max" | "avg" | "stats" | "hist" | "lhist" ) "(" [ list ] ")" [ "if" expression ]
//! expression = unary { operator unary }                     by the precedence of the operators, below
//! unary      = { "-" | "!" | "~" | cast } postfix
//! cast       = "(" [ "u" ] "int" ( "8" | "16" | "32" | "64" ) ")" | "(" "struct" name "*" ")"
//! postfix    = primary { ( "." | "->" ) name | "[" number "]" }
//! primary    = number | text | duration | name [ "(" [ list ] ")" ] | "(" expression ")"
//! list       = expression { "," expression }
//! number     = decimal | "0x" hexadecimal
//! text       = '"' { character } '"' | "'" { character } "'"      with \\ \" \' \n \t \0 and \xNN
//! ```
//!
//! | binds | operators |
//! |---|---|
//! | tightest | `*` `/` `%` |
//! | | `+` `-` |
//! | | `<<` `>>` |
//! | | `<` `<=` `>` `>=` |
//! | | `==` `!=` |
//! | | `&` |
//! | | `^` |
//! | | `\|` |
//! | | `&&` |
//! | loosest | `\|\|` |
//!
//! It is that of C. Operators of one line are taken from the left.

use std::fmt;
use std::ops::Range;

use toml::Spanned;

use super::flaw::Flaw;
use super::nearest::did_you_mean;
use super::unit;

/// Parentheses and operators within each other; it bounds the stack that reading and resolving take.
const DEEPEST: usize = 48;
/// Operators of one expression, each of which is a level of what is read.
const MOST_OPERATORS: usize = 200;
/// Bytes of one expression.
const LONGEST: usize = 4096;

pub(crate) type Node = Spanned<Expression>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    /// From 0 to 2^64-1.
    Number(u64),
    /// Nanoseconds.
    Duration(u64),
    Text(Vec<u8>),
    Name(String),
    Field(Box<Node>, String),
    Element(Box<Node>, u64),
    Call(String, Vec<Node>),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    Cast(Cast, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Minus,
    Not,
    Complement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Multiply,
    Divide,
    Remainder,
    Add,
    Subtract,
    Left,
    Right,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    And,
    Xor,
    Or,
    Both,
    Either,
}

/// The operators, by their symbols, with how tightly each binds.
const OPERATORS: [(&str, Binary, u8); 18] = [
    ("*", Binary::Multiply, 10),
    ("/", Binary::Divide, 10),
    ("%", Binary::Remainder, 10),
    ("+", Binary::Add, 9),
    ("-", Binary::Subtract, 9),
    ("<<", Binary::Left, 8),
    (">>", Binary::Right, 8),
    ("<=", Binary::LessOrEqual, 7),
    (">=", Binary::GreaterOrEqual, 7),
    ("<", Binary::Less, 7),
    (">", Binary::Greater, 7),
    ("==", Binary::Equal, 6),
    ("!=", Binary::NotEqual, 6),
    ("&", Binary::And, 5),
    ("^", Binary::Xor, 4),
    ("|", Binary::Or, 3),
    ("&&", Binary::Both, 2),
    ("||", Binary::Either, 1),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cast {
    Integer {
        bits: u32,
        signed: bool,
    },
    /// A pointer to the structure of this name.
    Pointer(String),
}

const CASTS: [(&str, u32, bool); 8] = [
    ("int8", 8, true),
    ("int16", 16, true),
    ("int32", 32, true),
    ("int64", 64, true),
    ("uint8", 8, false),
    ("uint16", 16, false),
    ("uint32", 32, false),
    ("uint64", 64, false),
];

const CASTS_HELP: &str =
    "the types are int8, int16, int32, int64, uint8, uint16, uint32, uint64 and `struct NAME *`";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) kind: Spanned<String>,
    pub(crate) arguments: Vec<Node>,
    pub(crate) condition: Option<Node>,
}

pub(crate) const MEASURES: [&str; 8] = ["count", "sum", "min", "max", "avg", "stats", "hist", "lhist"];
const MEASURES_HELP: &str = "the measures are count(), sum(x), min(x), max(x), avg(x), stats(x), hist(x) and \
                             lhist(x, low, high, step)";

/// Reads an expression.
pub(crate) fn expression(text: &str) -> Result<Node, Flaw> {
    let mut parser = Parser::new(text)?;
    let expression = parser.expression(0, 0)?;
    parser.end()?;
    Ok(expression)
}

/// Reads a measure.
pub(crate) fn measure(text: &str) -> Result<Measure, Flaw> {
    let mut parser = Parser::new(text)?;
    let (token, span) = parser.next();
    let Token::Word(word) = token else {
        return Err(Flaw::new(span, format!("expected a measure, found {token}")).help(MEASURES_HELP));
    };
    if !MEASURES.contains(&word) {
        let help = did_you_mean(word, MEASURES)
            .map_or_else(|| MEASURES_HELP.to_owned(), |meant| format!("{meant} {MEASURES_HELP}"));
        return Err(Flaw::new(span, format!("there is no measure `{word}`")).help(help));
    }
    let kind = Spanned::new(span, word.to_owned());
    let (token, parenthesis) = parser.next();
    if token != Token::Symbol("(") {
        let usage = match word {
            "count" => "write `count()`".to_owned(),
            "lhist" => "write `lhist(x, low, high, step)`".to_owned(),
            word => format!("write `{word}(x)`"),
        };
        return Err(Flaw::new(parenthesis, format!("expected `(` after `{word}`, found {token}")).help(usage));
    }
    let arguments = parser.list(0)?;
    let condition = match parser.next() {
        (Token::End, _) => None,
        (Token::Word("if"), _) => {
            let condition = parser.expression(0, 0)?;
            parser.end()?;
            Some(condition)
        }
        (token, span) => {
            return Err(Flaw::new(span, format!("expected the end, found {token}"))
                .help("a measure can have a condition: `count() if args.ret < 0`"));
        }
    };
    Ok(Measure { kind, arguments, condition })
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
const SYMBOLS: [&str; 27] = [
    "&&", "||", "->", "==", "!=", "<=", ">=", "<<", ">>", "<", ">", "(", ")", "[", "]", ".", ",", "+", "-",
    "*", "/", "%", "&", "|", "^", "!", "~",
];

struct Parser<'a> {
    text: &'a str,
    at: usize,
    operators: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Flaw> {
        if text.len() > LONGEST {
            return Err(Flaw::new(0..text.len(), format!("an expression has at most {LONGEST} bytes")));
        }
        Ok(Self { text, at: 0, operators: 0 })
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
            let length = quoted(rest, first);
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

    fn takes(&mut self, symbol: &'static str) -> bool {
        let (token, span) = self.peek();
        let is = token == Token::Symbol(symbol);
        if is {
            self.at = span.end;
        }
        is
    }

    fn expect(&mut self, symbol: &'static str, help: &str) -> Result<(), Flaw> {
        match self.next() {
            (token, _) if token == Token::Symbol(symbol) => Ok(()),
            (token, span) => Err(Flaw::new(span, format!("expected `{symbol}`, found {token}")).help(help)),
        }
    }

    fn end(&mut self) -> Result<(), Flaw> {
        let (token, span) = self.next();
        let help = match token {
            Token::End => return Ok(()),
            Token::Other('=') => "equality is written `==`",
            Token::Word("or") => "write `||`",
            Token::Word("and") => "write `&&`",
            _ => "expressions are joined by operators, such as `args.ret > 0 && uid != 0`",
        };
        Err(Flaw::new(span, format!("expected an operator or the end, found {token}")).help(help))
    }

    /// An expression of operators that bind tighter than `above`.
    fn expression(&mut self, above: u8, depth: usize) -> Result<Node, Flaw> {
        let mut left = self.unary(depth)?;
        loop {
            let (token, _) = self.peek();
            let found = OPERATORS.into_iter().find(|(symbol, _, _)| token == Token::Symbol(symbol));
            let Some((_, operator, binds)) = found.filter(|(_, _, binds)| *binds > above) else {
                return Ok(left);
            };
            let (_, span) = self.next();
            self.operators += 1;
            if self.operators > MOST_OPERATORS {
                return Err(Flaw::new(span, format!("an expression has at most {MOST_OPERATORS} operators")));
            }
            let right = self.expression(binds, depth + 1)?;
            let span = left.span().start..right.span().end;
            left = Spanned::new(span, Expression::Binary(operator, Box::new(left), Box::new(right)));
        }
    }

    fn unary(&mut self, depth: usize) -> Result<Node, Flaw> {
        let (token, span) = self.peek();
        if depth > DEEPEST {
            return Err(Flaw::new(span, format!("an expression is nested at most {DEEPEST} deep")));
        }
        let unary = match token {
            Token::Symbol("-") => Unary::Minus,
            Token::Symbol("!") => Unary::Not,
            Token::Symbol("~") => Unary::Complement,
            Token::Symbol("(") => match self.cast()? {
                Some(cast) => {
                    let operand = self.unary(depth + 1)?;
                    let span = span.start..operand.span().end;
                    return Ok(Spanned::new(span, Expression::Cast(cast, Box::new(operand))));
                }
                None => return self.postfix(depth),
            },
            _ => return self.postfix(depth),
        };
        self.next();
        let operand = self.unary(depth + 1)?;
        Ok(Spanned::new(span.start..operand.span().end, Expression::Unary(unary, Box::new(operand))))
    }

    /// A cast, if what is in these parentheses is one.
    fn cast(&mut self) -> Result<Option<Cast>, Flaw> {
        let begin = self.at;
        self.next();
        let (token, span) = self.next();
        match token {
            Token::Word("struct") => {
                let (token, span) = self.next();
                let Token::Word(name) = token else {
                    return Err(Flaw::new(span, format!("expected a structure's name, found {token}")));
                };
                self.expect("*", "a cast to a structure is one to its pointer: `(struct NAME *)`")?;
                self.expect(")", "a cast to a structure is one to its pointer: `(struct NAME *)`")?;
                return Ok(Some(Cast::Pointer(name.to_owned())));
            }
            Token::Word(word) if self.takes(")") => {
                if let Some((_, bits, signed)) = CASTS.into_iter().find(|(name, ..)| *name == word) {
                    return Ok(Some(Cast::Integer { bits, signed }));
                }
                // Nothing else can follow a name in parentheses without an operator.
                if let (Token::Word(_) | Token::Number(_), _) = self.peek() {
                    return Err(Flaw::new(span, format!("there is no type `{word}`")).help(CASTS_HELP));
                }
            }
            _ => {}
        }
        self.at = begin;
        Ok(None)
    }

    fn postfix(&mut self, depth: usize) -> Result<Node, Flaw> {
        let mut node = self.primary(depth)?;
        for _ in 0..DEEPEST {
            let start = node.span().start;
            let (token, _) = self.peek();
            let expression = match token {
                Token::Symbol("." | "->") => {
                    self.next();
                    let (token, span) = self.next();
                    let Token::Word(name) = token else {
                        let flaw = Flaw::new(span, format!("expected a field's name, found {token}"));
                        return Err(flaw.help("numbers are whole, and an element is written `name[0]`"));
                    };
                    Expression::Field(Box::new(node), name.to_owned())
                }
                Token::Symbol("[") => {
                    self.next();
                    let (token, span) = self.next();
                    let number = match token {
                        Token::Number(digits) => digits.parse().ok(),
                        _ => None,
                    };
                    let number = number.ok_or_else(|| {
                        Flaw::new(
                            span,
                            format!("expected an element's number, counted from 0, found {token}"),
                        )
                    })?;
                    self.expect("]", "an element is written `name[0]`")?;
                    Expression::Element(Box::new(node), number)
                }
                _ => return Ok(node),
            };
            node = Spanned::new(start..self.at, expression);
        }
        let (_, span) = self.peek();
        Err(Flaw::new(span, format!("a path has at most {DEEPEST} steps")))
    }

    fn primary(&mut self, depth: usize) -> Result<Node, Flaw> {
        let (token, span) = self.next();
        let expression = match token {
            Token::Number(text) => number(text, &span)?,
            Token::Text(text) => Expression::Text(unquote(text, &span)?),
            Token::Word(word) => {
                if self.takes("(") {
                    Expression::Call(word.to_owned(), self.list(depth + 1)?)
                } else {
                    Expression::Name(word.to_owned())
                }
            }
            Token::Symbol("(") => {
                let inner = self.expression(0, depth + 1)?;
                self.expect(")", "a parenthesis was opened before")?;
                return Ok(Spanned::new(span.start..self.at, inner.into_inner()));
            }
            Token::End => {
                return Err(
                    Flaw::new(span, "an expression is missing").help("write one such as `args.ret > 0`")
                );
            }
            token => return Err(Flaw::new(span, format!("expected a name or a number, found {token}"))),
        };
        Ok(Spanned::new(span.start..self.at, expression))
    }

    /// Expressions up to the closing parenthesis.
    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Flaw> {
        let mut list = Vec::new();
        if self.takes(")") {
            return Ok(list);
        }
        loop {
            list.push(self.expression(0, depth + 1)?);
            match self.next() {
                (Token::Symbol(")"), _) => return Ok(list),
                (Token::Symbol(","), _) => {}
                (token, span) => return Err(Flaw::new(span, format!("expected `,` or `)`, found {token}"))),
            }
        }
    }
}

/// The length of a text that begins with a quote, both quotes included, or of all, if it does not end.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        if character == quote && !escaped {
            return at + 1;
        }
        escaped = character == '\\' && !escaped;
    }
    text.len()
}

fn number(text: &str, span: &Range<usize>) -> Result<Expression, Flaw> {
    let wrong = || {
        Flaw::new(span.clone(), format!("`{text}` is not a number of 64 bits"))
            .help("numbers are decimal (12), hexadecimal (0x1f), or durations (1ms)")
    };
    match text.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u64::from_str_radix(digits, 16).map(Expression::Number).map_err(|_| wrong())
        }
        Some(_) => Err(wrong()),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map(Expression::Number).map_err(|_| wrong())
        }
        None => unit::duration(text)
            .map(Expression::Duration)
            .map_err(|why| Flaw::new(span.clone(), format!("`{text}` is not a number: {why}"))),
    }
}

fn unquote(text: &str, span: &Range<usize>) -> Result<Vec<u8>, Flaw> {
    let open = || Flaw::new(span.clone(), "a text is not closed");
    let quote = text.chars().next().ok_or_else(open)?;
    let inner = text[1..].strip_suffix(quote).filter(|_| text.len() > 1).ok_or_else(open)?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let wrong = || {
            Flaw::new(span.clone(), "a backslash is followed by something that it does not go with")
                .help("there are \\\\, \\\", \\', \\n, \\t, \\0 and \\xNN")
        };
        bytes.push(match rest.next() {
            Some('\\') => b'\\',
            Some('"') => b'"',
            Some('\'') => b'\'',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('x') => {
                let mut digit = || rest.next().and_then(|digit| digit.to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high << 4 | low) as u8,
                    _ => return Err(wrong()),
                }
            }
            _ => return Err(wrong()),
        });
    }
    Ok(bytes)
}

impl Binary {
    pub(crate) fn symbol(self) -> &'static str {
        OPERATORS.iter().find(|(_, operator, _)| *operator == self).map_or("", |(symbol, ..)| symbol)
    }
}

/// Prints with all parentheses.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Duration(nanoseconds) => f.write_str(&unit::show_duration(*nanoseconds)),
            Self::Text(bytes) => {
                f.write_str("\"")?;
                for byte in bytes {
                    match byte {
                        b'"' | b'\\' => write!(f, "\\{}", *byte as char)?,
                        b' '..=b'~' => write!(f, "{}", *byte as char)?,
                        byte => write!(f, "\\x{byte:02x}")?,
                    }
                }
                f.write_str("\"")
            }
            Self::Name(name) => f.write_str(name),
            Self::Field(of, name) => write!(f, "{}.{name}", of.get_ref()),
            Self::Element(of, number) => write!(f, "{}[{number}]", of.get_ref()),
            Self::Call(name, arguments) => {
                write!(f, "{name}(")?;
                for (number, argument) in arguments.iter().enumerate() {
                    write!(f, "{}{}", if number > 0 { ", " } else { "" }, argument.get_ref())?;
                }
                f.write_str(")")
            }
            Self::Unary(unary, operand) => {
                let symbol = match unary {
                    Unary::Minus => "-",
                    Unary::Not => "!",
                    Unary::Complement => "~",
                };
                write!(f, "({symbol}{})", operand.get_ref())
            }
            Self::Binary(operator, left, right) => {
                write!(f, "({} {} {})", left.get_ref(), operator.symbol(), right.get_ref())
            }
            Self::Cast(Cast::Integer { bits, signed }, operand) => {
                write!(f, "(({}int{bits}){})", if *signed { "" } else { "u" }, operand.get_ref())
            }
            Self::Cast(Cast::Pointer(name), operand) => write!(f, "((struct {name} *){})", operand.get_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spanned(expression: Expression) -> Node {
        // Spans are not compared.
        Spanned::new(0..0, expression)
    }

    fn any_expression() -> impl Strategy<Value = Expression> {
        let name = prop::sample::select(vec!["pid", "args", "comm", "start", "x_1"]).prop_map(str::to_owned);
        let leaf = prop_oneof![
            any::<u64>().prop_map(Expression::Number),
            any::<u64>().prop_map(Expression::Duration),
            prop::collection::vec(any::<u8>(), 0..6).prop_map(Expression::Text),
            name.clone().prop_map(Expression::Name),
        ];
        leaf.prop_recursive(4, 24, 3, move |inner| {
            let node = inner.clone().prop_map(|inner| Box::new(spanned(inner)));
            let operators: Vec<Binary> = OPERATORS.into_iter().map(|(_, operator, _)| operator).collect();
            let unary = prop::sample::select(vec![Unary::Minus, Unary::Not, Unary::Complement]);
            let cast = prop_oneof![
                prop::sample::select(CASTS.to_vec())
                    .prop_map(|(_, bits, signed)| Cast::Integer { bits, signed }),
                Just(Cast::Pointer("sock".to_owned())),
            ];
            prop_oneof![
                (prop::sample::select(operators), node.clone(), node.clone())
                    .prop_map(|(operator, left, right)| Expression::Binary(operator, left, right)),
                (unary, node.clone()).prop_map(|(unary, operand)| Expression::Unary(unary, operand)),
                (cast, node.clone()).prop_map(|(cast, operand)| Expression::Cast(cast, operand)),
                (name.clone(), prop::collection::vec(inner.clone(), 0..3)).prop_map(|(name, list)| {
                    Expression::Call(name, list.into_iter().map(spanned).collect())
                }),
                (name.clone(), "[a-z_][a-z0-9_]{0,5}").prop_map(|(of, name)| {
                    Expression::Field(Box::new(spanned(Expression::Name(of))), name)
                }),
                (name.clone(), any::<u64>()).prop_map(|(of, number)| {
                    Expression::Element(Box::new(spanned(Expression::Name(of))), number)
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_the_same(wanted in any_expression()) {
            prop_assert_eq!(expression(&wanted.to_string()).map(Spanned::into_inner), Ok(wanted));
        }

        #[test]
        fn no_text_panics_and_flaws_are_within_it(
            text in prop_oneof![".{0,40}", "[-a-z.\\[\\](){}=!<>&|~+*/%^,0-9\"'\\\\é \n]{0,60}"],
        ) {
            for flaw in [expression(&text).err(), measure(&text).err()].into_iter().flatten() {
                prop_assert!(text.get(flaw.span.clone()).is_some(), "{:?}", flaw);
            }
        }
    }

    fn read(text: &str) -> String {
        expression(text).unwrap_or_else(|flaw| panic!("{text}: {}", flaw.error)).get_ref().to_string()
    }

    #[test]
    fn precedence_is_that_of_c() {
        for (text, parenthesised) in [
            ("1 + 2 * 3", "(1 + (2 * 3))"),
            ("1 - 2 - 3", "((1 - 2) - 3)"),
            ("a & 1 == 0", "(a & (1 == 0))"),
            ("a || b && c | d ^ e & f", "(a || (b && (c | (d ^ (e & f)))))"),
            ("1 << 2 + 3 < 4", "((1 << (2 + 3)) < 4)"),
            ("!a.b && -c[1] > ~2", "((!a.b) && ((-c[1]) > (~2)))"),
            ("(uint32)args.x->y * 2", "(((uint32)args.x.y) * 2)"),
            ("((struct sock *)arg0).x", "((struct sock *)arg0).x"),
            ("(pid)", "pid"),
            ("str(args.a, 16) == 'x\\x00'", "(str(args.a, 16) == \"x\\x00\")"),
        ] {
            assert_eq!(read(text), parenthesised);
        }
    }

    #[test]
    fn numbers() {
        let value = |text: &str| expression(text).map(Spanned::into_inner);
        assert_eq!(value("0x1F"), Ok(Expression::Number(31)));
        assert_eq!(value("18446744073709551615"), Ok(Expression::Number(u64::MAX)));
        assert_eq!(value("2s"), Ok(Expression::Duration(2_000_000_000)));
        for text in ["18446744073709551616", "0x", "0xg", "1_000", "1.5", "08h8", "'a", "\"\\q\"", ""] {
            assert!(value(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        for text in
            ["(".repeat(2000), "!".repeat(2000), "1+".repeat(2000) + "1", "a".to_owned() + &".b".repeat(1000)]
        {
            assert!(expression(&text).is_err(), "{text}");
        }
    }
}
