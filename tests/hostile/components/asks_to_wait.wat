;; Attacks time by sleeping, which no deadline on a processor's time counts: waits for an event that never comes, by the
;; component model's own means.
;;
;; Refused when it is compiled: the interface is synchronous, and there is nothing to wait for.
(component
  (import "weir:plugin/types@0.1.0" (instance $types
    (type $failure (record (field "reason" string) (field "message" string)))
    (export "failure" (type (eq $failure)))
  ))
  (alias export $types "failure" (type $failure))
  (core func $set (canon waitable-set.new))
  (core module $module
    (import "own" "set" (func $set (result i32)))
    (memory (export "memory") 1)
    (func (export "configure") (result i32) i32.const 0)
    (func (export "analyze") (result i32)
      (drop (call $set))
      i32.const 0
    )
  )
  (core instance $guest (instantiate $module
    (with "own" (instance (export "set" (func $set))))
  ))
  (type $entry (func (result (result (error $failure)))))
  (func $configure (type $entry) (canon lift (core func $guest "configure") (memory (core memory $guest "memory"))))
  (func $analyze (type $entry) (canon lift (core func $guest "analyze") (memory (core memory $guest "memory"))))
  (instance $analysis (export "configure" (func $configure)) (export "analyze" (func $analyze)))
  (export "weir:plugin/analysis@0.1.0" (instance $analysis))
)
