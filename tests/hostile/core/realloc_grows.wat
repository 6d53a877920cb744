;; Attacks memory through the host: every call of `cabi_realloc` takes another MiB, whatever was asked for, and
;; `analyze` has the host call it for ever.
;;
;; To be stopped by the limit on linear memory, at which this `cabi_realloc` traps, reason `memory`.
(module
  (import "weir:plugin/tables@0.1.0" "names" (func $names (param i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $page i32)
    (local.set $page (memory.grow (i32.const 16)))
    (if (i32.eq (local.get $page) (i32.const -1)) (then unreachable))
    (i32.shl (local.get $page) (i32.const 16))
  )
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (loop $again
      (call $names (i32.const 64))
      br $again
    )
    unreachable
  )
)
