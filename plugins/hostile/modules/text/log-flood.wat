;; Logs without end, the longest lines that the host takes: each costs the host much and the plugin nothing.
(import "colony:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32)
  (memory.fill (i32.const 65536) (i32.const 97) (i32.const 491520))
  (loop $again
    (call $log (i32.const 2) (i32.const 65536) (i32.const 491520))
    (br $again))
  (i32.const 0))
