use super::super::operand::Register;
use super::*;
use crate::probe::binary::tests::{CODE, DATA, Tiny, open};

/// A note, as an assembler writes it.
pub(crate) fn note(location: u64, base: u64, semaphore: u64, strings: [&str; 3]) -> Vec<u8> {
    let mut description: Vec<u8> =
        [location, base, semaphore].iter().flat_map(|word| word.to_le_bytes()).collect();
    for text in strings {
        description.extend_from_slice(text.as_bytes());
        description.push(0);
    }
    let mut bytes: Vec<u8> =
        [8, description.len() as u32, 3].iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(b"stapsdt\0");
    bytes.extend(description);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// What a program does that includes SystemTap's header.
#[test]
#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[allow(unsafe_code, reason = "a note can be written in assembly only")]
fn a_probe_of_this_very_program() {
    use crate::probe::binary::tests::mapped;

    let (place, counter): (u64, u64);
    // SAFETY: it takes the addresses of what it defines and leaves the rest alone.
    unsafe {
        core::arch::asm!(
            "lea 990f(%rip), {place}",
            "lea 989f(%rip), {counter}",
            // So that the linker keeps it.
            "lea _.stapsdt.base(%rip), {base}",
            "990: nop",
            ".pushsection .probes, \"aw\", @progbits",
            ".balign 2",
            "989: .2byte 0",
            ".popsection",
            ".pushsection .note.stapsdt, \"\", @note",
            ".balign 4",
            ".4byte 992f - 991f, 994f - 993f, 3",
            "991: .asciz \"stapsdt\"",
            "992: .balign 4",
            "993: .8byte 990b, _.stapsdt.base, 989b",
            ".asciz \"weir_test\"",
            ".asciz \"several\"",
            ".asciz \"-4@%esi 8@$7 1@%ah 2@-20(%rbp) 8@8(%rdi,%rcx,4) 4@counter+4(%rip)\"",
            "994: .balign 4",
            ".popsection",
            ".pushsection .stapsdt.base, \"aG\", @progbits, .stapsdt.base, comdat",
            ".weak _.stapsdt.base",
            ".hidden _.stapsdt.base",
            "_.stapsdt.base: .space 1",
            ".size _.stapsdt.base, 1",
            ".popsection",
            place = out(reg) place,
            counter = out(reg) counter,
            base = out(reg) _,
            options(att_syntax, nomem, nostack),
        );
    }
    let (path, offset) = mapped(place);
    let (_, semaphore) = mapped(counter);
    let bytes = std::fs::read(path).unwrap();
    let program = Binary::open(&bytes, "this").unwrap();
    let found = find(&program, "weir_test", "several").unwrap();
    let [Note { arguments, .. }] = &found[..] else { panic!("{found:?}") };
    let register = |offset, bytes, shift| Register { offset, bytes, shift };
    let memory = |base, index, offset| Place::Memory { base: register(base, 8, 0), index, offset };
    let expected = [
        (4, true, Place::Register(register(104, 4, 0))),
        (8, false, Place::Constant(7)),
        (1, false, Place::Register(register(80, 1, 8))),
        (2, false, memory(32, None, -20)),
        (8, false, memory(112, Some((register(88, 8, 0), 4)), 8)),
        (4, false, Place::Unsupported("counter+4(%rip)".to_owned())),
    ];
    let expected = expected.map(|(bytes, signed, place)| Argument { bytes, signed, place });
    assert_eq!(arguments[..], expected);
    assert_eq!((found[0].offset, found[0].semaphore), (offset, Some(semaphore)));
    assert!(notes(&program).unwrap().contains(&found[0]));
    let error = find(&program, "weir_test", "severel").unwrap_err();
    assert!(error.help.as_ref().unwrap().contains("`weir_test:several`"), "{error}");
}

#[test]
fn addresses_move_with_the_base() {
    let mut bytes = note(CODE.1 + 8, 0x5000, DATA.1 + 2, ["weir", "here", ""]);
    bytes.extend(note(CODE.1 + 16, 0x5000, 0, ["weir", "here", ""]));
    // Thrown away by the linker; a counter that the file has no value of; a name that is missing.
    bytes.extend(note(0, 0, 0, ["weir", "nowhere", ""]));
    bytes.extend(note(CODE.1, 0x5000, DATA.1 + 0x100, ["weir", "zeroed", ""]));
    bytes.extend(note(CODE.1, 0x5000, CODE.1, ["weir", "constant", ""]));
    bytes.extend(note(CODE.1, 0x5000, 0, ["weir", "", ""]));
    let places = |base: u64| {
        let file = Tiny { notes: bytes.clone(), base, ..Tiny::default() }.bytes();
        let binary = open(&file);
        let found = notes(&binary).unwrap();
        for absent in ["nowhere", "zeroed", "constant"] {
            assert!(find(&binary, "weir", absent).unwrap_err().to_string().contains("nothing in its code"));
        }
        assert!(find(&binary, "weir", "hare").unwrap_err().to_string().contains("`weir:here`"));
        found.iter().map(|note| (note.offset, note.semaphore)).collect::<Vec<_>>()
    };
    let (code, data) = (CODE.0, DATA.0);
    assert_eq!(places(0x5000), [(code + 8, Some(data + 2)), (code + 16, None)]);
    assert_eq!(places(0), [(code + 8, Some(data + 2)), (code + 16, None)]);
    assert_eq!(places(0x5010)[..], [(code + 24, Some(data + 18)), (code + 32, None)]);
}

#[test]
fn damage_is_an_error_and_not_fewer_probes() {
    let mut bytes = note(CODE.1, 0, 0, ["weir", "first", ""]);
    bytes.extend(note(CODE.1, 0, 0, ["weir", "second", ""]));
    bytes.truncate(bytes.len() - 12);
    let file = Tiny { notes: bytes, ..Tiny::default() }.bytes();
    let binary = open(&file);
    assert!(notes(&binary).unwrap_err().to_string().contains("is damaged"));
    let file = Tiny::default().bytes();
    let empty = open(&file);
    assert_eq!(notes(&empty), Ok(Vec::new()));
    assert!(find(&empty, "weir", "probe").unwrap_err().to_string().contains("no probes at all"));
}

/// Whatever of this machine carries probes: they have places, and most arguments are understood.
#[test]
fn probes_of_other_programs() {
    for name in ["libc", "libstdc++", "libpython3.11"] {
        let Ok(path) = crate::probe::locate(name) else {
            eprintln!("not run: no {name}");
            continue;
        };
        let bytes = std::fs::read(path).unwrap();
        let binary = Binary::open(&bytes, name).unwrap();
        let (raw, found) = (raw(&binary).unwrap(), notes(&binary).unwrap());
        assert_eq!(raw.is_empty(), found.is_empty(), "{name}");
        let arguments: Vec<&Argument> = found.iter().flat_map(|note| &note.arguments).collect();
        let supported = |argument: &&&Argument| !matches!(argument.place, Place::Unsupported(_));
        let understood = arguments.iter().filter(supported).count();
        eprintln!("{name}: {} places, {understood} of {} arguments", found.len(), arguments.len());
        assert!(understood * 2 >= arguments.len(), "{arguments:?}");
    }
}
