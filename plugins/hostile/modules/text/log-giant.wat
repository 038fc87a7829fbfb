;; Logs one line of 900 KiB.
(import "colony:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32)
  (memory.fill (i32.const 65536) (i32.const 97) (i32.const 921600))
  (call $log (i32.const 2) (i32.const 65536) (i32.const 921600))
  (i32.store8 (i32.const 8) (i32.const 1))
  (i32.const 0))
