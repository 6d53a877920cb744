;; Attacks the order of calls: puts something out after `analyze` has returned, when its output is being committed.
;;
;; To be stopped by the component model, in which nothing can be called from there, reason `trap`.
(module
  (import "weir:plugin/interval@0.1.0" "number" (func $number (result i64)))
  (memory (export "memory") 1)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32) i32.const 0)
  (func (export "cabi_post_weir:plugin/analysis@0.1.0#analyze") (param i32)
    (drop (call $number))
  )
)
