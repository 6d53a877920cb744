//! Where a probe's arguments are found: texts as `-4@%eax 8@16(%rsp)`, which a compiler wrote as operands for its
//! assembler and SystemTap's header put a size before. SystemTap's wiki page "UserSpaceProbeImplementation"
//! describes the sizes; the operands are those of the AT&T syntax on x86_64, of GNU's assembler on aarch64.

use serde::{Deserialize, Serialize};

use super::binary::Machine;

/// Arguments of one probe (SystemTap's header has macros for as many). What is beyond is passed over.
const MOST_ARGUMENTS: usize = 12;
/// The longest operand that is shown when it is not supported.
const LONGEST_SHOWN: usize = 64;

/// An argument of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Argument {
    /// 1, 2, 4 or 8.
    pub bytes: u8,
    pub signed: bool,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    Constant(i64),
    Register(Register),
    /// The sum of these, wrapping, is an address in the traced process.
    Memory {
        base: Register,
        /// Multiplied by 1, 2, 4, 8 or 16.
        index: Option<(Register, u8)>,
        offset: i64,
    },
    /// The operand, made harmless, that is none of the above.
    Unsupported(String),
}

/// A register, or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Register {
    /// Of the 8 bytes of the whole register in `struct pt_regs`, as the kernel has it.
    pub offset: u16,
    /// How many bytes of it are meant.
    pub bytes: u8,
    /// Bits below those: 8 in %ah.
    pub shift: u8,
}

/// Bytes of the registers that a program is given: `struct pt_regs` of either processor.
const REGISTERS: u16 = 272;

impl Argument {
    /// Bytes of text that it has.
    pub(super) fn text(&self) -> usize {
        if let Place::Unsupported(shown) = &self.place { shown.len() } else { 0 }
    }

    /// Whether it is one that [`arguments`] can give.
    pub(super) fn is_sound(&self) -> bool {
        matches!(self.bytes, 1 | 2 | 4 | 8)
            && match &self.place {
                Place::Constant(_) => true,
                Place::Register(register) => register.is_sound(),
                Place::Memory { base, index, .. } => {
                    base.is_sound()
                        && index.is_none_or(|(register, scale)| {
                            register.is_sound() && matches!(scale, 1 | 2 | 4 | 8 | 16)
                        })
                }
                // Each character may be escaped, and is followed by a mark.
                Place::Unsupported(shown) => shown.len() <= (LONGEST_SHOWN + 1) * 10,
            }
    }
}

impl Register {
    fn is_sound(&self) -> bool {
        matches!(self.bytes, 1 | 2 | 4 | 8)
            && self.shift.is_multiple_of(8)
            && self.shift / 8 + self.bytes <= 8
            && self.offset.is_multiple_of(8)
            && self.offset < REGISTERS
    }
}

/// Reads the arguments of a probe, separated by spaces.
pub(super) fn arguments(machine: Machine, text: &str) -> Vec<Argument> {
    // A `:` begins what perf notes about a probe, which has no arguments then.
    let text = if text.starts_with(':') { "" } else { text };
    split(text).take(MOST_ARGUMENTS).map(|text| argument(machine, text)).collect()
}

/// Splits at spaces, but not at those within brackets: `4@[sp, 12]`.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let between = move |c: char| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && c.is_ascii_whitespace()
    };
    text.split(between).filter(|part| !part.is_empty())
}

fn argument(machine: Machine, text: &str) -> Argument {
    let (size, operand) = text.split_once('@').unwrap_or(("", text));
    let (signed, bytes) = match size.strip_prefix('-') {
        Some(bytes) => (true, bytes),
        None => (false, size),
    };
    let bytes = match bytes {
        "1" => 1,
        "2" => 2,
        "4" => 4,
        "8" => 8,
        // Numbers with a point as `4f`, vectors, structures.
        _ => return Argument { bytes: 8, signed, place: unsupported(text) },
    };
    let place = match machine {
        Machine::X86_64 => x86_64::place(operand),
        Machine::Aarch64 => aarch64::place(operand),
    };
    Argument { bytes, signed, place: place.unwrap_or_else(|| unsupported(operand)) }
}

fn unsupported(text: &str) -> Place {
    let mut shown: String = text.chars().take(LONGEST_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST_SHOWN).is_some() {
        shown.push('…');
    }
    Place::Unsupported(shown)
}

/// A number, decimal or hexadecimal, of at most 64 bits of either sign.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    // What follows a sign is no other sign.
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let magnitude = match digits.strip_prefix("0x") {
        Some(digits) if digits.starts_with('+') => None,
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => digits.parse::<u64>().ok(),
    }?;
    match negative {
        true => 0_i64.checked_sub_unsigned(magnitude),
        // `$18446744073709551615` is how some compilers write -1.
        false => Some(magnitude as i64),
    }
}

