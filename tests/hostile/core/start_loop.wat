;; Attacks the start of every instance: the module's start function never returns, so that neither export is reached.
;;
;; To be stopped by the deadline, which covers the making of an instance, reason `deadline`; and so in `configure`
;; already.
(module
  (memory (export "memory") 1)
  (func $start (loop $again br $again))
  (start $start)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32) i32.const 0)
)
