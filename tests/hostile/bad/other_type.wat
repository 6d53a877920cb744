;; A component that imports a function of the interface with another type: the interval's number as a text.
;;
;; Refused when it is loaded, with the function's name.
(component
  (import "weir:plugin/interval@0.1.0" (instance
    (export "number" (func (result string)))
  ))
)
