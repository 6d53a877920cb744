;; Attacks the host's memory by a line that never ends, and the other stream's by bytes that are no text.
;;
;; To be cut where lines are, and stopped by the number of host calls or the deadline.
(module
  (import "wasi:cli/stdout@0.2.12" "get-stdout" (func $get-stdout (result i32)))
  (import "wasi:cli/stderr@0.2.12" "get-stderr" (func $get-stderr (result i32)))
  (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))
  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 0x4000))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    local.get $at
  )
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0x40)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (local $out i32)
    (local $err i32)
    (local.set $out (call $get-stdout))
    (local.set $err (call $get-stderr))
    (memory.fill (i32.const 0x10000) (i32.const 0xff) (i32.const 0x10000))
    (loop $again
      (call $write (local.get $out) (i32.const 0x10000) (i32.const 0x10000) (i32.const 0x80))
      (call $write (local.get $err) (i32.const 0x10000) (i32.const 0x10000) (i32.const 0x80))
      br $again
    )
    i32.const 0x40
  )
)
