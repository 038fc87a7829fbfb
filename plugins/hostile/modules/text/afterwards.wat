;; Answers, and loops when it is to clean up.
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32)
  (i32.store8 (i32.const 8) (i32.const 1))
  (i32.const 0))
(func (export "cabi_post_colony:plugin/merger@0.1.0#merge") (param i32) (loop $again (br $again)))
