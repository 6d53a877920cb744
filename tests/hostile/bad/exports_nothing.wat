;; A component that is no plugin: it imports nothing and exports nothing.
;;
;; Refused when it is loaded, with the interface that it should export.
(component)
