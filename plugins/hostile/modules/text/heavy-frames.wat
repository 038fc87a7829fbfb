;; Calls itself with as much on the stack as a function can put there: a few hundred bytes of locals that live through
;; the call, in each of few frames.
(global $x (mut i64) (i64.const 1))
(func $deeper (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64) (result i64)
  (i64.add (local.get 0) (i64.add (local.get 1) (i64.add (local.get 2) (i64.add (local.get 3)
  (i64.add (local.get 4) (i64.add (local.get 5) (i64.add (local.get 6) (i64.add (local.get 7)
  (i64.add (local.get 8) (i64.add (local.get 9) (i64.add (local.get 10) (i64.add (local.get 11)
  (i64.add (local.get 12) (i64.add (local.get 13) (i64.add (local.get 14) (i64.add (local.get 15)
  (call $deeper
    (i64.add (local.get 15) (global.get $x)) (i64.mul (local.get 14) (global.get $x))
    (i64.xor (local.get 13) (global.get $x)) (i64.sub (local.get 12) (global.get $x))
    (i64.add (local.get 11) (global.get $x)) (i64.mul (local.get 10) (global.get $x))
    (i64.xor (local.get 9) (global.get $x)) (i64.sub (local.get 8) (global.get $x))
    (i64.add (local.get 7) (global.get $x)) (i64.mul (local.get 6) (global.get $x))
    (i64.xor (local.get 5) (global.get $x)) (i64.sub (local.get 4) (global.get $x))
    (i64.add (local.get 3) (global.get $x)) (i64.mul (local.get 2) (global.get $x))
    (i64.xor (local.get 1) (global.get $x)) (i64.sub (local.get 0) (global.get $x))))))))))))))))))))
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32)
  (i32.wrap_i64 (call $deeper
    (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7) (i64.const 8)
    (i64.const 9) (i64.const 10) (i64.const 11) (i64.const 12) (i64.const 13) (i64.const 14) (i64.const 15)
    (i64.const 16))))
