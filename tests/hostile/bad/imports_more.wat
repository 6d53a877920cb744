;; A component that imports what is not offered: a clock of WASI's.
;;
;; Refused when it is loaded, with the import's name.
(component
  (import "wasi:clocks/wall-clock@0.2.0" (instance
    (type $datetime (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type (eq $datetime)))
    (export "now" (func (result 1)))
  ))
)
