;; Answers with a kind of answer that there is none of.
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32)
  (i32.store8 (i32.const 4) (i32.const 200))
  (i32.const 0))
