;; Attacks whoever believes that a result is one of two: `analyze` returns neither ok nor a failure.
;;
;; To be caught when the host takes it, reason `trap`.
(module
  (memory (export "memory") 1)
  (data (i32.const 1024) "\07")
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    i32.const 1024
  )
)
