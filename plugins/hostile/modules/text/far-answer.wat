;; Says that its answer lies behind its memory.
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32) (i32.const 0x7ffffff8))
