;; Attacks memory that is not linear before any code runs: a table that begins with ten million elements.
;;
;; Refused when it is compiled, by the limit on the elements of a table.
(module
  (memory (export "memory") 1)
  (table 10000000 funcref)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    i32.const 0
  )
)
