//! On this machine's kernel and this process.
#![allow(clippy::fn_to_numeric_cast_any)] // A function's address is what a stack has.

use std::hint::black_box;
use std::process::Command;

use super::*;

#[inline(never)]
fn first_function(n: u64) -> u64 {
    black_box(n) + 1
}

#[inline(never)]
fn second_function(n: u64) -> u64 {
    black_box(n) + 2
}

mod inner {
    use std::hint::black_box;

    #[inline(never)]
    pub(super) fn third_function<T: Into<u64>>(n: T) -> u64 {
        black_box(n.into()) + 3
    }
}

/// As a stack would have them, the first being innermost.
fn functions() -> [u64; 3] {
    let functions: [fn(u64) -> u64; 3] = [first_function, second_function, inner::third_function::<u64>];
    let [first, second, third] = functions.map(|function| black_box(function) as usize as u64);
    // Returned to after a call at the very beginning.
    [first, second + 1, third + 1]
}

/// Whether this process may do what is tested.
fn allowed(symbols: &Symbols) -> bool {
    if let Some(problem) = symbols.problem() {
        println!("not tested: {problem}");
    }
    let large = std::fs::metadata("/proc/self/exe").unwrap().len() > file::FILE_BYTES;
    if large {
        println!("not tested: the file of these tests is too large to be looked into");
    }
    symbols.problem().is_none() && !large
}

/// One stack.
fn user(symbols: &mut Symbols, pid: u32, addresses: &[u64]) -> String {
    let until = Instant::now() + Duration::from_secs(60);
    symbols.user(&mut [Stack::Addresses(pid, addresses.to_vec())], until).remove(0)
}

fn here() -> u32 {
    std::process::id()
}

#[test]
fn functions_of_this_process_have_their_names() {
    let mut symbols = Symbols::default();
    let text = user(&mut symbols, here(), &functions());
    if !allowed(&symbols) {
        return;
    }
    let frames: Vec<&str> = text.split(';').collect();
    let [third, second, first] = frames[..] else { panic!("{text}") };
    assert_eq!(
        (first, second),
        ("weir::symbols::tests::first_function", "weir::symbols::tests::second_function")
    );
    // Older compilers leave the type out.
    assert!(third.starts_with("weir::symbols::tests::inner::third_function"), "{third}");
}

#[test]
fn an_address_that_is_returned_to_is_of_the_call() {
    let mut symbols = Symbols::default();
    let [first, ..] = functions();
    // Where the function begins, a call that does not return ends the one before it.
    let innermost = user(&mut symbols, here(), &[first]);
    let returned = user(&mut symbols, here(), &[first, first]);
    if allowed(&symbols) {
        assert!(innermost.ends_with("first_function"), "{innermost}");
        let (outer, inner) = returned.split_once(';').unwrap();
        assert!(inner == innermost && !outer.ends_with("first_function"), "{returned}");
    }
}

#[inline(always)]
fn inlined_function(n: u64) -> u64 {
    black_box(black_box(n) + 4) * black_box(n)
}

#[inline(never)]
fn outer_function(n: u64) -> u64 {
    black_box(inlined_function(black_box(n))) + 5
}

#[test]
fn an_inlined_function_is_a_frame_of_its_own() {
    let mut symbols = Symbols::default();
    let begin = black_box(outer_function as fn(u64) -> u64) as usize as u64;
    let mut stacks: Vec<_> =
        (begin..begin + 128).map(|place| Stack::Addresses(here(), vec![place])).collect();
    let texts = symbols.user(&mut stacks, Instant::now() + Duration::from_secs(60));
    if allowed(&symbols) {
        let nested = |text: &&String| {
            text.split_once(';').is_some_and(|(outer, inner)| {
                outer.ends_with("outer_function") && inner.contains("inlined_function")
            })
        };
        assert!(texts.iter().any(|text| nested(&text)), "{texts:#?}");
    }
}

#[test]
fn code_without_a_name_has_that_of_its_file_or_none() {
    let mut sleep = Command::new("sleep").arg("60").spawn().unwrap();
    // It is what was started once its file is mapped, and no longer this one.
    let mapped = || {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", sleep.id())).unwrap();
        maps.lines().find(|line| line.contains(" r-xp ") && line.ends_with("/sleep")).map(str::to_owned)
    };
    let begun = Instant::now();
    let line = loop {
        if let Some(line) = mapped() {
            break Some(line);
        }
        if begun.elapsed() > Duration::from_secs(10) {
            break None;
        }
        std::thread::yield_now();
    };
    let code = line.map(|line| u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap());
    let mut symbols = Symbols::default();
    // Nothing is ever mapped at the second and third.
    let alive = code.map(|code| user(&mut symbols, sleep.id(), &[code + 0x100, 0x42, u64::MAX]));
    sleep.kill().unwrap();
    sleep.wait().unwrap();
    match alive {
        // A `sleep` that is one of many in a file of another name, or has symbols.
        None => println!("not tested: what `sleep` runs has another name"),
        Some(text) => {
            let (unmapped, code) = text.rsplit_once(';').unwrap();
            assert_eq!(unmapped, "[unknown];[unknown]");
            if code != "[sleep]" {
                println!("not tested: `sleep` has a name for {code}");
            }
        }
    }
    let before = symbols.problem().map(str::to_owned);
    // Now it is gone.
    assert_eq!(user(&mut symbols, sleep.id(), &[0x1000, 0x2000]), "[unknown];[unknown]");
    assert_eq!(user(&mut symbols, u32::MAX, &[0x1000]), "[unknown]");
    // That is nothing that could be helped.
    assert_eq!(symbols.problem(), before.as_deref());
}

