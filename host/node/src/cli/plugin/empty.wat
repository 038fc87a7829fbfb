;; The smallest plugin of the world `merge`: it keeps ours without a look at the question. What a call of it takes is
;; what asking costs, before any plugin has done anything.
(component
  ;; The types of `guest-sdk/wit/merge.wit`. Records, variants and enums that a function names must be exported.
  (type $occasion' (enum "heal" "concurrent-save"))
  (export $occasion "occasion" (type $occasion'))
  (type $attribute' (record (field "name" string) (field "value" (list u8))))
  (export $attribute "attribute" (type $attribute'))
  (type $state' (variant (case "blob" (list u8)) (case "attributes" (list $attribute)) (case "deleted")))
  (export $state "state" (type $state'))
  (type $version' (record (field "lineage" (tuple u64 u64)) (field "reign" u64) (field "seq" u64)))
  (export $version "version" (type $version'))
  (type $side' (record
    (field "state" $state)
    (field "version" $version)
    (field "written-at-ms" u64)
    (field "expires-in-ms" (option u64))))
  (export $side "side" (type $side'))
  (type $conflict' (record
    (field "namespace" string)
    (field "occasion" $occasion)
    (field "base" (option $side))
    (field "ours" $side)
    (field "theirs" $side)
    (field "conflicting" (list string))))
  (export $conflict "conflict" (type $conflict'))
  (type $choice' (enum "ours" "theirs"))
  (export $choice "choice" (type $choice'))
  (type $change' (record (field "name" string) (field "value" (option (list u8)))))
  (export $change "change" (type $change'))
  (type $resolution' (variant
    (case "keep" $choice)
    (case "attributes" (list $change))
    (case "blob" (list u8))
    (case "delete")
    (case "quarantine" string)))
  (export $resolution "resolution" (type $resolution'))

  (core module $module
    ;; Room for the largest question that a host hands over, 256 KiB, and the records around it.
    (memory (export "memory") 8)
    (global $free (mut i32) (i32.const 64))

    ;; Gives the next bytes and never takes any back: the end of the call does. Beyond the memory the host traps.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $free) (i32.sub (local.get 2) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get 2))))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (local.get $at))

    ;; The answer lies at address 0, where nothing was ever written: ok, keep, ours are all zero.
    (func (export "merge") (param i32) (result i32)
      (global.set $free (i32.const 64))
      (i32.const 0)))
  (core instance $instance (instantiate $module))

  (type $merge' (func (param "conflict" $conflict) (result (result $resolution (error string)))))
  (func $merge (type $merge')
    (canon lift
      (core func $instance "merge")
      (memory (core memory $instance "memory"))
      (realloc (core func $instance "realloc"))))
  (instance $merger (export "merge" (func $merge)))
  (export "colony:plugin/merger@0.1.0" (instance $merger)))
