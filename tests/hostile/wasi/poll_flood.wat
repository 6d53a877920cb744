;; Attacks the host's memory by a list: waits for one thing half a million times over.
;;
;; To be stopped by the limit on what one host call may hand over, reason `output`.
(module
  (import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration" (func $subscribe-duration (param i64) (result i32)))
  (import "wasi:io/poll@0.2.12" "poll" (func $poll (param i32 i32 i32)))
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
    (local $at i32)
    (local $pollable i32)
    (local.set $pollable (call $subscribe-duration (i64.const 1)))
    (local.set $at (i32.const 0x10000))
    (loop $next
      (i32.store (local.get $at) (local.get $pollable))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 0x210000)))
    )
    (call $poll (i32.const 0x10000) (i32.const 0x80000) (i32.const 0x80))
    i32.const 0x40
  )
)
