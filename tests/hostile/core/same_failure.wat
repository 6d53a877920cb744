;; Attacks the copy on the way back: `analyze` fails, with a reason and a message that are both 3 MiB long.
;;
;; To be stopped by the limit on what one call may hand over, reason `output`.
(module
  (memory (export "memory") 64)
  ;; The discriminant of a failure, then the addresses and lengths of its reason and message.
  (data (i32.const 1024) "\01\00\00\00" "\00\08\00\00" "\00\00\30\00" "\00\08\00\00" "\00\00\30\00")
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    i32.const 1024
  )
)
