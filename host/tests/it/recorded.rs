//! A kernel that was recorded: some tracepoints as tracefs describes them, and type information written here.

use std::fs;
use std::path::Path;

use weir::probe::Kernel;

const INT: u32 = 1;
const PTR: u32 = 2;
const STRUCT: u32 = 4;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const CONST: u32 = 10;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

/// With control groups of version 2.
pub(crate) fn kernel(folder: &Path) -> Kernel {
    fs::write(folder.join("btf"), types()).unwrap();
    fs::write(folder.join("cgroup.controllers"), "").unwrap();
    let tracefs = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/probe/fixtures");
    Kernel::described(tracefs, folder.join("btf"), folder.to_owned())
}

/// `sys_exit(struct pt_regs *regs, long ret)`, `bare(enum colour, const int)` without names, and the function
/// `long vfs_read(struct pt_regs *file, int flags)`, as Documentation/bpf/btf.rst has them.
fn types() -> Vec<u8> {
    let mut strings = vec![0];
    let mut name = |text: &str| {
        let at = strings.len() as u32;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    let info = |kind: u32, count: u32| kind << 24 | count;
    #[rustfmt::skip]
    let words = [
        /* 1 */ name("long"), info(INT, 0), 8, 1 << 24 | 64,
        /* 2 */ name("int"), info(INT, 0), 4, 1 << 24 | 32,
        /* 3 */ 0, info(CONST, 0), 2,
        /* 4 */ name("pt_regs"), info(STRUCT, 1), 8, name("r15"), 1, 0,
        /* 5 */ 0, info(PTR, 0), 4,
        /* 6 */ 0, info(PTR, 0), 0,
        /* 7 */ name("colour"), info(ENUM, 2), 1, name("RED"), 0, name("GREEN"), 1,
        /* 8 */ 0, info(FUNC_PROTO, 3), 0, 0, 6, 0, 5, 0, 1,
        /* 9 */ 0, info(PTR, 0), 8,
        /* 10 */ name("btf_trace_sys_exit"), info(TYPEDEF, 0), 9,
        /* 11 */ 0, info(FUNC_PROTO, 3), 2, name("__data"), 6, name("regs"), 5, name("ret"), 1,
        /* 12 */ name("__traceiter_sys_exit"), info(FUNC, 0), 11,
        /* 13 */ 0, info(FUNC_PROTO, 3), 0, 0, 6, 0, 7, 0, 3,
        /* 14 */ 0, info(PTR, 0), 13,
        /* 15 */ name("btf_trace_bare"), info(TYPEDEF, 0), 14,
        /* 16 */ 0, info(FUNC_PROTO, 2), 1, name("file"), 5, name("flags"), 2,
        /* 17 */ name("vfs_read"), info(FUNC, 0), 16,
    ];
    let types: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend(types);
    bytes.extend(strings);
    bytes
}
