;; A component that imports what is not offered: a clock, of nobody's.
;;
;; Refused when it is loaded, with the import's name.
(component
  (import "host:clock/now@1.0.0" (instance
    (export "now" (func (result u64)))
  ))
)
