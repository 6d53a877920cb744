;; Attacks the growing of memory, which is done by the host: asks for it for ever, whatever it is told.
;;
;; To be stopped by the limit on linear memory, at which each further growth is refused with a value, and then by the
;; deadline, reason `deadline`.
(module
  (memory (export "memory") 1)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (loop $again
      (drop (memory.grow (i32.const 1)))
      br $again
    )
    unreachable
  )
)
