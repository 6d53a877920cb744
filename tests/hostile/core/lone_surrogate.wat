;; Attacks the conversion of strings: its strings are UTF-16, and this log line is half of a pair.
;;
;; To be caught when the host takes it, reason `trap`.
(module
  (import "weir:plugin/output@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "a\00\00\d8")
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (call $log (i32.const 0) (i32.const 1024) (i32.const 2))
    i32.const 0
  )
)
