;; wasi_snapshot_preview1 for languages whose standard library cannot do without it, made of Weir's own interface.
;;
;; It gives no authority: no arguments, no environment, no files, no network. What there is:
;;
;; - Clocks stand still at the interval's beginning, all of them. They do so where the host may not be called, too
;;   (in `cabi_realloc`), once they have been read anywhere else. Waiting takes no time, but puts the clocks forward.
;; - Random numbers follow from the interval's number, so that a replay sees the same. They are no secrets.
;; - Standard output becomes log lines of level debug, standard error of level warning: a line for each line of
;;   text, cut at 4,096 bytes, empty ones left out, parted where a byte is not part of valid UTF-8. Whoever writes a
;;   line in pieces hands over a buffer first (`weir_line_buffer`); without one, each write ends a line.
;; - Standard input is at its end.
;; - `proc_exit` traps.
;;
;; It has no memory: wit-component allows an adapter none, and growing a module's memory behind its back would
;; break those allocators (of Go, of TinyGo) that take it for theirs.
(module
  (import "weir:plugin/interval@0.1.0" "number" (func $number (result i64)))
  (import "weir:plugin/interval@0.1.0" "began" (func $began (param i32)))
  (import "weir:plugin/output@0.1.0" "log" (func $log (param $level i32) (param $text i32) (param $length i32)))
  (import "env" "memory" (memory 0))

  ;; In nanoseconds, once somebody has asked.
  (global $time (mut i64) (i64.const 0))
  (global $asked (mut i32) (i32.const 0))
  (global $random (mut i64) (i64.const 0))
  (global $seeded (mut i32) (i32.const 0))
  ;; The host may not be called now.
  (global $paused (mut i32) (i32.const 0))
  ;; Where a line is put together, how long it can be, how long it is, and which stream it is of.
  (global $line (mut i32) (i32.const 0))
  (global $room (mut i32) (i32.const 0))
  (global $used (mut i32) (i32.const 0))
  (global $stream (mut i32) (i32.const 0))

  ;; Extensions, for those who know of this adapter.

  ;; `room` bytes at `line` are the adapter's from now on; the line that was begun before ends.
  (func (export "weir_line_buffer") (param $line i32) (param $room i32)
    (call $end_line)
    (global.set $line (local.get $line))
    (global.set $room (local.get $room)))

  ;; The name is that of the official adapter's function, which the Go packages of the Bytecode Alliance call.
  (func (export "adapter_monotonic_clock_set_paused") (param $paused i32)
    (global.set $paused (local.get $paused)))

  ;; Clocks and random numbers.

  (func $now (result i64)
    (local $first i64) (local $second i64)
    (if (i32.eqz (i32.or (global.get $asked) (global.get $paused)))
      (then
        (global.set $asked (i32.const 1))
        ;; The answer takes two words of memory. Any will do, as long as they are given back.
        (local.set $first (i64.load (i32.const 0)))
        (local.set $second (i64.load offset=8 (i32.const 0)))
        (call $began (i32.const 0))
        (global.set $time
          (i64.add
            (i64.mul (i64.load (i32.const 0)) (i64.const 1000000000))
            (i64.load32_u offset=8 (i32.const 0))))
        (i64.store (i32.const 0) (local.get $first))
        (i64.store offset=8 (i32.const 0) (local.get $second))))
    ;; Go takes a clock of 0 for a broken one.
    (select (i64.const 1) (global.get $time) (i64.eqz (global.get $time))))

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $out i32) (result i32)
    (i64.store (local.get $out) (call $now))
    (i32.const 0))

  (func (export "clock_res_get") (param $clock i32) (param $out i32) (result i32)
    (i64.store (local.get $out) (i64.const 1))
    (i32.const 0))

  ;; Waits for the earliest of the times that are waited for: a subscription takes 48 bytes, an event 32.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)
    (local $until i64) (local $earliest i64) (local $who i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        ;; Nothing else will ever happen.
        (if (i32.eqz (i32.load8_u offset=8 (local.get $in)))
          (then
            (local.set $until (i64.load offset=24 (local.get $in)))
            ;; From now on, if it is not absolute.
            (if (i32.eqz (i32.and (i32.load16_u offset=40 (local.get $in)) (i32.const 1)))
              (then (local.set $until (i64.add (call $now) (local.get $until)))))
            (if (i32.or
                  (i32.eqz (local.get $who))
                  (i64.lt_u (local.get $until) (local.get $earliest)))
              (then
                (local.set $earliest (local.get $until))
                (local.set $who (local.get $in))))))
        (local.set $in (i32.add (local.get $in) (i32.const 48)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    ;; ENOSYS.
    (if (i32.eqz (local.get $who)) (then (return (i32.const 52))))
    (if (i64.gt_u (local.get $earliest) (call $now))
      (then (global.set $time (local.get $earliest))))
    (i64.store (local.get $out) (i64.load (local.get $who)))
    (memory.fill (i32.add (local.get $out) (i32.const 8)) (i32.const 0) (i32.const 24))
    (i32.store (local.get $events) (i32.const 1))
    (i32.const 0))

  ;; splitmix64, a byte a step.
  (func (export "random_get") (param $out i32) (param $length i32) (result i32)
    (local $z i64)
    (if (i32.eqz (i32.or (global.get $seeded) (global.get $paused)))
      (then
        (global.set $random (call $number))
        (global.set $seeded (i32.const 1))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $length)))
        (local.set $z (i64.add (global.get $random) (i64.const 0x9E3779B97F4A7C15)))
        (global.set $random (local.get $z))
        (local.set $z
          (i64.mul
            (i64.xor (local.get $z) (i64.shr_u (local.get $z) (i64.const 30)))
            (i64.const 0xBF58476D1CE4E5B9)))
        (local.set $z
          (i64.mul
            (i64.xor (local.get $z) (i64.shr_u (local.get $z) (i64.const 27)))
            (i64.const 0x94D049BB133111EB)))
        (i64.store8 (local.get $out) (i64.xor (local.get $z) (i64.shr_u (local.get $z) (i64.const 31))))
        (local.set $out (i32.add (local.get $out) (i32.const 1)))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; Output.

  (func (export "fd_write") (param $fd i32) (param $parts i32) (param $count i32) (param $out i32) (result i32)
    (local $length i32) (local $written i32)
    ;; 1 or 2.
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1))
      (then (return (i32.const 8))))
    (if (i32.ne (local.get $fd) (global.get $stream))
      (then
        (call $end_line)
        (global.set $stream (local.get $fd))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $length (i32.load offset=4 (local.get $parts)))
        (call $put (i32.load (local.get $parts)) (local.get $length))
        (local.set $written (i32.add (local.get $written) (local.get $length)))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $out) (local.get $written))
    (i32.const 0))

  ;; Goes through some text, of which whole lines are said.
  (func $put (param $text i32) (param $length i32)
    (local $at i32) (local $end i32)
    (local.set $at (local.get $text))
    (local.set $end (i32.add (local.get $text) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 10))
          (then
            (if (global.get $room)
              (then (call $end_line))
              (else (call $say (local.get $text) (i32.sub (local.get $at) (local.get $text)))))
            (local.set $text (i32.add (local.get $at) (i32.const 1))))
          (else
            (if (i32.lt_u (global.get $used) (global.get $room))
              (then
                (i32.store8
                  (i32.add (global.get $line) (global.get $used))
                  (i32.load8_u (local.get $at)))
                (global.set $used (i32.add (global.get $used) (i32.const 1)))))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (if (i32.eqz (global.get $room))
      (then (call $say (local.get $text) (i32.sub (local.get $end) (local.get $text))))))

  (func $end_line
    (call $say (global.get $line) (global.get $used))
    (global.set $used (i32.const 0)))

  ;; Says a line, in as many parts as it has of valid UTF-8. Texts that are not would trap.
  (func $say (param $at i32) (param $length i32)
    (local $start i32) (local $end i32) (local $size i32)
    (local.set $start (local.get $at))
    (local.set $end
      (i32.add
        (local.get $at)
        (select (local.get $length) (i32.const 4096) (i32.lt_u (local.get $length) (i32.const 4096)))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (local.set $size (call $character (local.get $at) (i32.sub (local.get $end) (local.get $at))))
        (if (local.get $size)
          (then (local.set $at (i32.add (local.get $at) (local.get $size))))
          (else
            (call $say_part (local.get $start) (i32.sub (local.get $at) (local.get $start)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (local.set $start (local.get $at))))
        (br $next)))
    (call $say_part (local.get $start) (i32.sub (local.get $end) (local.get $start))))

  (func $say_part (param $text i32) (param $length i32)
    (if (local.get $length)
      (then
        (call $log
          ;; debug is 0, warning 2.
          (select (i32.const 2) (i32.const 0) (i32.eq (global.get $stream) (i32.const 2)))
          (local.get $text)
          (local.get $length)))))

  ;; The length of the character in UTF-8 with which some text of at least one byte begins; 0 if there is none. It
  ;; follows table 3-7 of the Unicode standard.
  (func $character (param $at i32) (param $length i32) (result i32)
    (local $byte i32) (local $size i32) (local $low i32) (local $high i32)
    (local.set $byte (i32.load8_u (local.get $at)))
    (if (i32.lt_u (local.get $byte) (i32.const 0x80)) (then (return (i32.const 1))))
    (if (i32.lt_u (local.get $byte) (i32.const 0xc2)) (then (return (i32.const 0))))
    (if (i32.gt_u (local.get $byte) (i32.const 0xf4)) (then (return (i32.const 0))))
    (local.set $size
      (i32.add
        (i32.const 2)
        (i32.add
          (i32.ge_u (local.get $byte) (i32.const 0xe0))
          (i32.ge_u (local.get $byte) (i32.const 0xf0)))))
    (if (i32.lt_u (local.get $length) (local.get $size)) (then (return (i32.const 0))))
    ;; What the second byte can be depends on the first.
    (local.set $low (i32.const 0x80))
    (local.set $high (i32.const 0xbf))
    (if (i32.eq (local.get $byte) (i32.const 0xe0)) (then (local.set $low (i32.const 0xa0))))
    (if (i32.eq (local.get $byte) (i32.const 0xed)) (then (local.set $high (i32.const 0x9f))))
    (if (i32.eq (local.get $byte) (i32.const 0xf0)) (then (local.set $low (i32.const 0x90))))
    (if (i32.eq (local.get $byte) (i32.const 0xf4)) (then (local.set $high (i32.const 0x8f))))
    (local.set $byte (i32.load8_u offset=1 (local.get $at)))
    (if (i32.lt_u (local.get $byte) (local.get $low)) (then (return (i32.const 0))))
    (if (i32.gt_u (local.get $byte) (local.get $high)) (then (return (i32.const 0))))
    (if (i32.ge_u (local.get $size) (i32.const 3))
      (then
        (if (i32.ne (i32.and (i32.load8_u offset=2 (local.get $at)) (i32.const 0xc0)) (i32.const 0x80))
          (then (return (i32.const 0))))))
    (if (i32.eq (local.get $size) (i32.const 4))
      (then
        (if (i32.ne (i32.and (i32.load8_u offset=3 (local.get $at)) (i32.const 0xc0)) (i32.const 0x80))
          (then (return (i32.const 0))))))
    (local.get $size))

  (func (export "proc_exit") (param $code i32)
    (call $end_line)
    (unreachable))

  ;; Arguments and environment: none.

  (func $none (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))
  (func $nothing (param i32 i32) (result i32) (i32.const 0))
  (export "args_get" (func $nothing))
  (export "environ_get" (func $nothing))

  ;; The three standard streams, as far as one can ask about them. EBADF (8) for every other descriptor.

  (func $standard (param $fd i32) (result i32)
    (select (i32.const 8) (i32.const 0) (i32.gt_u (local.get $fd) (i32.const 2))))
  (export "fd_close" (func $standard))
  (export "fd_datasync" (func $standard))
  (export "fd_sync" (func $standard))

  ;; Character devices (2), because then they are written by the line. 2 is the right to read, 64 to write.
  (func (export "fd_fdstat_get") (param $fd i32) (param $out i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (i64.store (local.get $out) (i64.const 2))
    (i64.store offset=8 (local.get $out)
      (select (i64.const 64) (i64.const 2) (local.get $fd)))
    (i64.store offset=16 (local.get $out) (i64.const 0))
    (i32.const 0))

  (func (export "fd_filestat_get") (param $fd i32) (param $out i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (memory.fill (local.get $out) (i32.const 0) (i32.const 64))
    (i32.store8 offset=16 (local.get $out) (i32.const 2))
    (i32.const 0))

  ;; Nothing to read.
  (func (export "fd_read") (param $fd i32) (param i32 i32) (param $out i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8))))
    (i32.store (local.get $out) (i32.const 0))
    (i32.const 0))

  ;; ESPIPE (70).
  (func $no_place (param $fd i32) (result i32)
    (select (i32.const 8) (i32.const 70) (i32.gt_u (local.get $fd) (i32.const 2))))
  (func (export "fd_seek") (param $fd i32) (param i64 i32 i32) (result i32) (call $no_place (local.get $fd)))
  (func (export "fd_tell") (param $fd i32) (param i32) (result i32) (call $no_place (local.get $fd)))
  (func (export "fd_fdstat_set_flags") (param $fd i32) (param i32) (result i32) (call $standard (local.get $fd)))

  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; ENOSYS: there is nobody to signal.
  (func (export "proc_raise") (param i32) (result i32) (i32.const 52))

  ;; Files, directories, sockets: there are none, so each descriptor is a bad one.

  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8))
)
