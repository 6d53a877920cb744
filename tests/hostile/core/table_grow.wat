;; Attacks memory that is not linear: grows a table of functions for as long as it is let.
;;
;; To be stopped by the limit on the elements of a table, at which this program traps, reason `memory`.
(module
  (memory (export "memory") 1)
  (table $table 0 funcref)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (loop $again
      (br_if $again (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1)))
    )
    unreachable
  )
)
