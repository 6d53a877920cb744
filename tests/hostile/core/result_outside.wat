;; Attacks the host's reading of the guest's memory on the way back: `analyze` returns an address far outside.
;;
;; To be caught when the host checks the range, reason `trap`.
(module
  (memory (export "memory") 1)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    i32.const 0xfffffff0
  )
)
