;; Attacks what an instance costs beside its pages: more memories than any program needs.
;;
;; Refused when it is compiled, by the number of memories of a component.
(module
  (memory (export "memory") 1)
  (memory 0)
  (memory 0)
  (memory 0)
  (memory 0)
  (memory 0)
  (memory 0)
  (memory 0)
  (memory 0)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    i32.const 0
  )
)
