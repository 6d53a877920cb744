;; Attacks the end of a call: the function that the host calls to let the guest free its result never returns.
;;
;; To be stopped by the deadline, which covers it, reason `deadline`, although `analyze` had returned ok.
(module
  (memory (export "memory") 1)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32) i32.const 0)
  (func (export "cabi_post_weir:plugin/analysis@0.1.0#analyze") (param i32)
    (loop $again br $again)
  )
)
