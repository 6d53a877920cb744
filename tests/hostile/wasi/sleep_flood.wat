;; Attacks time, and the table of handles by turns: sleeps without end, in a new way each time.
;;
;; No call sleeps. To be stopped by the number of host calls or the deadline.
(module
  (import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration" (func $subscribe-duration (param i64) (result i32)))
  (import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/poll@0.2.12" "[resource-drop]pollable" (func $drop (param i32)))
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
    (local $pollable i32)
    (loop $again
      (local.set $pollable (call $subscribe-duration (i64.const -1)))
      (call $block (local.get $pollable))
      (call $drop (local.get $pollable))
      br $again
    )
    i32.const 0x40
  )
)
