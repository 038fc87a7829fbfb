;; Names an attribute in 200 KiB.
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32)
  (memory.fill (i32.const 262144) (i32.const 97) (i32.const 204800))
  (i32.store8 (i32.const 4) (i32.const 1))
  (i32.store (i32.const 8) (i32.const 128))
  (i32.store (i32.const 12) (i32.const 1))
  (i32.store (i32.const 128) (i32.const 262144))
  (i32.store (i32.const 132) (i32.const 204800))
  (i32.const 0))
