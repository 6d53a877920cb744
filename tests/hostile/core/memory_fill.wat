;; Attacks time with instructions that are each a call of the host: fills and copies 48 MiB, for ever.
;;
;; To be stopped by the deadline, reason `deadline`, which comes late by one such instruction at the most.
(module
  (memory (export "memory") 1)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (if (i32.eq (memory.grow (i32.const 767)) (i32.const -1)) (then unreachable))
    (loop $again
      (memory.fill (i32.const 0) (i32.const 0xa5) (i32.const 0x3000000))
      (memory.copy (i32.const 0) (i32.const 1) (i32.const 0x2ffffff))
      br $again
    )
    unreachable
  )
)
