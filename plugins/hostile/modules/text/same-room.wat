;; Gives the host the same room for everything, so that the parts of the question lie upon each other; keeps theirs.
(module
(memory (export "memory") 16)
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32)
  (i32.store8 (i32.const 8) (i32.const 1))
  (i32.const 0)))
