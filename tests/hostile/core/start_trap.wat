;; Attacks the making of an instance: the module's start function traps, so that there never is a whole one.
;;
;; To be caught as a trap, reason `trap`; and so in `configure` already.
(module
  (memory (export "memory") 1)
  (func $start unreachable)
  (start $start)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32) i32.const 0)
)
