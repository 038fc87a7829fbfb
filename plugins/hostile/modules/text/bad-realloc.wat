;; Gives the host room for the question that is not in its memory.
(module
(memory (export "memory") 16)
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0xffffff00))
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32) (i32.const 0)))
