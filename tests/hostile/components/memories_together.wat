;; Attacks a limit that counts each memory by itself: a component of seven modules, whose memories each begin with a
;; little less than the limit.
;;
;; To be stopped by the limit on linear memory, which counts them together, reason `memory`; and so in `configure`
;; already.
(component
  (import "weir:plugin/types@0.1.0" (instance $types
    (type $failure (record (field "reason" string) (field "message" string)))
    (export "failure" (type (eq $failure)))
  ))
  (alias export $types "failure" (type $failure))
  (core module $module
    (memory (export "memory") 1000)
    (func (export "configure") (result i32) i32.const 0)
    (func (export "analyze") (result i32) i32.const 0)
  )
  (core instance (instantiate $module))
  (core instance (instantiate $module))
  (core instance (instantiate $module))
  (core instance (instantiate $module))
  (core instance (instantiate $module))
  (core instance (instantiate $module))
  (core instance $guest (instantiate $module))
  (type $entry (func (result (result (error $failure)))))
  (func $configure (type $entry) (canon lift (core func $guest "configure") (memory (core memory $guest "memory"))))
  (func $analyze (type $entry) (canon lift (core func $guest "analyze") (memory (core memory $guest "memory"))))
  (instance $analysis (export "configure" (func $configure)) (export "analyze" (func $analyze)))
  (export "weir:plugin/analysis@0.1.0" (instance $analysis))
)
