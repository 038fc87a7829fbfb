;; world: curious
;; Asks for the time.
(import "wasi:clocks/wall-clock@0.2.0" "now" (func $now (param i32)))
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32) (call $now (i32.const 0)) (i32.const 0))
