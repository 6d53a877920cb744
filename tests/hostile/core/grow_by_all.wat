;; Attacks memory: asks for all that 32 bits can address at once.
;;
;; To be stopped by the limit on linear memory: the growth is refused, and this program traps, reason `memory`.
(module
  (memory (export "memory") 1)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (if (i32.eq (memory.grow (i32.const 65535)) (i32.const -1)) (then unreachable))
    i32.const 0
  )
)
