;; Grows its table without end.
(table $t 1 funcref)
(func (export "colony:plugin/merger@0.1.0#merge") (param i32) (result i32)
  (loop $again
    (drop (table.grow $t (ref.null func) (i32.const 1000)))
    (br $again))
  (i32.const 0))
