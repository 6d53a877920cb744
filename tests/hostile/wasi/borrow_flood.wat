;; Attacks a table of the host's, in which handles are kept while a function is called whose types are only known when
;; it is: reads from standard input without end.
;;
;; To be stopped by the number of host calls or the deadline.
(module
  (import "wasi:cli/stdin@0.2.12" "get-stdin" (func $stdin (result i32)))
  (import "wasi:io/streams@0.2.12" "[method]input-stream.read" (func $read (param i32 i64 i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 0x4000))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    local.get $at
  )
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0x40)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (local $stdin i32)
    (local.set $stdin (call $stdin))
    (loop $again
      (call $read (local.get $stdin) (i64.const -1) (i32.const 0x80))
      br $again
    )
    i32.const 0x40
  )
)
