;; Works as long as it may, and answers in time: keep theirs.
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32)
  (local $left i32)
  (local.set $left (i32.const 1600000))
  (loop $again
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $again (local.get $left)))
  (i32.store8 (i32.const 8) (i32.const 1))
  (i32.const 0))