mod x86_64 {
    use super::{Place, Register, number};

    pub(super) fn place(operand: &str) -> Option<Place> {
        if let Some(constant) = operand.strip_prefix('$') {
            return number(constant).map(Place::Constant);
        }
        if operand.starts_with('%') {
            return register(operand).map(Place::Register);
        }
        let (displacement, rest) = operand.split_once('(')?;
        let mut parts = rest.strip_suffix(')')?.split(',').map(str::trim);
        let base = address(parts.next()?)?;
        let index = match (parts.next(), parts.next().unwrap_or("1")) {
            (None, _) => None,
            (Some(index), scale @ ("1" | "2" | "4" | "8")) => {
                // %rsp is the one register that no instruction can add times a number.
                let index = address(index).filter(|index| index.offset != RSP)?;
                Some((index, scale.parse().ok()?))
            }
            _ => return None,
        };
        parts.next().is_none().then_some(Place::Memory { base, index, offset: sum(displacement)? })
    }

    /// `-20`, and `8+4-2`, which an assembler takes as well. Symbols are not supported: what they are added to
    /// is the next instruction's address (`foo+4(%rip)`), and this is no instruction.
    fn sum(text: &str) -> Option<i64> {
        let mut text = text.trim();
        let mut total = 0_i64;
        while !text.is_empty() {
            let end = text
                .char_indices()
                .skip(1)
                .find(|(_, c)| matches!(c, '+' | '-'))
                .map_or(text.len(), |(at, _)| at);
            let (part, rest) = text.split_at_checked(end)?;
            total = total.checked_add(number(part)?)?;
            text = rest;
        }
        Some(total)
    }

    /// A register that holds an address.
    fn address(name: &str) -> Option<Register> {
        register(name).filter(|register| register.bytes == 8 && register.offset != RIP)
    }

    const RIP: u16 = 128;
    const RSP: u16 = 152;

    /// The registers in the order of `struct pt_regs` (arch/x86/include/asm/ptrace.h); those without a name here
    /// are no operands.
    const REGISTERS: [(&str, u16); 9] = [
        ("bp", 32),
        ("bx", 40),
        ("ax", 80),
        ("cx", 88),
        ("dx", 96),
        ("si", 104),
        ("di", 112),
        ("ip", RIP),
        ("sp", RSP),
    ];
    const NUMBERED: [(&str, u16); 8] =
        [("15", 0), ("14", 8), ("13", 16), ("12", 24), ("11", 48), ("10", 56), ("9", 64), ("8", 72)];

    fn register(name: &str) -> Option<Register> {
        let name = name.strip_prefix('%')?;
        let part = |offset: u16, bytes: u8| Some(Register { offset, bytes, shift: 0 });
        // %r8, %r8d, %r8w, %r8b.
        if let Some(rest) = name.strip_prefix('r')
            && let Some((rest, offset)) =
                NUMBERED.iter().find_map(|(number, offset)| Some((rest.strip_prefix(number)?, *offset)))
        {
            return match rest {
                "" => part(offset, 8),
                "d" => part(offset, 4),
                "w" => part(offset, 2),
                "b" | "l" => part(offset, 1),
                _ => None,
            };
        }
        let find = |name: &str| REGISTERS.iter().find(|(known, _)| *known == name).map(|(_, offset)| *offset);
        if let Some(offset) = name.strip_prefix('r').and_then(find) {
            return part(offset, 8);
        }
        if let Some(offset) = name.strip_prefix('e').and_then(find) {
            return part(offset, 4);
        }
        if let Some(offset) = find(name) {
            return part(offset, 2);
        }
        // %al and %ah of %ax, but %sil of %si.
        match name.as_bytes() {
            [letter @ (b'a' | b'b' | b'c' | b'd'), half @ (b'l' | b'h')] => {
                let whole = [*letter, b'x'];
                let offset = find(std::str::from_utf8(&whole).ok()?)?;
                Some(Register { offset, bytes: 1, shift: if *half == b'h' { 8 } else { 0 } })
            }
            _ => {
                let whole =
                    name.strip_suffix('l').filter(|whole| matches!(*whole, "si" | "di" | "bp" | "sp"))?;
                part(find(whole)?, 1)
            }
        }
    }
}

mod aarch64 {
    use super::{Place, Register, number};

