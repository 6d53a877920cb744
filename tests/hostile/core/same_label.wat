;; Attacks the copy at the boundary: 4,000 labels that are all the same 32 KiB of the guest's memory, and would be 125 MiB
;; in the host's.
;;
;; To be stopped by the limit on what one host call may hand over, counted as it is copied, reason `output`.
(module
  (import "weir:plugin/output@0.1.0" "add" (func $add (param i32 i32 i32 i32 f64 i32)))
  (memory (export "memory") 2)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0x8000)
  (func (export "weir:plugin/analysis@0.1.0#configure") (result i32) i32.const 0)
  (func (export "weir:plugin/analysis@0.1.0#analyze") (result i32)
    (local $label i32)
    (loop $next
      ;; Each has the address and length of a name and of a value.
      (i32.store (local.get $label) (i32.const 0x10000))
      (i32.store offset=4 (local.get $label) (i32.const 0x4000))
      (i32.store offset=8 (local.get $label) (i32.const 0x10000))
      (i32.store offset=12 (local.get $label) (i32.const 0x4000))
      (local.set $label (i32.add (local.get $label) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $label) (i32.const 64000)))
    )
    (call $add (i32.const 0x10000) (i32.const 4) (i32.const 0) (i32.const 4000) (f64.const 1) (i32.const 65000))
    i32.const 0
  )
)
