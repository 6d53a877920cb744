;; Attacks the end of a call: the function that the host calls to let the guest free its result traps.
;;
;; To be caught as a trap, reason `trap`, although `analyze` had returned ok: nothing of the call is kept.
(module
  (memory (export "memory") 1)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32) i32.const 0)
  (func (export "cabi_post_weir:plugin/analysis@0.1.0#analyze") (param i32)
    unreachable
  )
)