    /// `sp` in `struct user_pt_regs` (arch/arm64/include/uapi/asm/ptrace.h), with which `struct pt_regs` begins;
    /// before it are `regs[0]` to `regs[30]`.
    const SP: u16 = 31 * 8;

    pub(super) fn place(operand: &str) -> Option<Place> {
        if matches!(operand, "xzr" | "wzr") {
            return Some(Place::Constant(0));
        }
        if let Some(register) = register(operand) {
            return Some(Place::Register(register));
        }
        let Some(memory) = operand.strip_prefix('[') else { return immediate(operand).map(Place::Constant) };
        // What comes behind the bracket would change the register: no compiler passes an argument so.
        let mut parts = memory.strip_suffix(']')?.split(',').map(str::trim);
        let base = register(parts.next()?).filter(|base| base.bytes == 8)?;
        let (mut index, mut offset) = (None, 0);
        if let Some(second) = parts.next() {
            if let Some(register) = register(second) {
                // %wN would need to be extended, which is not supported.
                let register = (register.bytes == 8 && register.offset != SP).then_some(register)?;
                index = Some((register, shift(parts.next())?));
            } else {
                offset = immediate(second)?;
            }
        }
        parts.next().is_none().then_some(Place::Memory { base, index, offset })
    }

    /// The factor that `lsl 3` is.
    fn shift(text: Option<&str>) -> Option<u8> {
        let Some(text) = text else { return Some(1) };
        match immediate(text.strip_prefix("lsl")?.trim())? {
            by @ 0..=4 => Some(1 << by),
            _ => None,
        }
    }

    fn immediate(text: &str) -> Option<i64> {
        number(text.strip_prefix('#').unwrap_or(text))
    }

