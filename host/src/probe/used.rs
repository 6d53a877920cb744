//! The names that expressions use, as they are written, for whoever decides who may use which.

use std::collections::BTreeSet;

use super::expression::{Cast, Expression, Measure, Node};

/// Stands for the number that a kernel address is, when it is told from anything but another address or nothing: who
/// can compare it with numbers can find it out.
pub(crate) const ADDRESS: &str = "address";

/// Adds what an expression uses: `comm`, `args.ret`, `start.fd`; `str` where it reads the text at an address, and
/// `struct NAME` where it takes a number for one, for the address can be any.
pub(crate) fn of_expression(node: &Node, names: &mut BTreeSet<String>) {
    match node.get_ref() {
        Expression::Number(_) | Expression::Duration(_) | Expression::Text(_) => {}
        Expression::Name(name) => {
            names.insert(name.clone());
        }
        Expression::Field(of, _) | Expression::Element(of, _) => match path(node) {
            Some(path) => {
                names.insert(path);
            }
            // The members of what a cast has said are those of its structure.
            None => of_expression(of, names),
        },
        Expression::Call(name, arguments) => {
            if name == "str" {
                names.insert(name.clone());
            }
            arguments.iter().for_each(|argument| of_expression(argument, names));
        }
        Expression::Unary(_, of) | Expression::Cast(Cast::Integer { .. }, of) => of_expression(of, names),
        Expression::Binary(_, left, right) => {
            of_expression(left, names);
            of_expression(right, names);
        }
        Expression::Cast(Cast::Pointer(structure), of) => {
            names.insert(format!("struct {structure}"));
            of_expression(of, names);
        }
    }
}

/// Likewise of a measure.
pub(crate) fn of_measure(measure: &Measure, names: &mut BTreeSet<String>) {
    measure.arguments.iter().chain(&measure.condition).for_each(|node| of_expression(node, names));
}

/// A path of members from a name, without the numbers of elements.
fn path(node: &Node) -> Option<String> {
    match node.get_ref() {
        Expression::Name(name) => Some(name.clone()),
        Expression::Field(of, name) => Some(format!("{}.{name}", path(of)?)),
        Expression::Element(of, _) => path(of),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::expression::{expression, measure};

    #[test]
    fn names_are_those_that_are_written() {
        let used = |text: &str| {
            let mut names = BTreeSet::new();
            match measure(text) {
                Ok(measure) => of_measure(&measure, &mut names),
                Err(_) => of_expression(&expression(text).unwrap(), &mut names),
            }
            names.into_iter().collect::<Vec<_>>().join(" ")
        };
        for (text, names) in [
            ("1 + 0x2 == 3ms", ""),
            ("pid == 1 && !(comm == 'args.x')", "comm pid"),
            ("args.args[1] > args.args[2]", "args.args"),
            ("args.sk->__sk_common.skc_family", "args.sk.__sk_common.skc_family"),
            ("-(int32)start.fd[0].x + elapsed", "elapsed start.fd.x"),
            ("((struct sock *)arg0).x[3].y", "arg0 struct sock"),
            ("starts_with(str(args.name, 16), 'x') || syscall(args.id) == 'read'", "args.id args.name str"),
            ("hist(args.ret) if uid == 0", "args.ret uid"),
            ("count()", ""),
        ] {
            assert_eq!(used(text), names, "{text}");
        }
    }
}
