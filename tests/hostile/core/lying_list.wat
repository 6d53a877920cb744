;; Attacks the host's reading of the guest's memory: a list that claims so many labels that its size in bytes is more than
;; 32 bits hold, and so looks small.
;;
;; To be caught when the host checks the range, reason `trap`.
(module
  (import "weir:plugin/output@0.1.0" "add" (func $add (param i32 i32 i32 i32 f64 i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "lies")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0x8000)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    ;; 2^28 labels of 16 bytes each.
    (call $add (i32.const 1024) (i32.const 4) (i32.const 0) (i32.const 0x10000000) (f64.const 1) (i32.const 64))
    i32.const 0
  )
)