    fn register(name: &str) -> Option<Register> {
        let whole = |offset: u16, bytes: u8| Register { offset, bytes, shift: 0 };
        match name {
            "sp" => return Some(whole(SP, 8)),
            "wsp" => return Some(whole(SP, 4)),
            _ => {}
        }
        let (bytes, number) = match (name.strip_prefix('x'), name.strip_prefix('w')) {
            (Some(number), _) => (8, number),
            (_, Some(number)) => (4, number),
            _ => return None,
        };
        // x01 is no register.
        let index = number.parse().ok().filter(|index: &u16| *index <= 30 && number == index.to_string())?;
        Some(whole(index * 8, bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn register(offset: u16, bytes: u8, shift: u8) -> Register {
        Register { offset, bytes, shift }
    }

    fn memory(base: u16, index: Option<(u16, u8)>, offset: i64) -> Place {
        let index = index.map(|(index, scale)| (register(index, 8, 0), scale));
        Place::Memory { base: register(base, 8, 0), index, offset }
    }

    #[track_caller]
    fn check(machine: Machine, text: &str, bytes: u8, signed: bool, place: Place) {
        assert_eq!(arguments(machine, text), [Argument { bytes, signed, place }], "{text}");
    }

    #[track_caller]
    fn refused(machine: Machine, operand: &str) {
        let place = Place::Unsupported(operand.to_owned());
        check(machine, &format!("-4@{operand}"), 4, true, place);
    }

    #[test]
    fn operands_of_x86_64() {
        let x86 = |text, bytes, signed, place| check(Machine::X86_64, text, bytes, signed, place);
        x86("-4@%eax", 4, true, Place::Register(register(80, 4, 0)));
        x86("1@%ah", 1, false, Place::Register(register(80, 1, 8)));
        x86("1@%bl", 1, false, Place::Register(register(40, 1, 0)));
        x86("-1@%sil", 1, true, Place::Register(register(104, 1, 0)));
        x86("2@%di", 2, false, Place::Register(register(112, 2, 0)));
        x86("8@%r8", 8, false, Place::Register(register(72, 8, 0)));
        x86("4@%r10d", 4, false, Place::Register(register(56, 4, 0)));
        x86("2@%r15w", 2, false, Place::Register(register(0, 2, 0)));
        x86("1@%r12b", 1, false, Place::Register(register(24, 1, 0)));
        x86("8@$5", 8, false, Place::Constant(5));
        x86("-4@$-1", 4, true, Place::Constant(-1));
        x86("8@$18446744073709551615", 8, false, Place::Constant(-1));
        x86("8@$0x10", 8, false, Place::Constant(16));
        x86("4@-20(%rbp)", 4, false, memory(32, None, -20));
        x86("8@(%rsp)", 8, false, memory(152, None, 0));
        x86("8@8+4-2(%rsp)", 8, false, memory(152, None, 10));
        x86("8@(%rax,%rbx,8)", 8, false, memory(80, Some((40, 8)), 0));
        x86("8@-96(%rbp,%r9)", 8, false, memory(32, Some((64, 1)), -96));
        x86("8@(%rax, %rbx, 4)", 8, false, memory(80, Some((40, 4)), 0));
        for operand in [
            "foo+4(%rip)",
            "4(%rip)",
            "foo(%rax)",
            "%xmm0",
            "%st",
            "%fs:8",
            "%fs:(%rax)",
            "$foo",
            "$",
            "foo",
            "(%eax)",
            "(,%rax,8)",
            "(%rax,%rsp)",
            "(%rax,%rbx,3)",
            "(%rax,%rbx,2,1)",
            "(%rax",
            "8(%rax))",
            "%ex",
            "%",
            "",
            "--4(%rax)",
            "$+-4",
            "$0x+4",
            "9223372036854775807+1(%rax)",
            "%r16",
            "%r8x",
            "%axl",
        ] {
            refused(Machine::X86_64, operand);
        }
    }

    #[test]
    fn operands_of_aarch64() {
        let arm = |text, bytes, signed, place| check(Machine::Aarch64, text, bytes, signed, place);
        arm("8@x0", 8, false, Place::Register(register(0, 8, 0)));
        arm("-4@w30", 4, true, Place::Register(register(240, 4, 0)));
        arm("8@sp", 8, false, Place::Register(register(248, 8, 0)));
        arm("4@[sp, 12]", 4, false, memory(248, None, 12));
        arm("4@[sp,#-12]", 4, false, memory(248, None, -12));
        arm("4@[x1]", 4, false, memory(8, None, 0));
        arm("8@[x1, x2]", 8, false, memory(8, Some((16, 1)), 0));
        arm("8@[x1, x2, lsl #3]", 8, false, memory(8, Some((16, 8)), 0));
        arm("4@5", 4, false, Place::Constant(5));
        arm("-4@-5", 4, true, Place::Constant(-5));
        arm("8@xzr", 8, false, Place::Constant(0));
        for operand in [
            "x31",
            "x01",
            "x+1",
            "d0",
            "[w1]",
            "[x1, w2, sxtw 2]",
            "[x1, 8]!",
            "[x1,",
            "[x1, x2, lsl 9]",
            "[]",
        ] {
            refused(Machine::Aarch64, operand);
        }
    }

    #[test]
    fn one_argument_that_is_not_supported_leaves_the_others() {
        let found = arguments(Machine::X86_64, " 4f@%xmm0 -8@%rdx\t16@%rax 8@foo(%rip) %eax 4@$7");
        let places: Vec<&Place> = found.iter().map(|argument| &argument.place).collect();
        let not = |text: &str| Place::Unsupported(text.to_owned());
        assert_eq!(
            places,
            [
                &not("4f@%xmm0"),
                &Place::Register(register(96, 8, 0)),
                &not("16@%rax"),
                &not("foo(%rip)"),
                &not("%eax"),
                &Place::Constant(7)
            ]
        );
        let arm = arguments(Machine::Aarch64, "4@[sp, 12] 8@x0");
        assert_eq!(arm.len(), 2);
        assert_eq!(arguments(Machine::X86_64, &"4@$1 ".repeat(100)).len(), MOST_ARGUMENTS);
        assert_eq!(arguments(Machine::X86_64, ":perf"), []);
    }

    proptest! {
        #[test]
        fn no_text_panics(any in ".{0,200}", like in "([-+]?[0-9]{0,3}@?[-+$%#(\\[]{0,3}[a-z0-9]{0,22}[,+)\\] -]{0,2}){0,15}") {
            for machine in [Machine::X86_64, Machine::Aarch64] {
                for text in [&any, &like] {
                    let found = arguments(machine, text);
                    prop_assert!(found.len() <= MOST_ARGUMENTS);
                    for argument in found {
                        prop_assert!(matches!(argument.bytes, 1 | 2 | 4 | 8));
                        if let Place::Register(register) | Place::Memory { base: register, .. } = argument.place {
                            prop_assert!(register.offset <= 31 * 8 && register.offset % 8 == 0);
                            prop_assert!(matches!(register.bytes, 1 | 2 | 4 | 8));
                        }
                    }
                }
            }
        }

        #[test]
        fn sums_are_those_of_their_parts(parts in prop::collection::vec(-10_000_i64..10_000, 1..5)) {
            let text: String = parts.iter().map(|part| format!("{part:+}")).collect();
            let place = Place::Memory { base: register(80, 8, 0), index: None, offset: parts.iter().sum() };
            let found = arguments(Machine::X86_64, &format!("8@{text}(%rax)"));
            prop_assert_eq!(&found[0].place, &place);
        }
    }
}
