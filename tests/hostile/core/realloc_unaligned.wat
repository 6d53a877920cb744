;; Attacks the host's writing to the guest's memory: `cabi_realloc` returns an address that is not aligned as was
;; asked.
;;
;; To be caught when the host checks the address before it writes, reason `trap`.
(module
  (import "weir:plugin/tables@0.1.0" "names" (func $names (param i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    i32.const 1025
  )
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (call $names (i32.const 64))
    i32.const 0
  )
)
