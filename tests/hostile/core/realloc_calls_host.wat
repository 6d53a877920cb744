;; Attacks the order of calls: `cabi_realloc` calls the host, within the return from a call of the host, and so without
;; an end.
;;
;; To be stopped by the component model, in which nothing can be called from there, reason `trap`.
(module
  (import "weir:plugin/tables@0.1.0" "names" (func $names (param i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (call $names (i32.const 64))
    i32.const 1024
  )
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (call $names (i32.const 64))
    i32.const 0
  )
)
