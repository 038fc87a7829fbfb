;; Has a second memory, which no plugin needs.
(module
(memory (export "memory") 1)
(memory 1)
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32)
  (i32.store8 (i32.const 8) (i32.const 1))
  (i32.const 0)))
