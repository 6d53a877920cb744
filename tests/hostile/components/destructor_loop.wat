;; Attacks the dropping of a resource: its destructor never returns.
;;
;; To be stopped by the deadline, reason `deadline`.
(component
  (import "weir:plugin/types@0.1.0" (instance $types
    (type $failure (record (field "reason" string) (field "message" string)))
    (export "failure" (type (eq $failure)))
  ))
  (alias export $types "failure" (type $failure))
  (core module $destructors
    (func (export "loop") (param i32) (loop $again br $again))
  )
  (core instance $destructors (instantiate $destructors))
  (type $thing (resource (rep i32) (dtor (core func $destructors "loop"))))
  (core func $new (canon resource.new $thing))
  (core func $drop (canon resource.drop $thing))
  (core module $module
    (import "own" "new" (func $new (param i32) (result i32)))
    (import "own" "drop" (func $drop (param i32)))
    (memory (export "memory") 1)
    (func (export "configure") (result i32) i32.const 0)
    (func (export "analyze") (result i32)
      (call $drop (call $new (i32.const 0)))
      i32.const 0
    )
  )
  (core instance $guest (instantiate $module
    (with "own" (instance (export "new" (func $new)) (export "drop" (func $drop))))
  ))
  (type $entry (func (result (result (error $failure)))))
  (func $configure (type $entry) (canon lift (core func $guest "configure") (memory (core memory $guest "memory"))))
  (func $analyze (type $entry) (canon lift (core func $guest "analyze") (memory (core memory $guest "memory"))))
  (instance $analysis (export "configure" (func $configure)) (export "analyze" (func $analyze)))
  (export "weir:plugin/analysis@0.1.0" (instance $analysis))
)
