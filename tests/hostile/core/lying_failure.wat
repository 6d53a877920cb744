;; Attacks the host's reading of the guest's memory on the way back: `analyze` fails, with a message that claims to be 2 GiB
;; long.
;;
;; To be caught when the host checks the range, reason `trap`.
(module
  (memory (export "memory") 1)
  ;; The discriminant of a failure, then the addresses and lengths of its reason and message.
  (data (i32.const 1024) "\01\00\00\00" "\00\04\00\00" "\04\00\00\00" "\00\04\00\00" "\00\00\00\80")
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    i32.const 1024
  )
)
