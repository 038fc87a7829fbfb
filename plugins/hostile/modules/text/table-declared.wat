;; Declares a table of four thousand million elements.
(table $t 4000000000 funcref)
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32) (i32.const 0))
