;; Grows its memory page by page without end, and touches what it gets.
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32)
  (local $page i32)
  (loop $again
    (local.set $page (memory.grow (i32.const 1)))
    (i32.store8 (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1))
    (br $again))
  (i32.const 0))
