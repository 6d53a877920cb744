;; Attacks time through strings that pass from one part of a component to another, each in its own encoding, which the
;; host converts: 18 MiB, for ever.
;;
;; To be stopped by the deadline, reason `deadline`, which comes late by one such conversion at the most.
(component
  (import "weir:plugin/types@0.1.0" (instance $types
    (type $failure (record (field "reason" string) (field "message" string)))
    (export "failure" (type (eq $failure)))
  ))
  (alias export $types "failure" (type $failure))
  (component $taker
    (core module $module
      (memory (export "memory") 600)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 16)
      (func (export "take") (param i32 i32))
    )
    (core instance $taker (instantiate $module))
    (func (export "take") (param "text" string) (canon lift (core func $taker "take")
      (memory (core memory $taker "memory")) (realloc (core func $taker "realloc")) string-encoding=utf16))
  )
  (instance $taker (instantiate $taker))
  (component $giver
    (type $record (record (field "reason" string) (field "message" string)))
    (import "failure" (type $failure (eq $record)))
    (import "take" (func $take (param "text" string)))
    (core module $memory (memory (export "memory") 300))
    (core instance $memory (instantiate $memory))
    (core func $take (canon lower (func $take) (memory (core memory $memory "memory"))))
    (core module $module
      (import "taker" "take" (func $take (param i32 i32)))
      (func (export "configure") (result i32) i32.const 0)
      (func (export "analyze") (result i32)
        (loop $again
          (call $take (i32.const 0) (i32.const 0x1200000))
          br $again
        )
        unreachable
      )
    )
    (core instance $guest (instantiate $module (with "taker" (instance (export "take" (func $take))))))
    (type $entry (func (result (result (error $failure)))))
    (func (export "configure") (type $entry)
      (canon lift (core func $guest "configure") (memory (core memory $memory "memory"))))
    (func (export "analyze") (type $entry)
      (canon lift (core func $guest "analyze") (memory (core memory $memory "memory"))))
  )
  (instance $giver (instantiate $giver
    (with "failure" (type $failure))
    (with "take" (func $taker "take"))
  ))
  (export "weir:plugin/analysis@0.1.0" (instance $giver))
)
