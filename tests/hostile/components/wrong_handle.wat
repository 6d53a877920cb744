;; Attacks the table of handles: drops one that there never was.
;;
;; To be caught, reason `trap`.
(component
  (import "weir:plugin/types@0.1.0" (instance $types
    (type $failure (record (field "reason" string) (field "message" string)))
    (export "failure" (type (eq $failure)))
  ))
  (alias export $types "failure" (type $failure))
  (type $thing (resource (rep i32)))
  (core func $drop (canon resource.drop $thing))
  (core module $module
    (import "own" "drop" (func $drop (param i32)))
    (memory (export "memory") 1)
    (func (export "configure") (result i32) i32.const 0)
    (func (export "analyze") (result i32)
      (call $drop (i32.const 77))
      i32.const 0
    )
  )
  (core instance $guest (instantiate $module
    (with "own" (instance (export "drop" (func $drop))))
  ))
  (type $entry (func (result (result (error $failure)))))
  (func $configure (type $entry) (canon lift (core func $guest "configure") (memory (core memory $guest "memory"))))
  (func $analyze (type $entry) (canon lift (core func $guest "analyze") (memory (core memory $guest "memory"))))
  (instance $analysis (export "configure" (func $configure)) (export "analyze" (func $analyze)))
  (export "weir:plugin/analysis@0.1.0" (instance $analysis))
)
