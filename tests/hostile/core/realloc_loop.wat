;; Attacks the way back from a host call: `cabi_realloc`, which the host calls to make room for what it returns, never
;; does.
;;
;; To be stopped by the deadline, reason `deadline`.
(module
  (import "weir:plugin/tables@0.1.0" "names" (func $names (param i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (loop $again br $again)
    unreachable
  )
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (call $names (i32.const 64))
    i32.const 0
  )
)
