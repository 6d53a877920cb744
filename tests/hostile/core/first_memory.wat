;; Attacks memory before any code runs: the module begins with 4 GiB.
;;
;; To be stopped by the limit on linear memory when the instance is made, reason `memory`; and so in `configure` already.
(module
  (memory (export "memory") 65536)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    i32.const 0
  )
)
