//! Functions of the tests' own programs, to attach probes to: they are called a known number of times, with known
//! arguments.
#![allow(unsafe_code, reason = "functions that are found by their names, some of them in assembly")]

use std::ffi::CStr;
use std::hint::black_box;
use std::path::PathBuf;

/// This program, as a probe names it.
#[must_use]
pub fn program() -> String {
    let path: PathBuf = std::env::current_exe().expect("a test has a path");
    path.into_os_string().into_string().expect("a plain path")
}

/// Returns the difference, wrapping.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn weir_traced_numbers(a: u64, b: u64, number: u64) -> u64 {
    black_box(number);
    black_box(a).wrapping_sub(black_box(b))
}

/// Returns the text, or what else is at the address.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn weir_traced_text(text: *const u8) -> *const u8 {
    black_box(text)
}

/// The address of a text, whose pages are in memory from then on: a probe cannot read what nobody has touched.
#[must_use]
pub fn in_memory(text: &CStr) -> *const u8 {
    black_box(black_box(text).to_bytes_with_nul().iter().fold(0, |sum, byte| sum ^ byte));
    text.as_ptr().cast()
}

/// Calls itself so many times.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn weir_traced_depth(depth: u64) -> u64 {
    if black_box(depth) == 0 { 0 } else { 1 + weir_traced_depth(depth - 1) }
}

/// The start of a span.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn weir_traced_start(key: u64, value: u64) {
    black_box(key ^ value);
}

/// The end of a span.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn weir_traced_end(key: u64) {
    // Otherwise than a start, so that the two are not made one function.
    black_box(!key);
}

/// What is known of one processor only.
#[cfg(target_arch = "x86_64")]
pub mod x86_64 {
    use std::sync::atomic::{AtomicU16, Ordering};

    // Three functions, and one that is as the outermost, that keep frame pointers, whatever the compiler does with those of others; the innermost is
    // lseek, whose arguments go through all of them. The first instruction of each has one byte.
    //
    // And a probe as <sys/sdt.h> makes it: a note that says where the place is, where its arguments are, and
    // where the counter of those who listen is.
    std::arch::global_asm!(
        r#"
        .text
        .globl weir_traced_inner
        .type weir_traced_inner, @function
    weir_traced_inner:
        push %rbp
        mov %rsp, %rbp
        mov $8, %eax
        syscall
        pop %rbp
        ret
        .size weir_traced_inner, . - weir_traced_inner

        .globl weir_traced_middle
        .type weir_traced_middle, @function
    weir_traced_middle:
        push %rbp
        mov %rsp, %rbp
        call weir_traced_inner
        pop %rbp
        ret
        .size weir_traced_middle, . - weir_traced_middle

        .globl weir_traced_outer
        .type weir_traced_outer, @function
    weir_traced_outer:
        push %rbp
        mov %rsp, %rbp
        call weir_traced_middle
        pop %rbp
        ret
        .size weir_traced_outer, . - weir_traced_outer

        .globl weir_other_outer
        .type weir_other_outer, @function
    weir_other_outer:
        push %rbp
        mov %rsp, %rbp
        call weir_traced_middle
        pop %rbp
        ret
        .size weir_other_outer, . - weir_other_outer

        .globl weir_traced_probe
        .type weir_traced_probe, @function
    weir_traced_probe:
        sub $24, %rsp
        mov %rdx, 8(%rsp)
        mov $3, %ecx
    990:
        nop
        add $24, %rsp
        ret
        .size weir_traced_probe, . - weir_traced_probe

        .pushsection .note.stapsdt, "", @note
        .balign 4
        .4byte 992f - 991f, 994f - 993f, 3
    991:
        .asciz "stapsdt"
    992:
        .balign 4
    993:
        .8byte 990b
        .8byte _.stapsdt.base
        .8byte weir_traced_semaphore
        .asciz "weir"
        .asciz "called"
        .asciz "8@%rdi -4@%esi 4@$-1 -8@8(%rsp) 8@-16(%rsp,%rcx,8) -1@$255"
    994:
        .balign 4
        .popsection

        .pushsection .stapsdt.base, "aG", @progbits, .stapsdt.base, comdat
        .weak _.stapsdt.base
        .hidden _.stapsdt.base
    _.stapsdt.base:
        .space 1
        .size _.stapsdt.base, 1
        .popsection

        .pushsection .probes, "aw", @progbits
        .globl weir_traced_semaphore
        .type weir_traced_semaphore, @object
        .size weir_traced_semaphore, 2
        .balign 2
    weir_traced_semaphore:
        .2byte 0
        .popsection
        "#,
        options(att_syntax)
    );

    unsafe extern "C" {
        fn weir_traced_outer(descriptor: i32, offset: i64, whence: i32) -> i64;
        fn weir_other_outer(descriptor: i32, offset: i64, whence: i32) -> i64;
        fn weir_traced_probe(a: u64, b: i32, c: i64);
        static weir_traced_semaphore: AtomicU16;
    }

    /// Calls lseek through three functions; it answers -EBADF.
    pub fn outer(offset: i64) -> i64 {
        // SAFETY: the function keeps to the calling convention of C, and lseek of no file changes nothing.
        unsafe { weir_traced_outer(-1, offset, 0) }
    }

    /// The same with another outermost function.
    pub fn other(offset: i64) -> i64 {
        // SAFETY: as above.
        unsafe { weir_other_outer(-1, offset, 0) }
    }

    /// Where the first begins.
    #[must_use]
    pub fn outer_address() -> usize {
        weir_traced_outer as *const () as usize
    }

    /// Passes the probe `weir:called`.
    pub fn probe(a: u64, b: i32, c: i64) {
        // SAFETY: the function keeps to the calling convention of C and has no effect.
        unsafe { weir_traced_probe(a, b, c) };
    }

    /// How many listen at the probe.
    #[must_use]
    pub fn semaphore() -> u16 {
        // SAFETY: it is there, aligned, and accessed by whole words only.
        unsafe { &weir_traced_semaphore }.load(Ordering::Relaxed)
    }
}
