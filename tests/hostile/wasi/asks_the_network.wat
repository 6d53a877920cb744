;; Imports what is not offered: HTTP.
;;
;; Refused when it is compiled, with the import's name and what is offered.
(module
  (import "wasi:http/outgoing-handler@0.2.12" "handle" (func $handle))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 0x4000))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    local.get $at
  )
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0x40)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (call $handle)
    i32.const 0x40
  )
)
