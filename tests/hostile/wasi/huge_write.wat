;; Attacks the copy at the boundary: writes 3 MiB at once.
;;
;; To be stopped by the limit on what one host call may hand over, reason `output`.
(module
  (import "wasi:cli/stdout@0.2.12" "get-stdout" (func $get-stdout (result i32)))
  (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))
  (memory (export "memory") 64)
  (global $free (mut i32) (i32.const 0x4000))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    local.get $at
  )
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0x40)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (call $write (call $get-stdout) (i32.const 0) (i32.const 0x300000) (i32.const 0x80))
    i32.const 0x40
  )
)