#[test]
fn many_stacks_are_as_each_alone() {
    let [first, second, third] = functions();
    let ended = u32::MAX;
    let stacks: [(u32, Vec<u64>); 5] = [
        (here(), vec![first, second]),
        (ended, vec![first]),
        (here(), Vec::new()),
        (here(), vec![0x42, first, third, 0, first]),
        (ended, vec![first, second]),
    ];
    let alone: Vec<String> =
        stacks.iter().map(|(pid, addresses)| user(&mut Symbols::default(), *pid, addresses)).collect();
    let mut symbols = Symbols::default();
    let mut stacks = stacks.map(|(pid, addresses)| Stack::Addresses(pid, addresses));
    assert_eq!(symbols.user(&mut stacks, Instant::now() + Duration::from_secs(60)), alone);
    assert_eq!(alone[1..3], ["[unknown]", ""]);
    if allowed(&symbols) {
        assert!(alone[0].ends_with("first_function"), "{alone:?}");
    }
}

#[test]
fn without_time_a_place_has_the_name_of_its_file() {
    let mut symbols = Symbols::default();
    let mut stacks = [Stack::Addresses(here(), functions()[..1].to_vec())];
    let text = symbols.user(&mut stacks, Instant::now());
    let program = std::env::current_exe().unwrap();
    if !symbols.problem().is_some_and(|problem| problem.contains("cannot read")) {
        assert_eq!(text, [format!("[{}]", program.file_name().unwrap().to_str().unwrap())]);
    }
}

#[test]
fn names_that_were_late_come_when_it_is_asked_again() {
    let mut symbols = Symbols::default();
    // Its file is found, and there is no time to read it.
    let mut stacks = [Stack::Addresses(here(), functions()[..1].to_vec())];
    symbols.place(&mut stacks, Instant::now() + Duration::from_secs(60));
    let early = symbols.user(&mut stacks, Instant::now());
    if symbols.problem().is_some_and(|problem| problem.contains("cannot read")) {
        return;
    }
    assert!(early[0].starts_with('['), "{early:?}");
    assert!(symbols.waits(&stacks[0]));
    // What the process does meanwhile is not looked at.
    symbols.processes = Processes::default();
    let later = symbols.user(&mut stacks, Instant::now() + Duration::from_secs(60));
    assert!(later[0].ends_with("first_function") && !symbols.waits(&stacks[0]), "{later:?}");
}

#[test]
fn a_stack_ends_at_an_empty_slot() {
    let mut symbols = Symbols::default();
    assert_eq!(user(&mut symbols, here(), &[]), "");
    assert_eq!(user(&mut symbols, here(), &[0x42, 0, 0x42]), "[unknown]");
    assert_eq!(symbols.kernel(&[]), "");
    assert_eq!(symbols.kernel(&[0, 0]), "");
    assert!(symbols.kallsyms.is_none(), "read without need");
}

#[test]
fn functions_of_the_kernel_have_their_names() {
    let functions = kallsyms::unique_functions();
    let mut symbols = Symbols::default();
    let Some(step) = functions.len().checked_div(100).filter(|step| *step > 0) else {
        assert_eq!(symbols.kernel(&[0xffff_ffff_8100_0000]), "[unknown]");
        println!("not tested: {}", symbols.problem().unwrap());
        return;
    };
    for function in functions.iter().step_by(step) {
        assert_eq!(symbols.kernel(&[function.0]), function.1);
    }
    let [outer, inner] = [&functions[step], &functions[2 * step]];
    let text = symbols.kernel(&[inner.0, outer.0 + 1]);
    assert_eq!(text, format!("{};{}", outer.1, inner.1));
    assert_eq!(symbols.kernel(&[0x1000, u64::MAX]), "[unknown];[unknown]");
    assert_eq!(symbols.problem(), None);
}

/// Stacks of ten frames whose functions were not looked up before.
#[test]
fn what_a_new_stack_costs() {
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e6
    };
    let time = |run: &mut dyn FnMut() -> String| {
        let begun = Instant::now();
        black_box(run());
        begun.elapsed()
    };
    let kernel = kallsyms::unique_functions();
    let mut symbols = Symbols::default();
    let stacks: Vec<Vec<u64>> =
        kernel.chunks(10).take(201).map(|c| c.iter().map(|f| f.0 + 1).collect()).collect();
    let mut times: Vec<Duration> = stacks.iter().map(|stack| time(&mut || symbols.kernel(stack))).collect();
    let first = times.drain(..1.min(times.len())).sum::<Duration>();
    println!("kernel: the first {first:?}, median of {} others {:.1} us", times.len(), median(times));

    let begin = functions()[0] & !0xfff;
    let mut stacks: Vec<Stack> = (0..201)
        .map(|n| Stack::Addresses(here(), (0..10).map(|m| begin + (n * 10 + m) * 97).collect()))
        .collect();
    let mut symbols = Symbols::default();
    let until = Instant::now() + Duration::from_secs(60);
    let mut rest = &mut stacks[..];
    for (what, count) in [("the first", 1), ("another", 1), ("199 more", 199)] {
        let (stacks, after) = rest.split_at_mut(count);
        rest = after;
        let begun = Instant::now();
        black_box(symbols.user(stacks, until));
        println!("process: {what} {:?}", begun.elapsed());
    }
    println!("process: {:?}", symbols.user(&mut stacks[7..8], until));
}
