;; Attacks whoever believes that a string is text: a log line whose bytes are not UTF-8.
;;
;; To be caught when the host takes it, reason `trap`.
(module
  (import "weir:plugin/output@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "a\ff\fe\80")
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (call $log (i32.const 0) (i32.const 1024) (i32.const 4))
    i32.const 0
  )
)
