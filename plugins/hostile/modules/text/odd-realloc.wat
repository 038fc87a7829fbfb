;; Gives the host room for the question at an odd address.
(module
(memory (export "memory") 16)
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4097))
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32) (i32.const 0)))
