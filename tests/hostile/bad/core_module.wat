;; A core module in place of a component: what a compiler gives before it is encoded as one. It even exports the
;; names that a component would.
;;
;; Refused when it is loaded, with how a component is made of it.
(module
  (memory (export "memory") 1)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32) i32.const 0)
)
