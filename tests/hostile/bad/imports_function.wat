;; A component that imports a function which its interface does not have: it was built for a later 0.1.x.
;;
;; Refused when it is loaded, with the function's name.
(component
  (import "weir:plugin/interval@0.1.0" (instance
    (export "moon-phase" (func (result f64)))
  ))
)
