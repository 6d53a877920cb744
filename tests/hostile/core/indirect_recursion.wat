;; Attacks the stack: two functions that call each other through a table, which no compiler makes a loop of.
;;
;; To be stopped by the limit on the stack, reason `stack`.
(module
  (type $step (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (table $table funcref (elem $one $other))
  (func $one (type $step)
    (i32.add (i32.const 1) (call_indirect $table (type $step) (local.get 0) (i32.const 1)))
  )
  (func $other (type $step)
    (i32.add (i32.const 1) (call_indirect $table (type $step) (local.get 0) (i32.const 0)))
  )
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (call_indirect $table (type $step) (i32.const 0) (i32.const 0))
  )
)
