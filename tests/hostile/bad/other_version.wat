;; A component of another track of the interface: it imports and exports 0.2.0.
;;
;; Refused when it is loaded, with the version that it wants and the one that is offered.
(component
  (import "weir:plugin/interval@0.2.0" (instance
    (export "number" (func (result u64)))
  ))
  (instance $analysis)
  (export "weir:plugin/analysis@0.2.0" (instance $analysis))
)
